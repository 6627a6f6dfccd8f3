"""What is remembered of each cluster: in memory to plan by, in the journal for the next process.

The journal is always written first. When it breaks, memory goes on, so that observing and planning
stay right, but no intent can be opened any more and therefore no command can leave.
An fsync can take long, so all of it happens aside, where one thread also keeps it in order.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from controller.engine.aside import Aside
from controller.engine.orders import EVERYTHING, Orders
from controller.errors import JournalBroken
from controller.model.control import Approval, Fence, Order, Stop
from controller.model.history import History, Intent, IntentState
from controller.model.report import Outcome, OutcomeResult
from controller.ports import Journal

log = logging.getLogger(__name__)


class Memory:
    """The histories of all clusters of this process."""

    def __init__(
        self,
        journal: Journal,
        aside: Aside,
        flags: Callable[[str], tuple[Stop, ...]] = lambda cluster: (),
    ) -> None:
        """`flags` looks at what stops a cluster from outside, such as the flag file."""
        self._journal = journal
        self._aside = aside
        self._histories: dict[str, History] = {}
        self._ordering = asyncio.Lock()
        self.orders = Orders(flags)
        self.broken: str | None = None
        """Why nothing can be made durable; None while the journal is sound."""

    async def of(self, cluster: str) -> History:
        """The history as it stands, rebuilt from the journal at the first call."""
        for name in (EVERYTHING, cluster):
            if name not in self._histories:
                self._histories[name] = await self._aside(self._load, name)
                self.orders.recall(self._histories[name])
        return self.orders.told(self._histories[cluster])

    async def keep(self, history: History) -> History:
        """Take over the history that a snapshot brought forward, durably where it can be."""
        self.orders.note(history)
        history = self.orders.told(history)
        self._histories[history.cluster] = history
        await self._aside(self._write, history)
        return history

    def claim(self, cluster: str, fence: Fence) -> None:
        """Note the claim that is about to leave.

        In memory only: a restart claims anew, so that a copy of the journal gives nobody a claim.
        """
        history = self._histories[cluster]
        self._histories[cluster] = replace(history, epoch=fence.epoch, holder=fence.holder)

    def fence(self, cluster: str) -> Fence | None:
        """What each command must carry; None while this process may act under no claim."""
        history = self._histories.get(cluster)
        if history is None or history.epoch is None or history.superseded:
            return None
        return Fence(epoch=history.epoch, holder=history.holder)

    async def open(self, cluster: str, intent: Intent) -> None:
        """Make the intent durable before its command leaves. Raises JournalBroken if it can't."""
        await self._aside(self._open, cluster, intent)

    async def record(self, cluster: str, outcome: Outcome, now: datetime) -> None:
        """Note what is known right after the command; what may have left stays open."""
        await self._aside(self._record, cluster, outcome, now)

    async def stop(self, cluster: str, stop: Stop, order: Order) -> None:
        """Let nothing that it concerns leave any more, at once; then make that durable.

        Raises JournalBroken when it can't be: then it is in force until the process ends.
        """
        self.orders.add(cluster, stop)
        async with self._ordering:
            await self.of(cluster)
            orders = self.orders
            await self._aside(
                self._order, order, cluster, orders.kept(cluster), orders.approvals(cluster)
            )

    async def resume(self, cluster: str, stops: Iterable[Stop], order: Order) -> None:
        """End these stops, once that is durable. Raises JournalBroken, and then they stay."""
        gone = {stop.id for stop in stops}
        async with self._ordering:
            await self.of(cluster)
            left = tuple(s for s in self.orders.kept(cluster) if s.id not in gone)
            approvals = self.orders.approvals(cluster)
            await self._aside(self._order, order, cluster, left, approvals)
            self.orders.remove(cluster, gone)

    async def approve(self, cluster: str, approval: Approval, order: Order) -> None:
        """Let the approval count, once it is durable. Raises JournalBroken."""
        async with self._ordering:
            await self.of(cluster)
            approvals = (*self.orders.approvals(cluster), approval)
            await self._aside(self._order, order, cluster, self.orders.kept(cluster), approvals)
            self.orders.approve(cluster, approval)

    def barred(self, cluster: str, intent: str, now: datetime) -> str | None:
        """Why the command of the intent of that id must not leave now. From any thread."""
        known = self._histories[cluster].open_intents
        return self.orders.forbid(cluster, next((i for i in known if i.id == intent), None), now)

    async def end(self, cluster: str, approvals: Iterable[Approval]) -> None:
        """Forget approvals that mean nothing any more."""
        self.orders.end(cluster, approvals)
        await self._aside(self._write, self._histories[cluster])

    def _order(
        self,
        order: Order,
        cluster: str,
        stops: tuple[Stop, ...],
        approvals: tuple[Approval, ...],
    ) -> None:
        """Write down who ordered what, then what it leads to."""
        if self.broken is not None:
            raise JournalBroken(self.broken)
        try:
            self._journal.note(order)
            # Intents were perhaps opened while this waited its turn: the history of now.
            history = replace(self._histories[cluster], stops=stops, approvals=approvals)
            self._journal.keep(cluster, history, ())
        except JournalBroken as error:
            self._break(error)
            raise

    def _load(self, cluster: str) -> History:
        try:
            return self._journal.load(cluster)
        except JournalBroken as error:
            self._break(error)
            return History(cluster=cluster)

    def _open(self, cluster: str, intent: Intent) -> None:
        if self.broken is not None:
            raise JournalBroken(self.broken)
        try:
            self._journal.open_intent(cluster, intent)
        except JournalBroken as error:
            self._break(error)
            raise
        history = self._histories[cluster]
        self._histories[cluster] = replace(history, intents=(*history.intents, intent))

    def _record(self, cluster: str, outcome: Outcome, now: datetime) -> None:
        history = self._histories[cluster]
        intents = tuple(
            _after(intent, outcome, now) if intent.id == outcome.intent_id else intent
            for intent in history.intents
        )
        self._histories[cluster] = replace(history, intents=intents)
        self._write(self._histories[cluster], outcome)

    def _write(self, history: History, *outcomes: Outcome) -> None:
        if self.broken is not None:
            return
        try:
            self._journal.keep(history.cluster, self.orders.told(history), outcomes)
        except JournalBroken as error:
            self._break(error)

    def _break(self, error: JournalBroken) -> None:
        self.broken = str(error)
        log.critical(
            "The journal is broken: from now on this process only observes",
            extra={"reason": self.broken},
        )


def _after(intent: Intent, outcome: Outcome, now: datetime) -> Intent:
    if outcome.result is OutcomeResult.SUBMITTED:
        return intent
    if outcome.result is OutcomeResult.UNKNOWN:
        return replace(intent, unknown=True, detail=outcome.detail, code=outcome.code)
    found = f"{outcome.condition}: {outcome.found}" if outcome.condition else outcome.detail
    refused = outcome.result is OutcomeResult.REFUSED
    return replace(intent, state=IntentState.NOT_DONE, closed_at=now, detail=found, refused=refused)
