"""Where specs come from, and how their text is read."""
