"""Pure: from what is wanted, seen and remembered to a plan, its judge and its explanation."""
