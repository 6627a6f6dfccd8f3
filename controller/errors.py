"""The errors that cross a boundary, each saying what its catcher should do.

    OwnernodeError
    ├── SpecError            wait      the operator's own configuration is wrong; mend it first
    ├── Unreachable          retry     a node, or the way to it, gave no answer; nothing executed
    ├── LogonRefused         stall     credential refused; a further try could lock the account
    ├── Busy                 retry     the node has no room for the call (quota)
    ├── RemoteFailed         retry     the node executed the call and reports an error
    ├── OutcomeUnknown       settle    the call may have been executed; only observation can tell
    ├── ProtocolBroken       bug       the other side does not speak what docs/protocol.md describes
    └── JournalBroken        stop      nothing can be made durable; only observing is allowed

Programming errors are ordinary exceptions: they end the cycle of one cluster, never the process.
"""


class OwnernodeError(Exception):
    """Base of every error that another layer is meant to handle."""


class SpecError(OwnernodeError):
    """The operator's configuration cannot be used; the message says where and what is expected."""


class Unreachable(OwnernodeError):
    """No answer, and certainly nothing executed: refused, name unknown, TLS check failed."""


class LogonRefused(OwnernodeError):
    """The credential was refused. Do not try again before the breaker allows it."""


class Busy(OwnernodeError):
    """A quota or a full pipe on the node; nothing was executed, a later call may pass."""


class RemoteFailed(OwnernodeError):
    """The operation ran and failed; `kind` is the remote's error id, language-neutral."""

    def __init__(self, message: str, *, kind: str = "", hresult: int | None = None) -> None:
        super().__init__(message[:256])
        self.kind = kind
        self.hresult = hresult


class OutcomeUnknown(OwnernodeError):
    """The call left, and whether it took effect is not known (time-out, lost process)."""


class ProtocolBroken(OwnernodeError):
    """The reply is not of the documented shape; at most 256 characters of it are carried."""


class JournalBroken(OwnernodeError):
    """The journal cannot be read or written; the controller only observes from here on."""
