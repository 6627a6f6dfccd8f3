"""How observer and actuator reach a node, whatever lies between."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

READ_ONLY = frozenset({"ping", "observe", "moveTrace", "doctor"})
"""Operations that change nothing and may be asked again whenever an answer is lost."""
STARTS_A_JOB = frozenset({"registerVm", "createVm"})
Barred = Callable[[str], str | None]
"""Intent id, empty for a command without -> why it must not leave now; None when it may."""


class NodeCaller(Protocol):
    """Has operations of docs/protocol.md done on nodes."""

    async def call(
        self, node: str, operation: str, arguments: Mapping[str, Any], *, timeout_seconds: float
    ) -> Mapping[str, Any]:
        """The data of the reply. Comes back, one way or the other, soon after the time is up.

        Raises Unreachable, LogonRefused or Busy when nothing was executed; RemoteFailed,
        ProtocolBroken, or OutcomeUnknown when it may have been.
        """
        ...

    async def close(self) -> None:
        """Let go of everything within seconds; never raises."""
        ...
