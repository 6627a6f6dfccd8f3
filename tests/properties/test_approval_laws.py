"""An approval never lets pass what was not in the approved plan, whatever happens meanwhile."""

import random
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.model.observed import VMObserved
from controller.model.plan import Action, ActionKind, ActionReason
from controller.model.policy import Mode
from controller.planning.absorb import absorb
from controller.planning.approvals import approve, ended
from controller.planning.decide import decide, may_act
from tests.builders import desired, desired_state, node, observed, vm
from tests.properties.closed_loop import Loop
from tests.properties.worlds import World, moved, worlds

CYCLES = 25
Change = tuple[str, str, str | None, str | None, str]


def change(action: Action) -> Change:
    """What a person reads of an action."""
    return action.kind.value, action.key, action.vm_id, action.source, action.target


@dataclass
class Asked(Loop):
    """A cluster in mode Suggest, with people who approve, move VMs by hand and edit specs."""

    sheet: set[Change] = field(default_factory=set)
    """What the last person to say yes had read, less what was started since."""
    read: tuple[str, str] = ("", "")
    """Revision and digest that it was read under."""
    approved: int = 0

    def one_cycle(self) -> None:  # type: ignore[override]
        """One turn, in which anything may happen between look and plan, plan and approval."""
        desired, now = self.world.desired, self.now
        self.history = absorb(self.history, desired, self.snapshot(), now)
        plan, findings = decide(desired, self.snapshot(), self.history, now)
        over = ended(self.history, plan, now)
        left = tuple(a for a in self.history.approvals if a not in over)
        if may_act(desired, self.history, findings, plan) and plan.actions:
            whole = {change(action) for action in plan.actions}
            assert whole <= self.sheet, "something passed that nobody had approved"
            assert plan.revision == self.read[0]
            for action in plan.ready():
                self.sheet.remove(change(action))
                self.start(action)
        self.history = replace(self.history, approvals=left)
        if plan.actions and self.chance.random() < 0.3:
            approval = approve(plan, owner="anna", reason="read it", at=now)
            self.history = replace(self.history, approvals=(approval,))
            self.sheet = {change(action) for action in plan.actions}
            self.read = plan.revision, plan.digest
            self.approved += 1
        self.meddle()

    def meddle(self) -> None:
        """Moves end or not, an administrator moves a VM, a commit comes."""
        for vm_id in sorted(self.in_flight):
            if self.chance.random() < 0.5:
                self.truth = moved(self.truth, self.in_flight.pop(vm_id))
        at_rest = [v for v in self.truth.vms if v.id not in self.in_flight]
        if at_rest and self.chance.random() < 0.1:
            there = self.chance.choice(self.truth.nodes)
            self.truth = moved(self.truth, by_hand(self.chance.choice(at_rest), there.name))
        if self.chance.random() < 0.05:
            revision = f"rev-{self.cycle}"
            self.world = replace(self.world, desired=replace(self.world.desired, revision=revision))


@given(world=worlds(limits=True), seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_nothing_passes_that_was_not_approved(world: World, seed: int) -> None:
    """Each action that starts was read by whoever said yes, and goes out once on that yes."""
    asked = Asked(world=in_suggest(world), chance=random.Random(seed))
    for asked.cycle in range(CYCLES):
        asked.one_cycle()


@pytest.mark.parametrize("seed", range(3))
def test_people_who_approve_get_what_they_approved(seed: int) -> None:
    """The law above is not kept by doing nothing: with work to do, most of it gets done."""
    names = [f"v{i}" for i in range(8)]
    world = World(
        desired=desired_state(*(desired(name, "n2") for name in names)),
        observed=observed(
            node("n1", total=256), node("n2", total=256), *(vm(n, "n1", memory=8) for n in names)
        ),
    )
    asked = Asked(world=in_suggest(world), chance=random.Random(seed))
    for asked.cycle in range(4 * CYCLES):
        asked.one_cycle()
    assert len(asked.started) > len(names) // 2


def in_suggest(world: World) -> World:
    """The same world, where each plan waits for a yes."""
    policy = replace(world.desired.policy, mode=Mode.SUGGEST)
    return replace(world, desired=replace(world.desired, policy=policy))


def by_hand(seen: VMObserved, node_name: str) -> Action:
    """A move that an administrator makes."""
    return Action(
        id="by hand",
        kind=ActionKind.MOVE,
        key="",
        vm=seen.name,
        vm_id=seen.id,
        source=seen.host,
        target=node_name,
        reason=ActionReason.NOT_ON_PREFERRED,
        wave=0,
    )
