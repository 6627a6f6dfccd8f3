"""The eyes and hands on a cluster, over WinRM."""
