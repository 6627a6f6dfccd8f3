"""A small cluster in the middle of its work, for tests of renderings."""

from datetime import UTC, datetime, timedelta

from controller.model.checks import CheckName, CheckResult, CheckVerdict
from controller.model.history import ForeignMove, Intent
from controller.model.observed import (
    Gap,
    GapReason,
    Migration,
    MigrationPhase,
    NodeObserved,
    NodeState,
    ObservedState,
    Role,
    RoleState,
    VMObserved,
    VMState,
    Volume,
)
from controller.model.plan import (
    Action,
    ActionKind,
    ActionReason,
    Certificate,
    FolderStanding,
    Hold,
    HoldReason,
    Impossible,
    Plan,
    Standing,
    Verdict,
)
from controller.model.policy import GIB, Mode
from controller.model.report import (
    ClusterReport,
    Outcome,
    OutcomeResult,
    VMReport,
)
from controller.model.source import SourceRefusal, SourceState, Undeclared

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SQL01 = "11111111-0000-0000-0000-000000000001"
WEB01 = "11111111-0000-0000-0000-000000000002"


def snapshot() -> ObservedState:
    """Three nodes, of which N3 is silent; SQL01 is moving from N1 to N2, WEB01 rests on N2."""
    return ObservedState(
        cluster="demo",
        cluster_id="22222222-0000-0000-0000-000000000001",
        started_at=NOW,
        completed_at=NOW + timedelta(seconds=1),
        nodes=(
            _node("N1", 100 * GIB),
            _node("N2", 60 * GIB),
            NodeObserved(name="N3", state=NodeState.UNKNOWN, answered=False),
        ),
        vms=(
            _vm(SQL01, "SQL01", "N1", Migration(
                phase=MigrationPhase.TRANSFERRING, source="N1", target="N2", progress_percent=40
            )),
            _vm(WEB01, "WEB01", "N2"),
        ),
        volumes=(
            Volume(path=r"C:\ClusterStorage\Volume1", size_bytes=4096 * GIB, free_bytes=1024 * GIB),
        ),
        gaps=(Gap(node="N3", reason=GapReason.UNREACHABLE, detail="no answer within 15 s"),),
        migrations_parallel_max=1,
    )  # fmt: skip


def plan() -> Plan:
    """One move now, one registration after it, one hold and one impossible wish."""
    move = Action(
        id="a1", kind=ActionKind.MOVE, key="name:sql01", vm="SQL01", vm_id=SQL01, source="N1",
        target="N2", reason=ActionReason.NOT_ON_PREFERRED, wave=0, memory_bytes=8 * GIB,
        seconds_estimated=12.0,
    )  # fmt: skip
    register = Action(
        id="a2", kind=ActionKind.REGISTER, key="name:web01", vm="WEB01", vm_id=WEB01, source="N2",
        target="N2", reason=ActionReason.NOT_HIGHLY_AVAILABLE, wave=1, after=("a1",),
    )  # fmt: skip
    return Plan(
        cluster="demo",
        revision="rev-1",
        digest="d1",
        observed_at=NOW,
        actions=(move, register),
        holds=(
            Hold(
                key="name:web01", vm="WEB01", reason=HoldReason.FOREIGN_MOVE,
                evidence={"source": "N1", "target": "N2"}, until=NOW + timedelta(seconds=20),
            ),
        ),
        standings=(
            Standing(key="name:sql01", vm="SQL01", vm_id=SQL01, verdict=Verdict.MOVING,
                     owner="N1", declared="N2"),
            Standing(key="name:web01", vm="WEB01", vm_id=WEB01, verdict=Verdict.UNREGISTERED,
                     owner="N2", declared="N1"),
        ),
        impossible=(
            Impossible(vms=("BIG01",), rules=("memory: N1",), explanation="BIG01 needs 512 GiB",
                       resolution="allow another node"),
        ),
        certificate=Certificate(
            cost_gib=12.0, lower_bound_gib=12.0, proved_optimal=True, moves=1, hops=0,
            moves_lower_bound=1, seconds_estimated=12.0, seconds_lower_bound=12.0,
        ),
        folders=(
            FolderStanding(key="folders:n2", node="N2", vms="C:\\VMs", disks="C:\\Disks",
                           declared=None),
        ),
    )  # fmt: skip


def report() -> ClusterReport:
    """The report of the cycle that saw `snapshot()` and made `plan()`."""
    seen, made = snapshot(), plan()
    intent = Intent(
        id="i1", kind="Move", key="name:sql01", vm="SQL01", vm_id=SQL01, source="N1", target="N2",
        hop=False, revision="rev-1", opened_at=NOW - timedelta(seconds=5),
    )  # fmt: skip
    return ClusterReport(
        cluster="demo",
        revision="rev-1",
        mode=Mode.ENFORCE,
        cycle=7,
        observed_at=NOW,
        completed_at=NOW + timedelta(seconds=2),
        observation_complete=False,
        acted=True,
        converged=False,
        vms=(
            VMReport(
                key="name:sql01", vm="SQL01", vm_id=SQL01, spec="sql01", verdict=Verdict.MOVING,
                owner="N1", declared="N2", group="SQL01 role", intent=intent,
                migration=seen.vms[0].migration, sentence="SQL01 is moving from N1 to N2.",
            ),
            VMReport(
                key="name:web01", vm="WEB01", vm_id=WEB01, spec="web01",
                verdict=Verdict.UNREGISTERED, owner="N2", declared="N1", hold=made.holds[0],
                ha=(CheckResult(name=CheckName.MEDIA, verdict=CheckVerdict.WARNS,
                                found=r"C:\iso\ws.iso",
                                remedy="put it on a cluster shared volume"),),
                sentence="WEB01 was moved by somebody else; it is left there until 12:00:20.",
            ),
        ),
        nodes=seen.nodes,
        gaps=seen.gaps,
        cluster_holds=(),
        plan=made,
        audit=(),
        outcomes=(Outcome(intent_id="i1", action=made.actions[0], result=OutcomeResult.SUBMITTED),),
        findings=(),
        foreign=(ForeignMove(vm_id=WEB01, source="N1", target="N2", seen_at=NOW),),
        unmanaged_vms=3,
        events=("WEB01 was moved from N1 to N2 by somebody else.",),
        sources=(
            SourceState(
                name="placements", revision="rev-1", refused="rev-2", findings=1,
                reason=SourceRefusal.UNSIGNED, why="no trusted key has signed it",
            ),
        ),
        undeclared=(Undeclared(cluster="demo", vm="OLD01", spec="old01", revision="rev-1"),),
    )  # fmt: skip


def _node(name: str, available_bytes: int) -> NodeObserved:
    return NodeObserved(
        name=name, state=NodeState.UP, model="ownernode simulator",
        memory_total_bytes=128 * GIB, memory_available_bytes=available_bytes,
        processors_logical=32, switches=("Prod",), observed_at=NOW,
    )  # fmt: skip


def _vm(vm_id: str, name: str, owner: str, migration: Migration | None = None) -> VMObserved:
    return VMObserved(
        id=vm_id, name=name, host=owner, state=VMState.RUNNING,
        role=Role(name=name, state=RoleState.ONLINE, owner=owner, possible_owners=("N1", "N2")),
        memory_assigned_bytes=8 * GIB, memory_startup_bytes=8 * GIB, migration=migration,
        disk_paths=(rf"C:\ClusterStorage\Volume1\{name}\os.vhdx",),
        configuration_path=rf"C:\ClusterStorage\Volume1\{name}",
    )  # fmt: skip
