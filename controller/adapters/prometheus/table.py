"""Every metric, declared once: name, help, kind, labels, and the closed sets of their values.

`cluster` is the first label of each. Labels are bounded: enums, nodes, sources and revisions in
force; never the name of a VM. A series whose labels are closed enums stands at zero from the start,
so that a rate or an alert on it has something to begin with. docs/metrics.md explains them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, StrEnum
from itertools import product

from controller.model.observed import MigrationPhase
from controller.model.plan import ActionKind, HoldReason, Verdict
from controller.model.policy import Mode
from controller.model.report import OutcomeResult
from controller.model.source import SourceRefusal


class Kind(Enum):
    """How Prometheus reads a metric."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


class CyclePhase(StrEnum):
    """The parts of one cycle that are timed."""

    DOCTOR = "doctor"
    OBSERVE = "observe"
    TRACE = "moveTrace"
    PLAN = "plan"


class Operation(StrEnum):
    """The operations of docs/protocol.md."""

    PING = "ping"
    OBSERVE = "observe"
    MOVE = "moveRole"
    START = "startRole"
    SET_ROLE = "setRole"
    SET_PROCESSOR = "setProcessor"
    REGISTER = "registerVm"
    CREATE = "createVm"
    CLAIM = "claimEpoch"
    SUSPEND_NODE = "suspendNode"
    RESUME_NODE = "resumeNode"
    SET_FOLDERS = "setFolders"


class Brake(StrEnum):
    """What slows or stops changes although they are due and possible: HoldReasons of that kind."""

    STOPPED = HoldReason.STOPPED.value
    PAUSED = HoldReason.PAUSED.value
    APPROVAL_NEEDED = HoldReason.APPROVAL_NEEDED.value
    SPECS_SHRANK = HoldReason.SPECS_SHRANK.value
    CANARY = HoldReason.CANARY.value
    CONTESTED = HoldReason.CONTESTED.value
    FAILURES = HoldReason.FAILURES.value
    OUTCOMES_UNKNOWN = HoldReason.OUTCOMES_UNKNOWN.value
    TOO_MANY_UNKNOWN = HoldReason.TOO_MANY_UNKNOWN.value
    NODES_DARK = HoldReason.NODES_DARK.value
    CLOCK_JUMPED = HoldReason.CLOCK_JUMPED.value


class MovePhase(StrEnum):
    """The parts of a live migration of ours that are timed, as far as the nodes tell them."""

    QUEUED = MigrationPhase.QUEUED.value
    PREPARING = MigrationPhase.PREPARING.value
    TRANSFERRING = MigrationPhase.TRANSFERRING.value
    SWITCHING = MigrationPhase.SWITCHING.value
    WHOLE = "Whole"


class RequestResult(StrEnum):
    """How a call to a node ended: with an answer, or with one of the errors that cross a border."""

    ANSWERED = "Answered"
    UNREACHABLE = "Unreachable"
    LOGON_REFUSED = "LogonRefused"
    BUSY = "Busy"
    REMOTE_FAILED = "RemoteFailed"
    OUTCOME_UNKNOWN = "OutcomeUnknown"
    PROTOCOL_BROKEN = "ProtocolBroken"
    MISCONFIGURED = "SpecError"


class Queue(StrEnum):
    """The work queues: each cluster has one."""

    RECONCILE = "reconcile"


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A label; `values` is its closed set, None where the cluster decides (nodes, revisions)."""

    name: str
    values: type[StrEnum] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric. `labels` are those beside `cluster`."""

    name: str
    kind: Kind
    help: str
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def label_names(self) -> tuple[str, ...]:
        """All labels, `cluster` first."""
        return ("cluster", *(label.name for label in self.labels))

    def zeros(self) -> Iterator[tuple[str, ...]]:
        """Label values, without the cluster, that stand at zero from the start."""
        sets = [label.values for label in self.labels]
        if all(values is not None for values in sets):
            yield from product(*([v.value for v in values] for values in sets if values))


_NODE = Label(name="node")
_SOURCE = Label(name="source")
_KIND = Label(name="kind", values=ActionKind)

_GAUGES = (
    Metric(
        name="ownernode_vms",
        kind=Kind.GAUGE,
        help="Declared VMs by their verdict.",
        labels=(Label(name="verdict", values=Verdict),),
    ),
    Metric(
        name="ownernode_drifted_vms",
        kind=Kind.GAUGE,
        help="Declared VMs that are known to differ from their declaration.",
    ),
    Metric(
        name="ownernode_drift_age_seconds",
        kind=Kind.GAUGE,
        help="Time since the longest-drifted VM was last seen as declared; 0 without drift.",
    ),
    Metric(
        name="ownernode_holds",
        kind=Kind.GAUGE,
        help="Changes that are due and do not start now, by reason.",
        labels=(Label(name="reason", values=HoldReason),),
    ),
    Metric(
        name="ownernode_brake_engaged",
        kind=Kind.GAUGE,
        help="1 while a brake, a stop or a pause holds anything.",
        labels=(Label(name="brake", values=Brake),),
    ),
    Metric(
        name="ownernode_approval_waiting",
        kind=Kind.GAUGE,
        help="Plans and changes of specs that wait for somebody to approve them.",
    ),
    Metric(
        name="ownernode_actions_in_flight",
        kind=Kind.GAUGE,
        help="Actions of this controller whose end has not been seen yet.",
        labels=(_KIND,),
    ),
    Metric(
        name="ownernode_actions_unknown",
        kind=Kind.GAUGE,
        help="Open actions of which it is not known whether the command arrived.",
    ),
    Metric(
        name="ownernode_moves_planned",
        kind=Kind.GAUGE,
        help="Live migrations in the plan of the last cycle.",
    ),
    Metric(
        name="ownernode_plan_lower_bound_moves",
        kind=Kind.GAUGE,
        help="Fewest live migrations that any plan for the same state would need.",
    ),
    Metric(
        name="ownernode_plan_seconds",
        kind=Kind.GAUGE,
        help="Estimated time until the plan of the last cycle is carried out.",
    ),
    Metric(
        name="ownernode_node_up",
        kind=Kind.GAUGE,
        help="1 while the node is Up in the cluster and answered in the last cycle.",
        labels=(_NODE,),
    ),
    Metric(
        name="ownernode_node_default_paths_wrong",
        kind=Kind.GAUGE,
        help="1 where the node's default folders are not as defaultPaths would have them.",
        labels=(_NODE,),
    ),
    Metric(
        name="ownernode_node_observation_timestamp_seconds",
        kind=Kind.GAUGE,
        help="When the node's own answer was last read.",
        labels=(_NODE,),
    ),
    Metric(
        name="ownernode_node_memory_available_bytes",
        kind=Kind.GAUGE,
        help="Memory that the node measured as available.",
        labels=(_NODE,),
    ),
    Metric(
        name="ownernode_observation_complete",
        kind=Kind.GAUGE,
        help="1 when every node that should have answered did in the last cycle.",
    ),
    Metric(
        name="ownernode_last_successful_cycle_timestamp_seconds",
        kind=Kind.GAUGE,
        help="When the last cycle with a complete observation and an accepted plan ended.",
    ),
    Metric(
        name="ownernode_spec_revision_info",
        kind=Kind.GAUGE,
        help="1 for the revision of the specs in force.",
        labels=(_SOURCE, Label(name="revision")),
    ),
    Metric(
        name="ownernode_spec_findings",
        kind=Kind.GAUGE,
        help="Faults in the specs as they are now.",
        labels=(_SOURCE,),
    ),
    Metric(
        name="ownernode_spec_refused",
        kind=Kind.GAUGE,
        help="1 while the newest revision of the source is not in force.",
        labels=(_SOURCE,),
    ),
    Metric(
        name="ownernode_spec_refused_info",
        kind=Kind.GAUGE,
        help="1 for the reason why the newest revision is not in force.",
        labels=(_SOURCE, Label(name="reason", values=SourceRefusal)),
    ),
    Metric(
        name="ownernode_spec_fetched_timestamp_seconds",
        kind=Kind.GAUGE,
        help="When the repository last answered; repositories only.",
        labels=(_SOURCE,),
    ),
    Metric(
        name="ownernode_undeclared_vms",
        kind=Kind.GAUGE,
        help="VMs that a spec declared once and none declares now; nothing is done to them.",
    ),
    Metric(
        name="ownernode_spec_last_applied_timestamp_seconds",
        kind=Kind.GAUGE,
        help="When the revision in force was first acted by.",
        labels=(_SOURCE,),
    ),
    Metric(
        name="ownernode_mode_info",
        kind=Kind.GAUGE,
        help="1 for the mode in force.",
        labels=(Label(name="mode", values=Mode),),
    ),
    Metric(
        name="ownernode_leader",
        kind=Kind.GAUGE,
        help="1 while this process may act; 0 while another replica leads.",
    ),
    Metric(
        name="ownernode_build_info",
        kind=Kind.GAUGE,
        help="1 for the version that is running.",
        labels=(Label(name="version"),),
    ),
)
_COUNTERS = (
    Metric(
        name="ownernode_actions_total",
        kind=Kind.COUNTER,
        help="Actions by kind and by what was known right after the command.",
        labels=(_KIND, Label(name="result", values=OutcomeResult)),
    ),
    Metric(
        name="ownernode_foreign_moves_total",
        kind=Kind.COUNTER,
        help="Changes of owner node that this controller did not order.",
    ),
    Metric(
        name="ownernode_move_bytes_total",
        kind=Kind.COUNTER,
        help="Memory of the VMs whose move by this controller was seen done.",
    ),
    Metric(
        name="ownernode_winrm_requests_total",
        kind=Kind.COUNTER,
        help="Calls to nodes by operation and by how they ended.",
        labels=(
            Label(name="operation", values=Operation),
            Label(name="result", values=RequestResult),
        ),
    ),
    Metric(
        name="ownernode_logon_failures_total",
        kind=Kind.COUNTER,
        help="Log-ons of the cluster's account that a node refused.",
    ),
)
_HISTOGRAMS = (
    Metric(
        name="ownernode_cycle_seconds",
        kind=Kind.HISTOGRAM,
        help="Time that the parts of a cycle took.",
        labels=(Label(name="phase", values=CyclePhase),),
        buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
    ),
    Metric(
        name="ownernode_move_phase_seconds",
        kind=Kind.HISTOGRAM,
        help="Time that moves of this controller spent in each phase, from look to look.",
        labels=(Label(name="phase", values=MovePhase),),
        buckets=(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0),
    ),
    Metric(
        name="ownernode_move_pause_seconds",
        kind=Kind.HISTOGRAM,
        help="How long guests stood still in moves of this controller, where a node reported it.",
        buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
    ),
    Metric(
        name="ownernode_loop_lag_seconds",
        kind=Kind.HISTOGRAM,
        help="How late the event loop of the process woke up; the same for all its clusters.",
        buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0),
    ),
)
_QUEUE = Label(name="name", values=Queue)
_QUEUE_SECONDS = (0.001, 0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
WORK = (
    Metric(
        name="workqueue_depth",
        kind=Kind.GAUGE,
        help="Cycles that are due and have not begun.",
        labels=(_QUEUE,),
    ),
    Metric(
        name="workqueue_unfinished_work_seconds",
        kind=Kind.GAUGE,
        help="How long the cycle under way has taken so far.",
        labels=(_QUEUE,),
    ),
    Metric(
        name="workqueue_longest_running_processor_seconds",
        kind=Kind.GAUGE,
        help="The same, under the name that existing dashboards ask for.",
        labels=(_QUEUE,),
    ),
    Metric(
        name="workqueue_adds_total",
        kind=Kind.COUNTER,
        help="Cycles that became due.",
        labels=(_QUEUE,),
    ),
    Metric(
        name="workqueue_retries_total",
        kind=Kind.COUNTER,
        help="Cycles that ended in a programming error and are tried again.",
        labels=(_QUEUE,),
    ),
    Metric(
        name="workqueue_queue_duration_seconds",
        kind=Kind.HISTOGRAM,
        help="Time from due to begun.",
        labels=(_QUEUE,),
        buckets=_QUEUE_SECONDS,
    ),
    Metric(
        name="workqueue_work_duration_seconds",
        kind=Kind.HISTOGRAM,
        help="Time that a whole cycle took.",
        labels=(_QUEUE,),
        buckets=_QUEUE_SECONDS,
    ),
)
"""In controller-runtime's names and shapes, so that dashboards made for it work."""
METRICS = (*_GAUGES, *_COUNTERS, *_HISTOGRAMS, *WORK)

_OF_VM = (Label(name="vm"), Label(name="group"))
PER_VM = (
    Metric(
        name="ownernode_vm_info",
        kind=Kind.GAUGE,
        help="1 for each declared VM that was seen, with what other exporters know it by.",
        labels=(*_OF_VM, Label(name="vm_id"), Label(name="spec")),
    ),
    Metric(
        name="ownernode_vm_owner_node",
        kind=Kind.GAUGE,
        help="1 for the node that owns the VM.",
        labels=(*_OF_VM, Label(name="node_name")),
    ),
    Metric(
        name="ownernode_vm_settled",
        kind=Kind.GAUGE,
        help="1 while the VM is as its spec declares it.",
        labels=_OF_VM,
    ),
)
"""Only with --vm-metrics. `vm`, `group` and `node_name` are named as in windows_exporter."""
