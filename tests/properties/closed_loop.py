"""A cluster of the tests' own that carries out plans, cycle by cycle, and judges each instant.

It knows the rules and not the planner: what a plan starts is checked against the true state of that
moment, with every VM in flight counted on both of its nodes.
"""

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from controller.model.history import History, Intent
from controller.model.names import fold
from controller.model.observed import (
    Migration,
    MigrationPhase,
    NodeState,
    ObservedState,
    VMObserved,
)
from controller.model.plan import Action, ActionKind, Plan
from controller.model.policy import GIB
from controller.planning.absorb import absorb
from controller.planning.decide import decide, may_act
from tests.builders import NOW, history
from tests.properties.worlds import World, moved

CYCLES_MAX = 300


@dataclass
class Loop:
    """One cluster under control until nothing is left to do."""

    world: World
    chance: random.Random
    history: History = field(default_factory=history)
    cycle: int = 0

    def __post_init__(self) -> None:
        self.truth = self.world.observed
        self.in_flight: dict[str, Action] = {}
        self.started: list[Action] = []

    def run(self) -> Plan:
        """Plan, start, let some moves end, look again; the last plan, which has nothing to do.

        Nor will it when cooldowns have run out.
        """
        for self.cycle in range(CYCLES_MAX):
            at_rest = not self.in_flight
            plan = self.one_cycle()
            waits_for_time = any(hold.until is not None for hold in plan.holds)
            if at_rest and not plan.actions and not waits_for_time:
                return plan
        raise AssertionError("the cluster did not come to rest")

    def one_cycle(self) -> Plan:
        """One turn of the loop."""
        desired, seen, now = self.world.desired, self.snapshot(), self.now
        self.history = absorb(self.history, desired, seen, now)
        plan, findings = decide(desired, seen, self.history, now)
        assert findings == ()
        assert may_act(desired, self.history, findings, plan)
        for action in plan.ready():
            self.start(action)
        for vm_id in sorted(self.in_flight):
            if self.chance.random() < 0.5:
                self.truth = moved(self.truth, self.in_flight.pop(vm_id))
        return plan

    @property
    def now(self) -> datetime:
        """Time of the cycle; a cycle lasts 20 s."""
        return NOW + timedelta(seconds=20 * self.cycle)

    def snapshot(self) -> ObservedState:
        """What the nodes report: a migration's target may or may not count its memory already."""
        taken: Counter[str] = Counter()
        vms = []
        for seen in self.truth.vms:
            action = self.in_flight.get(seen.id)
            if action is not None:
                taken[fold(action.target)] += self.chance.choice((0, seen.memory_bytes))
                seen = replace(seen, migration=_migration(action))
            vms.append(seen)
        nodes = [
            replace(n, memory_available_bytes=(n.memory_available_bytes or 0) - taken[fold(n.name)])
            for n in self.truth.nodes
        ]
        self.chance.shuffle(vms)
        self.chance.shuffle(nodes)
        return replace(
            self.truth,
            vms=tuple(vms),
            nodes=tuple(nodes),
            started_at=self.now,
            completed_at=self.now + timedelta(seconds=1),
        )

    def start(self, action: Action) -> None:
        """Carry out one action; fail if this instant does not allow it."""
        assert action.kind is ActionKind.MOVE
        seen = next(v for v in self.truth.vms if v.id == action.vm_id)
        self.judge(action, seen)
        assert seen.id not in self.in_flight
        self.in_flight[seen.id] = action
        self.started.append(action)
        self.history = replace(
            self.history, intents=(*self.history.intents, self.intent(action, seen))
        )

    def judge(self, action: Action, seen: VMObserved) -> None:
        """Every hard rule, at this instant."""
        policy = self.world.desired.policy
        want = next(w for w in self.world.desired.vms if w.key == action.key)
        target = self.truth.node(action.target)
        assert target is not None
        assert target.state is NodeState.UP
        assert action.source == seen.host
        assert want.allows(action.target)
        busy = Counter(
            fold(name)
            for a in (*self.in_flight.values(), action)
            for name in (a.source or "", a.target)
        )
        assert max(busy[fold(action.source or "")], busy[fold(action.target)]) <= (
            policy.moves_per_node_max
        )
        assert len(self.in_flight) + 1 <= policy.moves_per_cluster_max
        racks = {
            policy.fault_domains.get(fold(a.source or ""), a.source)
            for a in (*self.in_flight.values(), action)
        }
        assert len(racks) == 1 or not policy.fault_domains
        coming = sum(
            a.memory_bytes for a in self.in_flight.values() if fold(a.target) == fold(target.name)
        )
        left = (target.memory_available_bytes or 0) - coming - seen.memory_bytes
        assert left >= 4 * GIB

    def intent(self, action: Action, seen: VMObserved) -> Intent:
        """What the executor would have written down."""
        return Intent(
            id=f"{self.cycle}-{action.id}",
            kind=action.kind.value,
            key=action.key,
            vm=action.vm,
            vm_id=seen.id,
            source=action.source,
            target=action.target,
            hop=action.is_hop,
            revision="rev-1",
            opened_at=self.now,
        )


def _migration(action: Action) -> Migration:
    return Migration(
        phase=MigrationPhase.TRANSFERRING, source=action.source or "", target=action.target
    )
