"""Gives the actions that may start now to the cluster, each behind a durable intent.

It makes no choices: what it is handed has been planned and audited. It submits and returns; the
effect of an action comes back only as a later observation.
"""

import asyncio
import logging
import uuid
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from controller.engine.memory import Memory
from controller.errors import JournalBroken
from controller.model.control import Fence
from controller.model.desired import DesiredState
from controller.model.history import Intent
from controller.model.observed import NodeState, ObservedState
from controller.model.plan import Action, Plan
from controller.model.report import Outcome, OutcomeResult
from controller.ports import Actuator, Clock

log = logging.getLogger(__name__)

# Of the ten seconds in which the process must be over; the connections take the rest.
CLOSE_SECONDS = 4.0
# Intent ids are derived, not drawn: a run that is repeated repeats its ids.
INTENTS = uuid.UUID("6f1c4f0e-64b5-4a5b-9c9e-2f0d3a3f7f6b")


class Executor:
    """The one place from which commands leave for a cluster."""

    def __init__(self, *, actuator: Actuator, memory: Memory, clock: Clock) -> None:
        self._actuator = actuator
        self._memory = memory
        self._clock = clock
        self._waves: list[asyncio.Task[tuple[Outcome, ...]]] = []
        self._stopping = False

    async def claim(self, fence: Fence, observed: ObservedState) -> None:
        """Ask for the right to act on the cluster; whether we have it, the next look says."""
        cluster, now = observed.cluster, self._clock.now()
        if self._stopping or self._memory.orders.forbid_all(cluster, now) is not None:
            return
        nodes = [n.name for n in observed.nodes if n.answered and n.state is NodeState.UP]
        if not nodes:
            return
        self._memory.claim(cluster, fence)
        # Each further try has another epoch, and so asks another node.
        wrong = await self._actuator.claim(fence, nodes[fence.epoch % len(nodes)])
        if wrong is not None:
            log.warning(
                "The cluster could not be claimed",
                extra={"cluster": cluster, "epoch": fence.epoch, "reason": wrong},
            )

    async def run(
        self, plan: Plan, desired: DesiredState, observed: ObservedState
    ) -> tuple[Outcome, ...]:
        """Submit every action of the plan that may start now, all at once.

        The caller only watches: when it is cancelled, the submissions go on and write their own
        outcomes (cancelling an await that has just got its result would lose that result).
        """
        actions = plan.ready()
        if not actions:
            return ()
        wave = asyncio.create_task(
            self._wave(actions, plan, desired, observed), name=f"wave {plan.cluster}"
        )
        self._waves.append(wave)
        wave.add_done_callback(self._waves.remove)
        return await asyncio.shield(wave)

    async def close(self) -> None:
        """Send nothing more, and wait a little for the outcomes of what was sent.

        An outcome that comes later is lost to us only: its intent stays open in the journal, and
        the next process settles it by looking.
        """
        self._stopping = True
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await asyncio.gather(*self._waves, return_exceptions=True)

    async def _wave(
        self,
        actions: Sequence[Action],
        plan: Plan,
        desired: DesiredState,
        observed: ObservedState,
    ) -> tuple[Outcome, ...]:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(
                    self._give(action, plan, desired, observed),
                    name=f"{action.kind} {action.vm} in {plan.cluster}",
                )
                for action in actions
            ]
        return tuple(task.result() for task in tasks)

    async def _give(
        self, action: Action, plan: Plan, desired: DesiredState, observed: ObservedState
    ) -> Outcome:
        intent = _intent(action, plan, self._clock.now())
        reason = self._unsendable(desired, observed, intent)
        if reason is not None:
            return _not_sent(action, intent, reason)
        try:
            await self._memory.open(plan.cluster, intent)
        except JournalBroken as error:
            return _not_sent(action, intent, f"its intent could not be made durable: {error}")
        # Asked again here, because planning and writing took time too.
        reason, fence = (
            self._unsendable(desired, observed, intent),
            self._memory.fence(plan.cluster),
        )
        if reason is None and fence is not None:
            outcome = await self._actuator.submit(action, intent.id, fence)
        else:
            outcome = _not_sent(action, intent, reason or "the cluster is not claimed")
        await self._memory.record(plan.cluster, outcome, self._clock.now())
        return outcome

    def _unsendable(
        self, desired: DesiredState, observed: ObservedState, intent: Intent
    ) -> str | None:
        now = self._clock.now()
        if self._stopping:
            return "the controller is stopping"
        stopped = self._memory.orders.forbid(desired.cluster, intent, now)
        if stopped is not None:
            return stopped
        if self._memory.fence(desired.cluster) is None:
            return "this controller does not hold the cluster"
        # A negative age is a clock that was set back: then nothing has a known age.
        age = (now - observed.started_at).total_seconds()
        if not 0 <= age <= desired.policy.evidence_age_max_seconds:
            return f"what it rests on is {age:.0f} s old"
        return None


def _not_sent(action: Action, intent: Intent, reason: str) -> Outcome:
    return Outcome(intent_id=intent.id, action=action, result=OutcomeResult.NOT_SENT, detail=reason)


def _intent(action: Action, plan: Plan, now: datetime) -> Intent:
    name = f"{plan.cluster} {plan.digest} {action.id} {now.isoformat()}"
    return Intent(
        id=str(uuid.uuid5(INTENTS, name)),
        kind=action.kind.value,
        key=action.key,
        vm=action.vm,
        vm_id=action.vm_id,
        source=action.source,
        target=action.target,
        hop=action.is_hop,
        revision=plan.revision,
        opened_at=now,
        change=action.change,
    )
