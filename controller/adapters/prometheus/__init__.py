"""Reports as metrics."""
