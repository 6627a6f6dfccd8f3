"""This machine's disk: the journal."""
