"""What a cycle has to say: status, metrics, page and log are renderings of this one report."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from controller.model.checks import CheckResult
from controller.model.findings import Finding
from controller.model.history import ForeignMove, Intent
from controller.model.observed import Gap, Migration, NodeObserved
from controller.model.plan import Action, ActionKind, AuditFinding, Hold, Plan, Verdict
from controller.model.policy import Mode
from controller.model.setting import Change
from controller.model.source import SourceState, Undeclared


class OutcomeResult(StrEnum):
    """What is known right after a command was given; only observation ends an action."""

    SUBMITTED = "Submitted"
    REFUSED = "Refused"
    """The node found a condition untrue and did nothing."""
    UNKNOWN = "Unknown"
    NOT_SENT = "NotSent"
    """It certainly did not leave: node unreachable before, journal broken, stop flag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The answer to one submitted action."""

    intent_id: str
    action: Action
    result: OutcomeResult
    condition: str | None = None
    """For Refused: the condition's name in docs/protocol.md."""
    found: str | None = None
    detail: str = ""
    code: int | None = None
    """The HRESULT of a cmdlet that failed (`model.failures`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VMReport:
    """One declared VM: exactly one verdict, at most one hold, at most one action in flight."""

    key: str
    vm: str
    vm_id: str | None
    spec: str
    """metadata.name"""
    verdict: Verdict
    owner: str | None
    declared: str | None
    group: str | None = None
    """Name of its role, which need not be the VM's."""
    hold: Hold | None = None
    migration: Migration | None = None
    intent: Intent | None = None
    differs: tuple[Change, ...] = ()
    """Settings of its role that are not as the specs say; none where the cluster ignores them."""
    failed: Intent | None = None
    """Its last move that ended, where it had no effect and a node told why; until it is settled."""
    ha: tuple[CheckResult, ...] = ()
    """The high-availability report, where its spec asks for registration."""
    sentence: str = ""
    """What a colleague would say of it."""
    generation: int = 0
    """metadata.generation of the spec in Kubernetes; 0 for files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterReport:
    """The result of one cycle."""

    cluster: str
    revision: str
    mode: Mode
    cycle: int
    observed_at: datetime
    completed_at: datetime
    observation_complete: bool
    acted: bool
    """Whether acting was allowed in this cycle."""
    converged: bool
    """Nothing that could be done is due: every verdict is settled or waits for somebody else."""
    vms: tuple[VMReport, ...]
    nodes: tuple[NodeObserved, ...]
    gaps: tuple[Gap, ...]
    cluster_holds: tuple[Hold, ...]
    plan: Plan
    audit: tuple[AuditFinding, ...]
    outcomes: tuple[Outcome, ...]
    findings: tuple[Finding, ...]
    foreign: tuple[ForeignMove, ...]
    unmanaged_vms: int
    ended_moves: tuple[Intent, ...] = ()
    """Moves of ours that this look ended, with what the node remembers of them."""
    events: tuple[str, ...] = ()
    """Sentences of what changed since the last cycle; empty when nothing did."""
    sources: tuple[SourceState, ...] = ()
    """What each source of specs has in force, and what it refuses."""
    undeclared: tuple[Undeclared, ...] = ()
    """VMs that a spec declared once and that none in force declares now; sorted by name."""

    def in_flight(self, kind: ActionKind) -> int:
        """How many actions of ours of that kind are open."""
        return sum(1 for v in self.vms if v.intent is not None and v.intent.kind == kind)
