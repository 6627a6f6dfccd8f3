"""Frozen data and its words: what is wanted, seen, remembered, planned and told."""
