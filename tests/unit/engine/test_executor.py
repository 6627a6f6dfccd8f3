"""Commands leave behind durable intents, on fresh evidence, and no outcome is lost."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from controller.adapters.local.journal import SqliteJournal
from controller.engine.aside import Aside
from controller.engine.executor import Executor
from controller.engine.memory import Memory
from controller.model.control import Fence, Stop, StopScope, StopSource
from controller.model.desired import Connection, DesiredState
from controller.model.history import History, Intent, IntentState
from controller.model.observed import NodeState, ObservedState
from controller.model.plan import Action, ActionKind, ActionReason, Certificate, Plan
from controller.model.policy import Policy
from controller.model.report import Outcome, OutcomeResult
from tests.builders import node
from tests.support.virtual_time import EPOCH, VirtualClock, run_virtual

DESIRED = DesiredState(
    cluster="demo",
    revision="r1",
    policy=Policy(),
    connection=Connection(
        seeds=("n1.corp.example",),
        addresses={},
        authentication="NTLM",
        credentials_file=None,
        credentials_env="X",
        ca_file=None,
    ),
    vms=(),
)
FENCE = Fence(epoch=3, holder="aaaaaaaa-0000-4000-8000-000000000003")
OBSERVED = ObservedState(
    cluster="demo", cluster_id="c", started_at=EPOCH, completed_at=EPOCH, nodes=(), vms=()
)


def move(name: str) -> Action:
    return Action(
        id=f"move-{name}",
        kind=ActionKind.MOVE,
        key=f"name:{name}",
        vm=name,
        vm_id=f"id-{name}",
        source="N1",
        target="N2",
        reason=ActionReason.NOT_ON_PREFERRED,
        wave=0,
    )


def plan(*actions: Action) -> Plan:
    return Plan(
        cluster="demo",
        revision="r1",
        digest="d",
        observed_at=EPOCH,
        actions=actions,
        holds=(),
        standings=(),
        impossible=(),
        certificate=Certificate(
            cost_gib=0,
            lower_bound_gib=0,
            proved_optimal=True,
            moves=len(actions),
            hops=0,
            moves_lower_bound=0,
            seconds_estimated=0,
            seconds_lower_bound=0,
        ),
    )


class Cluster:
    """A cluster that takes a second to answer, and answers as it was told to."""

    def __init__(self, result: OutcomeResult = OutcomeResult.SUBMITTED) -> None:
        self.result = result
        self.received: list[str] = []
        self.fences: list[Fence] = []
        self.claimed: list[str] = []

    async def claim(self, fence: Fence, node: str) -> str | None:
        self.claimed.append(f"{fence.epoch} by {node}")
        return None

    async def submit(self, action: Action, intent_id: str, fence: Fence) -> Outcome:
        self.received.append(action.vm)
        self.fences.append(fence)
        await asyncio.sleep(1)
        return Outcome(
            intent_id=intent_id,
            action=action,
            result=self.result,
            condition="owner" if self.result is OutcomeResult.REFUSED else None,
            found="N3" if self.result is OutcomeResult.REFUSED else None,
        )


class Rig:
    """An executor on a real journal."""

    def __init__(self, path: Path, cluster: Cluster, fence: Fence | None = FENCE) -> None:
        self.fence = fence
        self.cluster = cluster
        self.use(SqliteJournal(path))

    def use(self, journal: SqliteJournal) -> None:
        """Remember there from now on."""
        self.journal = journal
        self.memory = Memory(journal, Aside())
        if isinstance(journal, Interrupted):
            journal.memory = self.memory
        self.executor = Executor(actuator=self.cluster, memory=self.memory, clock=VirtualClock())

    async def run(self, *actions: Action, evidence_age_seconds: float = 0) -> tuple[Outcome, ...]:
        await self.memory.of("demo")
        if self.fence is not None:
            self.memory.claim("demo", self.fence)
        started = VirtualClock().now() - timedelta(seconds=evidence_age_seconds)
        observed = replace(OBSERVED, started_at=started)
        return await self.executor.run(plan(*actions), DESIRED, observed)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def on_disk(path: Path) -> History:
    return SqliteJournal(path).load("demo")


def test_actions_of_a_wave_are_given_at_once(path: Path) -> None:
    """Two commands that take a second each are answered after one second."""
    cluster = Cluster()

    async def main() -> float:
        await Rig(path, cluster).run(move("a"), move("b"))
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == 1
    assert cluster.received == ["a", "b"]
    assert [i.vm for i in on_disk(path).open_intents] == ["a", "b"]


@pytest.mark.parametrize(
    ("result", "state", "unknown"),
    [
        (OutcomeResult.SUBMITTED, IntentState.OPEN, False),
        (OutcomeResult.UNKNOWN, IntentState.OPEN, True),
        (OutcomeResult.REFUSED, IntentState.NOT_DONE, False),
        (OutcomeResult.NOT_SENT, IntentState.NOT_DONE, False),
    ],
)
def test_only_what_certainly_did_nothing_ends_an_intent(
    path: Path, result: OutcomeResult, state: IntentState, unknown: bool
) -> None:
    """A return code never ends an action; a refusal does, since nothing was begun."""
    run_virtual(Rig(path, Cluster(result)).run(move("a")))
    (intent,) = on_disk(path).intents
    assert (intent.state, intent.unknown) == (state, unknown)


def test_a_refusal_is_remembered_with_what_was_found(path: Path) -> None:
    """Why nothing happened is as much worth as what happened."""
    run_virtual(Rig(path, Cluster(OutcomeResult.REFUSED)).run(move("a")))
    assert on_disk(path).intents[0].detail == "owner: N3"


def test_nothing_leaves_without_a_durable_intent(tmp_path: Path) -> None:
    """The journal's folder is gone: every action is answered with not sent, for ever."""
    cluster = Cluster()
    rig = Rig(tmp_path / "gone" / "journal.sqlite", cluster)
    (outcome,) = run_virtual(rig.run(move("a")))
    assert outcome.result is OutcomeResult.NOT_SENT
    (tmp_path / "gone").mkdir()
    (outcome,) = run_virtual(rig.run(move("a")))
    assert outcome.result is OutcomeResult.NOT_SENT
    assert cluster.received == []
    assert rig.memory.broken is not None


@pytest.mark.parametrize("age_seconds", [61, -1])
def test_old_evidence_is_found_out_right_before_sending(path: Path, age_seconds: float) -> None:
    """However long planning took; and a clock that was set back leaves no evidence at all."""
    cluster = Cluster()
    (outcome,) = run_virtual(Rig(path, cluster).run(move("a"), evidence_age_seconds=age_seconds))
    assert outcome.result is OutcomeResult.NOT_SENT
    assert cluster.received == []
    assert on_disk(path).open_intents == ()


class Interrupted(SqliteJournal):
    """Somebody orders a stop at the very moment at which an intent is made durable."""

    memory: Memory

    def open_intent(self, cluster: str, intent: Intent) -> None:
        super().open_intent(cluster, intent)
        self.memory.orders.add(cluster, STOP)


STOP = Stop(
    id="s1",
    scope=StopScope.CLUSTER,
    name="",
    source=StopSource.API,
    owner="anna",
    reason="fire drill",
    since=EPOCH,
)


def test_a_stop_between_intent_and_command_is_seen(path: Path) -> None:
    """The command does not leave, and its intent is closed: nothing is in doubt."""
    cluster = Cluster()

    async def main() -> tuple[Outcome, ...]:
        rig = Rig(path, cluster)
        rig.use(Interrupted(path))
        return await rig.run(move("a"))

    (outcome,) = run_virtual(main())
    assert outcome.result is OutcomeResult.NOT_SENT
    assert "anna ordered a stop (fire drill)" in outcome.detail
    assert cluster.received == []
    assert on_disk(path).open_intents == ()


def test_a_paused_vm_stays_while_others_go(path: Path) -> None:
    """Each action is asked about by itself; what is stopped leaves no intent behind."""
    cluster = Cluster()

    async def main() -> None:
        rig = Rig(path, cluster)
        paused = replace(STOP, scope=StopScope.VM, name="A")
        rig.memory.orders.add("demo", paused)
        await rig.run(move("a"), move("b"))

    run_virtual(main())
    assert cluster.received == ["b"]
    assert [intent.vm for intent in on_disk(path).intents] == ["b"]


def test_a_cancelled_cycle_loses_no_outcome(path: Path) -> None:
    """SIGTERM while the node is answering: the refusal is still written down."""

    async def main() -> None:
        rig = Rig(path, Cluster(OutcomeResult.REFUSED))
        cycle = asyncio.create_task(rig.run(move("a")))
        await asyncio.sleep(0.5)
        cycle.cancel()
        await asyncio.gather(cycle, return_exceptions=True)
        await rig.executor.close()

    run_virtual(main())
    assert on_disk(path).intents[0].state is IntentState.NOT_DONE


def test_an_outcome_and_a_cancel_in_the_same_instant_lose_nothing(path: Path) -> None:
    """The trap of Python 3.11: cancelling an await that just got its result drops the result."""

    async def main() -> None:
        rig = Rig(path, Cluster(OutcomeResult.REFUSED))
        cycle = asyncio.create_task(rig.run(move("a")))
        await asyncio.sleep(1)
        cycle.cancel()
        await asyncio.gather(cycle, return_exceptions=True)
        await rig.executor.close()

    run_virtual(main())
    assert on_disk(path).intents[0].state is IntentState.NOT_DONE


def test_a_stop_sends_nothing_more_and_does_not_wait_for_ever(path: Path) -> None:
    """A node that never answers costs the stop seven seconds; its intent stays open."""

    class Silent(Cluster):
        async def submit(self, action: Action, intent_id: str, fence: Fence) -> Outcome:
            self.received.append(action.vm)
            await asyncio.sleep(3600)
            raise AssertionError("the process is long gone")

    cluster = Silent()

    async def main() -> float:
        rig = Rig(path, cluster)
        cycle = asyncio.create_task(rig.run(move("a")))
        await asyncio.sleep(1)
        cycle.cancel()
        await rig.executor.close()
        await rig.run(move("b"))
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) <= 10
    assert cluster.received == ["a"]
    assert [i.vm for i in on_disk(path).open_intents] == ["a"]


def test_intent_ids_repeat_when_a_run_is_repeated(tmp_path: Path) -> None:
    """Derived, not drawn; and another moment gives another id."""
    first = run_virtual(Rig(tmp_path / "1", Cluster()).run(move("a")))
    again = run_virtual(Rig(tmp_path / "2", Cluster()).run(move("a")))
    later = run_virtual(Rig(tmp_path / "3", Cluster()).run(move("a")), start_seconds=1.0)
    assert first[0].intent_id == again[0].intent_id != later[0].intent_id


def test_a_command_carries_the_claim_of_this_process(path: Path) -> None:
    """The node compares: who does not hold the cluster any more is refused there."""
    cluster = Cluster()
    run_virtual(Rig(path, cluster).run(move("a")))
    assert cluster.fences == [FENCE]


def test_without_a_claim_nothing_leaves(path: Path) -> None:
    """Whatever plan it is handed: no claim, no command, and no intent that would have to settle."""
    cluster = Cluster()
    (outcome,) = run_virtual(Rig(path, cluster, fence=None).run(move("a")))
    assert outcome.result is OutcomeResult.NOT_SENT
    assert cluster.received == []
    assert on_disk(path).open_intents == ()


def test_a_process_that_was_superseded_sends_nothing(path: Path) -> None:
    """Even a plan that was made before the newer claim was seen."""
    cluster = Cluster()
    rig = Rig(path, cluster, fence=None)

    async def main() -> tuple[Outcome, ...]:
        history = await rig.memory.of("demo")
        claimed = replace(history, epoch=3, holder=FENCE.holder, superseded=True)
        await rig.memory.keep(claimed)
        return await rig.run(move("a"))

    (outcome,) = run_virtual(main())
    assert outcome.result is OutcomeResult.NOT_SENT
    assert cluster.received == []


def test_a_further_claim_asks_another_node(path: Path) -> None:
    """One that can't write must not keep us from the cluster for ever; dark ones are not asked."""
    cluster = Cluster()
    nodes = (node("n1"), node("n2"), node("n3", state=NodeState.DOWN), node("n4", answered=False))

    async def main() -> None:
        rig = Rig(path, cluster)
        await rig.memory.of("demo")
        for epoch in (4, 5, 6):
            fence = replace(FENCE, epoch=epoch)
            await rig.executor.claim(fence, replace(OBSERVED, nodes=nodes))
            assert rig.memory.fence("demo") == fence

    run_virtual(main())
    assert cluster.claimed == ["4 by n1", "5 by n2", "6 by n1"]
