"""The loop: observe, absorb, plan, audit, submit, report. All of it is on this page.

Nothing is awaited but the answer to a command. Whether it had its effect is for the next snapshot
to say, so that a cycle that ends early, or a process that is killed, loses nothing.
"""

from dataclasses import dataclass

from controller.engine.aside import Aside
from controller.engine.desired import Declarations
from controller.engine.executor import Executor
from controller.engine.memory import Memory
from controller.engine.reporter import Reporter
from controller.model.policy import Policy
from controller.model.report import ClusterReport
from controller.planning.absorb import absorb
from controller.planning.decide import decide, may_act
from controller.planning.summary import summarise
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

    async def reconcile(self) -> float:
        """Bring the cluster one step closer to its declaration; return seconds to the next look."""
        desired = self.desired.of(self.cluster)
        observed = await self.observer.observe()
        now = self.clock.now()
        past = await self.memory.of(self.cluster)
        history = await self.aside(absorb, past, desired, observed, now)
        await self.memory.keep(history)
        plan, findings = await self.aside(decide, desired, observed, history, now)
        acts = self.memory.broken is None and may_act(desired, history, findings)
        outcomes = await self.executor.run(plan, desired, observed) if acts else ()
        history = await self.memory.of(self.cluster)
        report = summarise(desired, observed, history, plan, findings, outcomes)
        await self.reporter.report(report)
        return requeue_after_seconds(report, desired.policy)


def requeue_after_seconds(report: ClusterReport, policy: Policy) -> float:
    """Look soon while anything is in flight, whoever began it: a slot may become free."""
    busy = any(vm.intent is not None or vm.migration is not None for vm in report.vms)
    return policy.busy_interval_seconds if busy else policy.interval_seconds
