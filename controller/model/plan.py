"""What would happen, in order, and why; and what is due and does not happen, and why not.

Every enum here is closed: tests, metrics, status, sentences and goldens are renderings of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from controller.model.checks import CheckResult
from controller.model.desired import VMTemplate
from controller.model.setting import Change


class Verdict(StrEnum):
    """The one state of one declared VM."""

    SETTLED = "Settled"
    MISPLACED = "Misplaced"
    MOVING = "Moving"
    MISSING = "Missing"
    CREATING = "Creating"
    UNREGISTERED = "Unregistered"
    REGISTERING = "Registering"
    NOT_STARTED = "NotStarted"
    """Its role is offline, and our one start after creating or registering it is due."""
    STARTING = "Starting"
    CONFIGURING = "Configuring"
    """A setting of its role, or its own, is being written by us."""
    UNKNOWN = "Unknown"
    SUSPENDED = "Suspended"
    CONFLICT = "Conflict"
    """Two specs for one VM, or two VMs for one spec."""
    IMPOSSIBLE = "Impossible"
    """No placement obeys its hard rules as things are."""


class ActionKind(StrEnum):
    """The only changes that exist. None of them stops, saves or deletes anything."""

    MOVE = "Move"
    REGISTER = "Register"
    CREATE = "Create"
    START = "Start"
    CONFIGURE = "Configure"
    """One setting of a role, or of a VM that is off."""
    SUSPEND_NODE = "SuspendNode"
    """The node takes no VMs from then on; nothing leaves it by that (docs/maintenance.md)."""
    RESUME_NODE = "ResumeNode"
    CONFIGURE_NODE = "ConfigureNode"
    """The default folders of a node, for VMs to be made there (docs/default-paths.md)."""


class ActionReason(StrEnum):
    """Why an action is due."""

    NOT_ON_PREFERRED = "NotOnPreferred"
    """On a possible node that is not preferred, and enforcement is Required."""
    EARLIER_PREFERRED_FREE = "EarlierPreferredFree"
    OUTSIDE_POSSIBLE = "OutsidePossible"
    MAKES_ROOM = "MakesRoom"
    """Right where it is, but another's hard rule needs its room."""
    HOP = "Hop"
    """A stop on the way, because two full nodes must swap."""
    HOP_RETURN = "HopReturn"
    NOT_HIGHLY_AVAILABLE = "NotHighlyAvailable"
    ABSENT = "Absent"
    CREATED_BY_US = "CreatedByUs"
    REGISTERED_BY_US = "RegisteredByUs"
    NOT_AS_DECLARED = "NotAsDeclared"
    """A setting is not as the specs say."""
    NODE_NOT_AS_DECLARED = "NodeNotAsDeclared"
    """A node's default folders are not the declared one."""
    MAINTENANCE = "Maintenance"
    """Its node is to be empty for maintenance."""
    MAINTENANCE_OVER = "MaintenanceOver"


class HoldReason(StrEnum):
    """Why a change that is due does not start now. Each has its own release."""

    # about the whole cluster
    CLUSTER_CHANGED = "ClusterChanged"
    """Another cluster answers than the one that the journal is of."""
    EVIDENCE_OLD = "EvidenceOld"
    TOO_MANY_UNKNOWN = "TooManyUnknown"
    NODES_DARK = "NodesDark"
    FIRST_CYCLES = "FirstCycles"
    JOURNAL_BROKEN = "JournalBroken"
    AUDIT_VETO = "AuditVeto"
    BALANCER_ON = "BalancerOn"
    LOCAL_ACCOUNT = "LocalAccount"
    NOT_FIT = "NotFit"
    EPOCH_NOT_CLAIMED = "EpochNotClaimed"
    """The cluster database does not show our own fencing epoch, or two nodes do not agree on it."""
    SUPERSEDED = "Superseded"
    """Another controller claimed a newer epoch: this process only looks until it is restarted."""
    STOPPED = "Stopped"
    """Somebody ordered a stop."""
    SUGGESTED = "Suggested"
    """Mode Suggest: the plan waits for somebody's yes."""
    CLOCK_JUMPED = "ClockJumped"
    """The clock went back, or nothing was looked at for long: what was seen before says little."""
    OUTCOMES_UNKNOWN = "OutcomesUnknown"
    """Too many commands of which nobody knows whether they left."""
    FAILURES = "Failures"
    """Too many of the last commands had no effect."""
    SPECS_SHRANK = "SpecsShrank"
    """Many VMs vanished from the specs at once."""
    OUTSIDE_WINDOW = "OutsideWindow"
    QUORUM_AT_RISK = "QuorumAtRisk"
    # about one VM
    VIEW_INCOMPLETE = "ViewIncomplete"
    """Not seen, while a node is dark: it may be there."""
    OWNER_DISAGREES = "OwnerDisagrees"
    """The cluster names one node, Hyper-V runs it on another."""
    OUTCOME_OPEN = "OutcomeOpen"
    MIGRATION_UNDER_WAY = "MigrationUnderWay"
    NOT_RUNNING = "NotRunning"
    LOCKED = "Locked"
    BUSY = "Busy"
    FAILBACK_UNDER_WAY = "FailbackUnderWay"
    """The cluster returns to its node what was drained from it."""
    FOREIGN_MOVE = "ForeignMove"
    COOLDOWN = "Cooldown"
    REFUSED = "Refused"
    """Nodes refused the same command for it again and again: it is asked again ever later."""
    MIGRATION_NEVER = "MigrationNever"
    SUSPENDED = "Suspended"
    SPEC_CONFLICT = "SpecConflict"
    NAME_AMBIGUOUS = "NameAmbiguous"
    NAME_TAKEN_BY_ANOTHER = "NameTakenByAnother"
    """The id bound to this spec is gone and another VM bears the name."""
    NO_TEMPLATE = "NoTemplate"
    HALF_CREATED = "HalfCreated"
    DISK_IN_USE = "DiskInUse"
    """A disk of its template belongs to another VM, or to another template as well."""
    ABSENCE_UNCONFIRMED = "AbsenceUnconfirmed"
    """Creation waits for a second complete look without the VM."""
    NOT_CLUSTERED = "NotClustered"
    """Only a clustered VM is moved, and its spec does not ask for registration."""
    HA_BLOCKED = "HABlocked"
    ROLE_NOT_ONLINE = "RoleNotOnline"
    NEEDS_OFF = "NeedsOff"
    """What its spec asks for can be set only while it is off, which is a person's to bring about.
    """
    PAUSED = "Paused"
    """Somebody paused the VM, or a node that it is on or would go to."""
    CONTESTED = "Contested"
    """Moved by us too often in a day: somebody or something wants it elsewhere."""
    APPROVAL_NEEDED = "ApprovalNeeded"
    """One change of the specs touches more VMs than may be changed unasked."""
    CANARY = "Canary"
    """The first moves of a big change are to be seen done before the rest starts."""
    FAILBACK_WINDOW = "FailbackWindow"
    """Its failback waits for a window that allows changes."""
    WINDOW_ENDS = "WindowEnds"
    """It would not be done before the window ends."""
    # about where it would go
    NODE_NOT_STABLE = "NodeNotStable"
    """The target came back not long ago."""
    NODE_FAILURES = "NodeFailures"
    """After it, the loss of a node could no longer be borne."""
    NODE_LIMIT = "NodeLimit"
    CLUSTER_LIMIT = "ClusterLimit"
    FAULT_DOMAIN = "FaultDomain"
    """VMs of another fault domain are under way."""
    PREFLIGHT = "Preflight"
    """A check says that the VM can't be moved live as it is, wherever to."""
    TARGET_UNFIT = "TargetUnfit"
    NO_ROOM = "NoRoom"
    NO_ROOM_YET = "NoRoomYet"
    """Room comes when another action of this plan is done."""
    NO_HOP = "NoHop"
    NODE_UNKNOWN = "NodeUnknown"
    """The spec names a node that the cluster does not have."""
    RULES_CONFLICT = "RulesConflict"
    PINNED = "Pinned"
    """Its node is to be empty for maintenance, and its spec allows no other."""
    # about a node to suspend or to resume
    NODE_AWAY = "NodeAway"
    """Another node is away, paused or in maintenance: one at a time."""
    NODE_NOT_UP = "NodeNotUp"
    """It is in no state to be suspended or resumed."""
    NODE_PAUSED = "NodePaused"
    """Somebody else paused or drained it."""
    NODE_IN_USE = "NodeInUse"
    """VMs are on their way to it."""
    NODE_IN_MAINTENANCE = "NodeInMaintenance"
    """It is being emptied, or suspended or resumed right now."""
    FOLDER_NOT_SHARED = "FolderNotShared"
    """The declared default folder is on no cluster shared volume that the node can use."""


class MaintenancePhase(StrEnum):
    """How far the maintenance of a node got."""

    PLANNED = "Planned"
    """Its window has not begun."""
    LEFT_ALONE = "LeftAlone"
    """Its document says `suspend: true`, or contradicts another."""
    WAITS = "Waits"
    """It is due, and a hold on the node says why nothing is done."""
    SUSPENDING = "Suspending"
    EMPTYING = "Emptying"
    """VMs leave it, or will."""
    NOT_EMPTY = "NotEmpty"
    """What remains can't leave as things are."""
    EMPTY = "Empty"
    ENDING = "Ending"
    """It is over, and the node is to be resumed."""
    OVER = "Over"


class Remains(StrEnum):
    """Why a VM is still on a node that is to be empty."""

    LEAVES = "Leaves"
    """It moves, or is about to."""
    OFF = "Off"
    PINNED = "Pinned"
    """By its spec, by the cluster or by its equipment it may be nowhere else."""
    NOT_CLUSTERED = "NotClustered"
    NO_ROOM = "NoRoom"
    NO_SPEC = "NoSpec"
    """No spec names it, so it is never touched."""
    WAITS = "Waits"
    """Held for a reason that passes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One change. `id` is stable within a plan; the executor derives the intent id from it."""

    id: str
    kind: ActionKind
    key: str
    vm: str
    vm_id: str | None
    """None only for Create."""
    source: str | None
    """Owner node that it was planned from; None for Create."""
    target: str
    reason: ActionReason
    wave: int
    """0: may start now. n: starts when actions of earlier waves have made room for it."""
    after: tuple[str, ...] = ()
    """Ids of the actions that must be seen done before."""
    memory_bytes: int = 0
    seconds_estimated: float = 0.0
    because_of: str | None = None
    """The VM for whose sake a MakesRoom or Hop action is done."""
    template: VMTemplate | None = None
    change: Change | None = None
    """Of Configure and ConfigureNode, and of nothing else."""
    checks: tuple[CheckResult, ...] = ()
    """Register only: the high-availability report of the VM."""

    @property
    def is_on_node(self) -> bool:
        """Whether it changes a node and not a VM: then `key` and `vm` are the node's."""
        return self.is_maintenance or self.kind is ActionKind.CONFIGURE_NODE

    @property
    def is_maintenance(self) -> bool:
        """Whether it begins or ends the maintenance of a node."""
        return self.kind in (ActionKind.SUSPEND_NODE, ActionKind.RESUME_NODE)

    @property
    def is_hop(self) -> bool:
        """Whether it is a stop on the way or the return from one."""
        return self.reason in (ActionReason.HOP, ActionReason.HOP_RETURN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A change that is due and not made now. An empty `key`: it stops the whole cluster."""

    key: str
    vm: str
    reason: HoldReason
    evidence: Mapping[str, str] = field(default_factory=dict)
    """What it rests on: node names, times (ISO 8601), figures with their unit in the name."""
    until: datetime | None = None
    """When it releases by itself; None where something else must happen first."""
    since: datetime | None = None
    """In a report: since when the running process has seen it without a break."""
    action: ActionKind | None = None
    target: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where one declared VM stands."""

    key: str
    vm: str
    vm_id: str | None
    verdict: Verdict
    owner: str | None
    declared: str | None
    """Its best choice that can take it as things are; None where any node is right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remaining:
    """One VM on a node that is to be empty."""

    vm: str
    vm_id: str
    why: Remains


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceStanding:
    """Where the maintenance of one node stands. A hold of the same key says what it waits for."""

    key: str
    name: str
    """metadata.name of its document; empty where there is none any more."""
    node: str
    phase: MaintenancePhase
    ends: datetime | None = None
    """None: with its document."""
    remaining: tuple[Remaining, ...] = ()
    generation: int = 0
    """metadata.generation of its document in Kubernetes; 0 for files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderStanding:
    """A node whose default folders are not as they should be. A hold of the same key says why they
    are not set."""

    key: str
    node: str
    vms: str
    """Where it puts new VMs."""
    disks: str
    """Where it puts new disks."""
    declared: str | None
    """Where both are to be; None: on any shared storage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Impossible:
    """A wish that cannot be met: the smallest set of conflicting rules, the cheapest way out."""

    vms: tuple[str, ...]
    rules: tuple[str, ...]
    """Names of checks, or `rule: detail`."""
    explanation: str
    resolution: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Evidence that the plan is legal and, where proved, that none costs less.

    Costs are GiB of migration.
    """

    cost_gib: float
    lower_bound_gib: float
    proved_optimal: bool
    moves: int
    hops: int
    moves_lower_bound: int
    seconds_estimated: float
    seconds_lower_bound: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All changes in order, with reasons; and everything due that is held."""

    cluster: str
    revision: str
    digest: str
    """Hash of what it rests on and what it does; equal input gives equal bytes."""
    observed_at: datetime
    actions: tuple[Action, ...]
    holds: tuple[Hold, ...]
    standings: tuple[Standing, ...]
    impossible: tuple[Impossible, ...]
    certificate: Certificate
    maintenances: tuple[MaintenanceStanding, ...] = ()
    folders: tuple[FolderStanding, ...] = ()
    """By name of the node; none where nobody asked to be told."""

    def ready(self) -> tuple[Action, ...]:
        """The actions that may start now, whatever order they end in."""
        return tuple(a for a in self.actions if a.wave == 0)

    @property
    def moves(self) -> tuple[Action, ...]:
        """The changes of owner among the actions."""
        return tuple(a for a in self.actions if a.kind is ActionKind.MOVE)

    def hold_for(self, key: str) -> Hold | None:
        """The hold on that VM, if any."""
        return next((h for h in self.holds if h.key == key), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFinding:
    """A rule that the plan would break: nothing is executed."""

    rule: str
    action: str | None
    detail: str
