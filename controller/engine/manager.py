"""Runs everything that one process runs, and ends it in order."""

import asyncio
from collections.abc import Sequence

from controller.engine.desired import Declarations
from controller.engine.queue import Turn
from controller.engine.reconciler import Reconciler
from controller.ports import Clock, TurnWatch

# A scan of a directory's names and times costs some milliseconds.
SPECS_EVERY_SECONDS = 1.0


class Manager:
    """One turn for each cluster, and one eye on the specs."""

    def __init__(
        self,
        *,
        desired: Declarations,
        reconcilers: Sequence[Reconciler],
        clock: Clock,
        watch: TurnWatch | None = None,
    ) -> None:
        self._desired = desired
        self._reconcilers = tuple(reconcilers)
        self._turns = {r.cluster: Turn(r.cluster, r.reconcile, watch) for r in self._reconcilers}
        self._clock = clock

    async def run(self) -> None:
        """Serve until cancelled; then send nothing more and let go of everything.

        Cancelling is the way to stop it: a cycle may be left at any point, while commands that
        have left go on to write down their outcome (see `Executor`).
        """
        try:
            await self._desired.refresh()
            async with asyncio.TaskGroup() as group:
                group.create_task(Turn("specs", self._watch).serve(), name="watch the specs")
                for cluster, turn in self._turns.items():
                    group.create_task(turn.serve(), name=f"reconcile {cluster}")
        finally:
            # All clusters at once: the whole stop must be over in ten seconds.
            await asyncio.gather(*(r.executor.close() for r in self._reconcilers))
            await asyncio.gather(*(r.observer.close() for r in self._reconcilers))

    def wake(self, cluster: str) -> None:
        """Let the next cycle of the cluster begin at once."""
        self._turns[cluster].wake()

    async def _watch(self) -> float:
        """Look at the specs after a while; a change is taken up at once by those concerned."""
        await self._clock.sleep(SPECS_EVERY_SECONDS)
        for cluster in await self._desired.refresh():
            self._turns[cluster].wake()
        return 0.0
