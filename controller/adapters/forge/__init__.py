"""Tells a forge (GitHub, GitLab) what became of a commit."""
