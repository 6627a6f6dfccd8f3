"""What the error codes of a failed migration or cmdlet mean to a person, and what to do.

Windows gives them as HRESULTs; a plain Win32 code counts as 0x8007 and the code. Sources: Microsoft
docs, "Troubleshoot live migration issues" and its neighbours (the live-migration articles of
Windows Server troubleshooting) and winerror.h; OpenStack os-win's constants for the cluster's own.
"""

from dataclasses import dataclass
from typing import Final

_WIN32: Final = 0x80070000
_ARTICLES: Final = "Microsoft docs, troubleshoot live migration"
_WINERROR: Final = "winerror.h"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What one code says."""

    says: str
    remedy: str
    source: str


def _cause(says: str, remedy: str, source: str = _ARTICLES) -> Cause:
    return Cause(says=says, remedy=remedy, source=source)


_NOT_FOUND = "look whether it was renamed or removed in Failover Cluster Manager"
_NODES = "look at the nodes in Failover Cluster Manager"
_REACH = "open TCP 6600 and TCP and UDP 3343 between the nodes, and 445 where migrations use SMB"
_DELEGATION = "check the nodes' constrained delegation, and their SPNs in Active Directory"
_MEMORY = "free memory on the target, or give the VM another node"

CAUSES: Final[dict[int, Cause]] = {
    _WIN32 | 5002: _cause("a resource that it depends on is not there", _NOT_FOUND, _WINERROR),
    _WIN32 | 5007: _cause("the cluster knows no such resource", _NOT_FOUND, _WINERROR),
    _WIN32 | 5013: _cause("the cluster knows no such role", _NOT_FOUND, _WINERROR),
    _WIN32 | 5042: _cause("the cluster knows no such node", _NOT_FOUND, _WINERROR),
    _WIN32 | 5080: _cause("the cluster knows no resource of that name", _NOT_FOUND, _WINERROR),
    _WIN32 | 5016: _cause(
        "the target is no possible owner of it",
        "add the node to the possible owners of its resources Virtual Machine and Virtual Machine"
        " Configuration",
    ),
    _WIN32 | 5023: _cause(
        "its role is in no state for that", "look at the role's state and its events", _WINERROR
    ),
    _WIN32 | 5035: _cause(
        "no cluster network was there for it",
        "look at the networks that migrations may use, in Failover Cluster Manager",
        _WINERROR,
    ),
    _WIN32 | 5036: _cause("a node was not available", _NODES, _WINERROR),
    _WIN32 | 5037: _cause("no node was available", _NODES, _WINERROR),
    _WIN32 | 5038: _cause(
        "a resource of its role failed", "look at the role's events, and mend it", _WINERROR
    ),
    _WIN32 | 0x271D: _cause("a port between the nodes is blocked", _REACH),
    _WIN32 | 0x274C: _cause("the other node did not answer in time", _REACH),
    _WIN32 | 0x274D: _cause("the other node refused the connection", _REACH),
    _WIN32 | 0x2746: _cause("the connection between the nodes was cut", _REACH),
    _WIN32 | 0x5AA: _cause("the target had too little memory for it", _MEMORY),
    _WIN32 | 0xE: _cause("the target had too little memory for it", _MEMORY),
    0xC03A0014: _cause(
        "a virtual disk or an ISO that it names is not there on the target",
        "eject the stale ISO, or give the target access to the file",
    ),
    0x8009030E: _cause("the nodes have no credentials for one another", _DELEGATION),
    0x8009030D: _cause("the nodes' credentials were not accepted", _DELEGATION),
    0x80090322: _cause("a node is known under another name (SPN)", _DELEGATION),
    _WIN32 | 0x5: _cause(
        "access was denied", "check the rights of the nodes' accounts on the VM's files"
    ),
    _WIN32 | 0x569: _cause(
        "the VM's account may not log on as a service on the target",
        "give NT VIRTUAL MACHINE\\Virtual Machines that right in the group policy of the node",
    ),
    0x80042001: _cause(
        "SMB transport failed, as it does on Windows Server 2019 with a lower-case computer name",
        "Set-VMHost -VirtualMachineMigrationPerformanceOption Compression, or rename the computer",
    ),
    _WIN32 | 0xD: _cause(
        "the data was not valid, as with SMB transport and a lower-case computer name (2019)",
        "Set-VMHost -VirtualMachineMigrationPerformanceOption Compression, or rename the computer",
    ),
    _WIN32 | 0x534: _cause(
        "whoever created the VM is unknown on the target",
        "a VM of a local or deleted account has to be exported and imported by a domain account",
    ),
    _WIN32 | 0xAA: _cause(
        "it was busy", "wait for the backup, checkpoint or export, and look at its status"
    ),
}


def code_of(number: int | None) -> int | None:
    """An error code in one form: unsigned, HRESULT; None for none."""
    if not number:
        return None
    code = number & 0xFFFFFFFF
    return code if code > 0xFFFF else _WIN32 | code


def in_words(code: int) -> str:
    """What a code means and what to do, or that nobody knows."""
    cause = CAUSES.get(code)
    if cause is None:
        return f"error 0x{code:08X}, of which no more is known; look it up in the node's event log"
    return f"{cause.says} (0x{code:08X}); {cause.remedy}"
