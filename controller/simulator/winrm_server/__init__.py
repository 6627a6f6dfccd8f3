"""A WinRM server of the simulator's own: what a pywinrm client meets is what Windows would say.

    http            requests and answers on a kept connection
    authentication  Basic, client certificates, NTLM bound to connection and TLS channel
    encryption      sealed bodies over plain HTTP
    soap, faults    envelopes and faults as Windows writes them
    operations      Create, Command, Send, Receive, Signal, Delete, Get
    shells          shells, commands, quotas
    injection       what a test makes go wrong
    server          one node's listener and its connections
    certificates    the authority that signs the nodes' certificates

It shares no code with the controller's client, and knows no PowerShell: see docs/winrm-server.md.
"""
