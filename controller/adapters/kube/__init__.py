"""Kubernetes as the place where clusters and placements are declared and their status is read."""
