"""How a simulated node's WinRM service is set up; defaults are those of Windows Server 2012+."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WinRMSettings:
    """The part of `winrm get winrm/config` that a client can run into."""

    https: bool = False
    basic: bool = True
    credssp: bool = False
    allow_unencrypted: bool = False
    """Accept clear text over plain HTTP; only then is Basic of any use there."""
    idle_seconds: float = 120
    """After which HTTP.sys cuts a silent connection."""
    envelope_bytes_max: int = 500 * 1024
    operation_seconds_max: float = 60
    """MaxTimeoutms: no operation is held longer, whatever the client asks."""
    stream_element_bytes: int = 32 * 1024
    """The longest Stream element; Windows shows one for each write of the process."""
    shells_per_user_max: int = 30
    operations_per_user_max: int = 1500
    shell_idle_seconds: float = 7200
