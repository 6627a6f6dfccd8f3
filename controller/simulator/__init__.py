"""A failover cluster that exists only here, behind a real WinRM server."""
