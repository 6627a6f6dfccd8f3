"""The forty faults of the catalogue, and what people do beside them. How: `deeds`, `people`.

A fault is a line of a schedule: when, which, on what, for how long.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from tests.support.in_process import Call


class Kind(Enum):
    """The catalogue, by number; above it, what people do that no fault is."""

    REPLY_LOST = 1
    REQUEST_LOST = 2
    DUPLICATED = 3
    DELAYED = 4
    REORDERED = 5
    STALE_ANSWER = 6
    OTHER_NODES_ANSWER = 7
    PARTIAL_ANSWER = 8
    MALFORMED = 9
    HANG = 10
    DRIP = 11
    RESET = 12
    TLS_BAD = 13
    LOGON_REFUSED = 14
    LOGON_EXPIRED = 15
    NODE_CRASH = 16
    REBOOT = 17
    PAUSE = 18
    ISOLATE = 19
    QUARANTINE = 20
    PARTITION = 21
    ONE_WAY_PARTITION = 22
    QUORUM_LOSS = 23
    FLAP = 24
    MIGRATION_FAILS = 25
    FAILS_BUT_OWNER_MOVED = 26
    MIGRATION_NEVER_ENDS = 27
    FOREIGN_MOVE = 28
    BALANCER_WAVE = 29
    FAILBACK = 30
    BACKUP_LOCK = 31
    VM_STATE_CHANGE = 32
    MEMORY_GROWS = 33
    DISK_FULL = 34
    GIT_OUTAGE = 35
    BAD_COMMIT = 36
    CONTROLLER_CRASH = 37
    FREEZE = 38
    CLOCK_JUMP = 39
    JOURNAL_ERROR = 40
    # ---- what people do
    OLD_JOURNAL = 101
    STOP = 102
    PAUSE_VM = 103
    PAUSE_NODE = 104
    CLUSTER_FLAG = 105
    SPECS_VANISH = 106


class Gap(Enum):
    """Whether a fault waits, after its time, for a command, and strikes that command's VM."""

    NONE = ""
    BEFORE = ", right before the next command takes effect"
    AFTER = ", right after the next command took effect"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault of a schedule."""

    at_seconds: float
    kind: Kind
    seconds: float
    """How long it lasts, where it lasts."""
    node: str
    vm: str
    salt: int
    """Decides what is left open, such as which command is hit."""
    gap: Gap = Gap.NONE

    @property
    def chance(self) -> random.Random:
        """Its own dice, the same in every run and whatever else happens."""
        return random.Random(self.salt)

    def __str__(self) -> str:
        return (
            f"{self.at_seconds:.0f} s{self.gap.value}: F{self.kind.value} {self.kind.name.lower()}"
            f" node {self.node}, VM {self.vm}, {self.seconds:.0f} s, salt {self.salt}"
        )


CATALOGUE = tuple(kind for kind in Kind if kind.value <= 40)
PEOPLE = tuple(kind for kind in Kind if kind.value > 100)
IN_THE_GAP = frozenset(
    {
        Kind.NODE_CRASH,
        Kind.PAUSE,
        Kind.ISOLATE,
        Kind.FOREIGN_MOVE,
        Kind.BACKUP_LOCK,
        Kind.VM_STATE_CHANGE,
        Kind.MEMORY_GROWS,
        Kind.DISK_FULL,
        Kind.MIGRATION_FAILS,
    }
)
"""Those that are also played between look and command, and between two commands."""
LASTS_SECONDS: Mapping[Kind, tuple[float, float]] = {
    Kind.NODE_CRASH: (300.0, 1500.0),
    Kind.REBOOT: (60.0, 230.0),
    Kind.ISOLATE: (15.0, 230.0),
    Kind.PARTITION: (250.0, 900.0),
    Kind.QUARANTINE: (30.0, 120.0),
    Kind.QUORUM_LOSS: (30.0, 600.0),
    Kind.FLAP: (60.0, 600.0),
    Kind.CONTROLLER_CRASH: (1.0, 120.0),
    Kind.JOURNAL_ERROR: (1.0, 120.0),
    Kind.GIT_OUTAGE: (60.0, 1800.0),
}
"""Where the usual half minute to quarter of an hour is not what makes the fault."""


def called(call: Call, fault: Fault, names: Callable[[str], str | None]) -> Fault:
    """The fault turned on the VM and the nodes of a command that is about to take effect."""
    arguments = call.arguments
    # A claim of the cluster is about no VM: then the fault keeps its own.
    vm = names(str(arguments.get("vmId", ""))) or str(arguments.get("name", fault.vm))
    target = str(arguments.get("target") or call.node)
    ends = (call.node, target, target)
    if fault.kind is Kind.FOREIGN_MOVE and call.operation == "moveRole":
        ends = (fault.node,)
    return replace(fault, vm=vm, node=fault.chance.choice(ends))
