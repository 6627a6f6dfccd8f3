"""The loop: observe, absorb, plan, audit, submit, report. All of it is on this page.

Nothing is awaited but the answer to a command. Whether it had its effect is for the next snapshot
to say, so that a cycle that ends early, or a process that is killed, loses nothing.
"""

import asyncio
from dataclasses import dataclass, replace

from controller.engine.aside import Aside
from controller.engine.desired import Declarations
from controller.engine.executor import Executor
from controller.engine.fitness import Fitness
from controller.engine.memory import Memory
from controller.engine.reporter import Reporter
from controller.model.checkup import Check
from controller.model.desired import DesiredState
from controller.model.history import History
from controller.model.observed import ObservedState
from controller.model.plan import HoldReason, Plan
from controller.model.policy import Policy
from controller.planning.absorb import absorb
from controller.planning.approvals import ended, waiting_plan
from controller.planning.decide import claim_due, decide, may_act
from controller.planning.holds import hold_on_cluster
from controller.planning.summary import summarise
from controller.planning.traces import moves_over, with_traces
from controller.planning.view import under_way
from controller.ports import Clock, Observer


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler:
    """Everything that the cycles of one cluster need."""

    cluster: str
    desired: Declarations
    observer: Observer
    executor: Executor
    memory: Memory
    reporter: Reporter
    clock: Clock
    aside: Aside
    fitness: Fitness
    holder: str
    """GUID under which this process claims the cluster: one of its own for each start."""

    async def reconcile(self) -> float:
        """Bring the cluster one step closer to its declaration; return seconds to the next look."""
        unfit = await self.fitness.failed(self.desired.of(self.cluster))
        observed = await self._look(self.desired.of(self.cluster), unfit)
        if self.fitness.notices_new(observed):
            unfit = await self.fitness.failed(self.desired.of(self.cluster))
        # Asked again: a look can take long, and a process can be stopped while it looks.
        desired = self.desired.of(self.cluster)
        now = self.clock.now()
        self.memory.orders.expire(now)
        past = await self._past(unfit)
        history = await self.aside(absorb, past, desired, observed, now)
        history = await self.memory.keep(await self._traced(past, history))
        plan, findings = await self.aside(decide, desired, observed, history, now)
        waiting = waiting_plan(desired.policy, history, plan, now)
        if waiting != history.waiting:
            history = await self.memory.keep(replace(history, waiting=waiting))
        if over := ended(history, plan, now):
            await self.memory.end(self.cluster, over)
        plan = held_if_broken(plan, self.memory.broken)
        acts = may_act(desired, history, findings, plan)
        outcomes = await self.executor.run(plan, desired, observed) if acts else ()
        history = await self.memory.of(self.cluster)
        previous = self.reporter.last(self.cluster)
        report = await self.aside(
            summarise,
            desired,
            observed,
            history,
            plan,
            findings,
            outcomes,
            cycle=previous.cycle + 1 if previous is not None else 1,
            acted=acts,
            previous=previous,
        )
        await self.reporter.report(report)
        return requeue_after_seconds(history, observed, desired.policy)

    async def _past(self, unfit: tuple[Check, ...]) -> History:
        """What the journal tells, and what this process knows by itself."""
        return replace(await self.memory.of(self.cluster), holder=self.holder, unfit=unfit)

    async def _traced(self, past: History, history: History) -> History:
        """Ask nodes about the moves that ended just now, all at once; where none did, nobody."""
        over = moves_over(past, history)
        if not over:
            return history
        told = await asyncio.gather(*(self.observer.trace(intent) for intent in over))
        traces = {i.id: trace for i, trace in zip(over, told, strict=True) if trace is not None}
        return with_traces(history, traces)

    async def _look(self, desired: DesiredState, unfit: tuple[Check, ...]) -> ObservedState:
        """Observe; where acting waits for nothing but our claim, claim and observe again.

        The first look is not absorbed: two looks of one moment must not pass for two.
        """
        observed = await self.observer.observe()
        past = await self._past(unfit)
        if self.memory.broken is not None:
            return observed
        fence = await self.aside(claim_due, past, desired, observed, self.clock.now())
        if fence is None:
            return observed
        await self.executor.claim(fence, observed)
        return await self.observer.observe()


def held_if_broken(plan: Plan, reason: str | None) -> Plan:
    """Hold everything while nothing can be made durable."""
    if reason is None:
        return plan
    hold = hold_on_cluster(HoldReason.JOURNAL_BROKEN, {"reason": reason})
    return replace(plan, holds=(hold, *plan.holds))


def requeue_after_seconds(history: History, observed: ObservedState, policy: Policy) -> float:
    """Look soon while anything is in flight, whoever began it: a slot may become free."""
    busy = bool(history.open_intents or under_way(observed))
    return policy.busy_interval_seconds if busy else policy.interval_seconds
