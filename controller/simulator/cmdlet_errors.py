"""What goes wrong inside the cluster, and the PowerShell errors that a caller sees for it.

The world raises `Refusal` with a Win32 code or an HRESULT; only at the cmdlet's edge does it become
a `CmdletError` with the identity that the cmdlet gives it. Codes: Microsoft docs (failover cluster
API, live-migration troubleshooting) and winerror.h.
"""

from __future__ import annotations

from controller.simulator.values import CmdletError

ACCESS_DENIED = 5
FILE_NOT_FOUND = 2
NO_SYSTEM_RESOURCES = 1450  # 0x800705AA: not enough memory on the node
DISK_FULL = 112
FILE_EXISTS = 80
BUSY = 170
NO_ENDPOINT = 1753  # the cluster service is not running on this node
RESOURCE_NOT_FOUND = 5007
OBJECT_ALREADY_EXISTS = 5010
GROUP_NOT_FOUND = 5013
NODE_NOT_POSSIBLE_OWNER = 5016
INVALID_STATE = 5023
NODE_NOT_FOUND = 5042
AFFINITY_CONFLICT = 5971  # ERROR_CLUSTER_AFFINITY_CONFLICT
NODE_DOWN = 5050
NODE_PAUSED = 5070
NO_QUORUM = 5925
GROUP_LOCKED = 5960

UNSPECIFIED = 0x80004005
CONNECTION_RESET = 0x80072746
STORAGE_PROVIDER = 0xC03A0014  # stale ISO or VHD
INVALID_PARAMETER = 0x80070057

_CLUSTER = "Microsoft.FailoverClusters.PowerShell."
_HYPER_V = "Microsoft.HyperV.PowerShell."
_AUTOMATION = "System.Management.Automation."
_GENERIC_HRESULT = -2146233087  # 0x80131501, what .NET gives an exception without a better one


class NodeUnreachable(Exception):
    """The node is powered off: whoever serves it cuts the connection."""


class NodeHangs(NodeUnreachable):
    """The node accepts the connection and does not answer before `until` (world seconds)."""

    def __init__(self, message: str, until: float) -> None:
        super().__init__(message)
        self.until = until


class Refusal(Exception):
    """The cluster or a hypervisor will not do it. `code` is a Win32 code or an HRESULT."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def hresult(code: int) -> int:
    """A Win32 code or unsigned HRESULT as the signed number that .NET shows."""
    unsigned = code if code > 0xFFFF else 0x80070000 | code
    return unsigned - 2**32 if unsigned >= 2**31 else unsigned


def cluster_error(cmdlet: str, refusal: Refusal) -> CmdletError:
    """A refusal as a FailoverClusters cmdlet reports it."""
    word, category = {
        NO_ENDPOINT: ("ClusterEndpointNotRegistered", "ConnectionError"),
        RESOURCE_NOT_FOUND: ("ClusterObjectNotFound", "ObjectNotFound"),
        GROUP_NOT_FOUND: ("ClusterObjectNotFound", "ObjectNotFound"),
        NODE_NOT_FOUND: ("ClusterObjectNotFound", "ObjectNotFound"),
    }.get(refusal.code, (cmdlet, "NotSpecified"))
    return CmdletError(
        fqid=f"{word},{_CLUSTER}{cmdlet.replace('-', '')}Command",
        category=category,
        exception_type=_CLUSTER + "ClusterCmdletException",
        message=refusal.message,
        hresult=hresult(refusal.code),
    )


def hyper_v_error(cmdlet: str, refusal: Refusal) -> CmdletError:
    """A refusal as a Hyper-V cmdlet reports it."""
    word, category = {
        ACCESS_DENIED: ("AccessDenied", "PermissionDenied"),
        INVALID_PARAMETER: ("InvalidParameter", "InvalidArgument"),
        INVALID_STATE: ("InvalidState", "InvalidOperation"),
        FILE_NOT_FOUND: ("ObjectNotFound", "ObjectNotFound"),
    }.get(refusal.code, ("OperationFailed", "NotSpecified"))
    return CmdletError(
        fqid=f"{word},{_HYPER_V}Commands.{cmdlet.replace('-', '')}",
        category=category,
        exception_type=_HYPER_V + "VirtualizationException",
        message=refusal.message,
        hresult=hresult(refusal.code),
    )


def vm_not_found(fqid: str, wanted: str) -> CmdletError:
    """Get-VM finds no such VM on this node; three spellings are known (see `Doubts`)."""
    category = "ObjectNotFound" if fqid.startswith("ObjectNotFound") else "InvalidArgument"
    return CmdletError(
        fqid=fqid,
        category=category,
        exception_type=_HYPER_V + "VirtualizationException",
        message=f'Hyper-V was unable to find a virtual machine with "{wanted}".',
        hresult=_GENERIC_HRESULT,
    )


def command_not_found(cmdlet: str) -> CmdletError:
    return CmdletError(
        fqid="CommandNotFoundException",
        category="ObjectNotFound",
        exception_type=_AUTOMATION + "CommandNotFoundException",
        message=f"The term '{cmdlet}' is not recognized as the name of a cmdlet.",
        hresult=_GENERIC_HRESULT,
    )


def binding_error(cmdlet: str, word: str, message: str) -> CmdletError:
    """The parameter binder refuses a call; `word` is e.g. NamedParameterNotFound."""
    return CmdletError(
        fqid=f"{word},{cmdlet}",
        category="InvalidArgument",
        exception_type=_AUTOMATION + "ParameterBindingException",
        message=message,
        hresult=_GENERIC_HRESULT,
    )
