"""Every default figure, with its reason, and the policy of one cluster made of them.

A spec may override those that have a field; nothing else in the code holds such a number.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from controller.model.names import fold
from controller.model.window import ChangeWindow

GIB = 1024**3


class Mode(StrEnum):
    """How much the controller may do on a cluster."""

    OBSERVE = "Observe"
    SUGGEST = "Suggest"
    """Each plan waits for somebody's approval."""
    ENFORCE = "Enforce"


class Balancer(StrEnum):
    """What Enforce does while the cluster's own balancer is on."""

    REFUSE = "Refuse"
    COEXIST = "Coexist"


class NativePolicy(StrEnum):
    """What is done about a role's own settings: owner lists, failback, priority."""

    IGNORE = "Ignore"
    REPORT = "Report"
    MANAGE = "Manage"


class DefaultPaths(StrEnum):
    """What is done about the folders in which each node puts new VMs and disks by itself."""

    IGNORE = "Ignore"
    REPORT = "Report"
    MANAGE = "Manage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The limits within which one cluster may be changed."""

    mode: Mode = Mode.OBSERVE
    settings_at_once_max: int = 5
    """VMs with settings being written: whoever switched that on by mistake can still stop it."""
    balancer: Balancer = Balancer.REFUSE
    native_policy: NativePolicy = NativePolicy.IGNORE
    default_paths: DefaultPaths = DefaultPaths.IGNORE
    default_folder: str | None = None
    """Where both default folders of each node are to be. None: on any shared storage."""
    interval_seconds: float = 15.0
    """Between two cycles with nothing in flight; after a completion the next look is sooner."""
    busy_interval_seconds: float = 2.0
    """While something is in flight: a freed slot is noticed within two seconds."""
    evidence_age_max_seconds: float = 60.0
    """From the start of the read. A failover takes less: older facts may be of another world."""
    slow_facts_seconds: float = 300.0
    """Hardware and equipment are read anew so often, and whenever they changed to all appearance.
    """
    slow_facts_age_max_seconds: float = 900.0
    """A check refuses older ones: two readings failed."""
    moves_per_node_max: int = 1
    """In and out together: whether Windows shares the count is documented nowhere."""
    moves_per_cluster_max: int = 2
    unknown_vms_share_max: float = 0.10
    """More unknown VMs than this share: nothing new starts (peers stop between 33 and 55 %)."""
    dark_nodes_share_max: float = 0.25
    memory_reserve_share: float = 0.10
    memory_reserve_bytes_min: int = 4 * GIB
    """Left free on a target; the larger of both counts unless the spec gives one figure."""
    memory_reserve_bytes: int | None = None
    """The spec's own figure in bytes, replacing the two above."""
    foreign_respect_seconds: float = 1800.0
    """A move by others is undone no sooner; an administrator mid-work is not to be fought."""
    cooldown_seconds: float = 600.0
    """Between two moves of the same VM by us; a planned hop and its return count once."""
    moves_per_vm_per_day_max: int = 3
    """By us, at an unchanged spec; a hop and its return count once. More is a fight, not a move."""
    node_stable_seconds: float = 600.0
    """A node that was away takes VMs again after so long: what flaps would be left at once."""
    changes_per_commit_share: float = 0.10
    changes_per_commit_min: int = 5
    """A change of specs that makes more VMs due than both waits for approval: a bad merge."""
    shrink_share: float = 0.05
    shrink_vms_min: int = 2
    """More VMs than both vanishing from the specs at once: the wrong path or branch, not a wish."""
    canary_free_moves: int = 3
    """More moves due at once, and none of this revision proved: first one, then two, then all."""
    failures_max: int = 3
    """Of the last ten commands. Something is wrong that more commands will not mend."""
    failure_pause_seconds: float = 1800.0
    """After that; then one command as a probe, and the rest when it is seen done."""
    unknown_outcomes_max: int = 3
    """Open commands without an answer: the way to the nodes is not to be trusted."""
    look_gap_seconds_min: float = 120.0
    look_gap_intervals: int = 10
    """Longer than both without a look: the clock jumped, or the machine stood still."""
    node_failures_tolerated: int = 0
    """Nodes that may fail with room left for all their VMs."""
    fault_domains: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Folded node name -> what fails together with it, such as a rack. Empty: nobody said.
    What is under way at one time is of one of them: so many VMs are lost with it at most."""
    windows: tuple[ChangeWindow, ...] = ()
    """When changes may start; none: always."""
    settle_seconds: float = 60.0
    """Two complete looks this far apart, both without effect, settle an open intent as not done."""
    complete_cycles_before_acting: int = 2
    """After a start without a journal: complete cycles that show nothing in flight."""
    move_weight_gib: int = 4
    """Cost of one move beside its memory, in GiB of migration."""
    preference_weight_gib: int = 1000
    """Cost of each rank that a VM is away from its first preferred node."""
    bandwidth_bytes_per_second: float = 1.0 * GIB
    """Assumed until migrations were measured; only estimates rest on it."""
    move_overhead_seconds: float = 4.0

    def fault_domain(self, node: str) -> str:
        """What fails together with the node: where nobody said, all of it or the node alone."""
        return self.fault_domains.get(fold(node), f"node {node}" if self.fault_domains else "")

    def reserve_bytes(self, node_memory_bytes: int) -> int:
        """Memory to leave free on a node of this size, in bytes."""
        if self.memory_reserve_bytes is not None:
            return self.memory_reserve_bytes
        return max(
            int(node_memory_bytes * self.memory_reserve_share), self.memory_reserve_bytes_min
        )
