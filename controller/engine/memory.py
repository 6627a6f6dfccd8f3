"""What is remembered of each cluster: in memory to plan by, in the journal for the next process.

The journal is always written first. When it breaks, memory goes on, so that observing and planning
stay right, but no intent can be opened any more and therefore no command can leave.
An fsync can take long, so all of it happens aside, where one thread also keeps it in order.
"""

import logging
from dataclasses import replace
from datetime import datetime

from controller.engine.aside import Aside
from controller.errors import JournalBroken
from controller.model.history import History, Intent, IntentState
from controller.model.report import Outcome, OutcomeResult
from controller.ports import Journal

log = logging.getLogger(__name__)


class Memory:
    """The histories of all clusters of this process."""

    def __init__(self, journal: Journal, aside: Aside) -> None:
        self._journal = journal
        self._aside = aside
        self._histories: dict[str, History] = {}
        self.broken: str | None = None
        """Why nothing can be made durable; None while the journal is sound."""

    async def of(self, cluster: str) -> History:
        """The history as it stands, rebuilt from the journal at the first call."""
        if cluster not in self._histories:
            self._histories[cluster] = await self._aside(self._load, cluster)
        return self._histories[cluster]

    async def keep(self, history: History) -> History:
        """Take over the history that a snapshot brought forward, durably where it can be."""
        self._histories[history.cluster] = history
        await self._aside(self._write, history)
        return history

    async def open(self, cluster: str, intent: Intent) -> None:
        """Make the intent durable before its command leaves. Raises JournalBroken if it can't."""
        await self._aside(self._open, cluster, intent)

    async def record(self, cluster: str, outcome: Outcome, now: datetime) -> None:
        """Note what is known right after the command; what may have left stays open."""
        await self._aside(self._record, cluster, outcome, now)

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
            self._journal.keep(history.cluster, history, outcomes)
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
        return replace(intent, unknown=True, detail=outcome.detail)
    found = f"{outcome.condition}: {outcome.found}" if outcome.condition else outcome.detail
    return replace(intent, state=IntentState.NOT_DONE, closed_at=now, detail=found)
