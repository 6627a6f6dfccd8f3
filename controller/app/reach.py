"""Eyes and hands on one cluster, over the same agents."""

from collections.abc import Callable
from time import perf_counter

from controller.adapters.prometheus.metrics import Traffic
from controller.adapters.winrm.actuator import ClusterActuator
from controller.adapters.winrm.calling import Barred
from controller.adapters.winrm.credentials import Secrets
from controller.adapters.winrm.logons import LogonGates
from controller.adapters.winrm.nodes import WinRMNodes
from controller.adapters.winrm.observer import ClusterObserver, inline
from controller.adapters.winrm.program import load_program
from controller.app.examine import examine_in_time
from controller.engine.aside import Aside
from controller.model.checkup import Check
from controller.model.desired import Connection, DesiredState
from controller.model.history import Intent, MoveTrace
from controller.model.observed import ObservedState
from controller.ports import Clock, Observer


class Reach:
    """Eyes and hands on one cluster, over the same agents."""

    def __init__(
        self,
        cluster: str,
        connection: Connection,
        *,
        gates: LogonGates,
        secrets: Secrets | None = None,
        clock: Clock,
        aside: Aside | None = None,
        took: Callable[[float], None] = lambda seconds: None,
        barred: Barred = lambda intent: None,
    ) -> None:
        self._nodes = WinRMNodes(
            connection, gates=gates, program=load_program(), barred=barred, secrets=secrets
        )
        observer = ClusterObserver(
            cluster=cluster,
            seeds=connection.seeds,
            caller=self._nodes,
            clock=clock,
            aside=aside or inline,
        )
        self.watched = Watched(observer, took)
        self.actuator = ClusterActuator(self._nodes)

    async def examine(self, desired: DesiredState) -> tuple[Check, ...]:
        """What `doctor` checks, over the same agents."""
        return await examine_in_time(self._nodes, desired)

    def traffic(self) -> Traffic:
        """Calls and refused log-ons so far."""
        return Traffic(requests=dict(self._nodes.calls), logon_failures=self._nodes.logon_failures)


class Watched:
    """An Observer that remembers its last look, for `explain`, and tells how long it took."""

    def __init__(self, observer: Observer, took: Callable[[float], None]) -> None:
        self._observer = observer
        self._took = took
        self.last: ObservedState | None = None

    async def observe(self) -> ObservedState:
        """As the Observer does."""
        began = perf_counter()
        self.last = await self._observer.observe()
        self._took(perf_counter() - began)
        return self.last

    async def trace(self, intent: Intent) -> MoveTrace | None:
        """As the Observer does."""
        return await self._observer.trace(intent)

    async def close(self) -> None:
        """As the Observer does."""
        await self._observer.close()
