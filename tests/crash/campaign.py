"""Kills or deceives the controller at one port call after another, and judges what came of it.

A run is the reference scenario in virtual time: the demo's troubles in small. At the chosen port
call (observer, actuator, journal, clock, specs; before it, and after it where it has an effect) the
process dies. A supervisor starts a new one three seconds later on the same state directory. Or a
node's answer is an older one (a stale read), or a whole look shows the moment of the look before,
so that what happened in between is hidden from it. Judge is the simulator's truth.
"""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from controller.model.report import ClusterReport
from controller.simulator.config import load_world
from controller.simulator.states import Cause
from tests.scenarios.narrator import Narrator
from tests.scenarios.play import TICK_SECONDS, cluster_document
from tests.scenarios.witness import Witness
from tests.support.in_process import Call, Disturbance
from tests.support.process import Site
from tests.support.virtual_time import run_virtual

RESTART_AFTER_SECONDS = 3.0
LONGEST_SECONDS = 600.0
# Where nothing outside changes between two moments, dying at either is the same death.
_EFFECTLESS = ("clock.", "specs.", "observer.", "journal.load")

# In memory, if there is such a place: a process's death loses nothing that is not on the disk yet,
# and thousands of fsyncs would take most of the time.
_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None

_NONE: Mapping[int, int] = MappingProxyType({})
_WORLD = """
cluster: {name: demo, domain: corp.example}
timing: {bandwidthBytesPerSecond: 6.0e+9, startSeconds: 2}
nodes:
- {name: HV01, memory: 64Gi}
- {name: HV02, memory: 64Gi}
- {name: HV03, memory: 64Gi}
vms:
- {name: SQL01, node: HV02, memory: 40Gi}
- {name: SQL02, node: HV01, memory: 36Gi}
- {name: WEB01, node: HV01, memory: 4Gi}
- {name: PRINT01, node: HV03, memory: 2Gi, clustered: false}
- {name: VENDOR, node: HV03, memory: 2Gi}
"""
_CONFIG = {
    "mode": "Enforce",
    "interval": "5s",
    "brakes": {"cooldown": "5s"},
    "timing": {"settle": "5s"},
}
_SPECS = {
    "sql01": {"vm": {"name": "SQL01"}, "owners": {"preferred": ["HV01"]}},
    "sql02": {"vm": {"name": "SQL02"}, "owners": {"preferred": ["HV02"]}},
    "web01": {"vm": {"name": "WEB01"}, "owners": {"preferred": ["HV03"]}},
    "print01": {
        "vm": {"name": "PRINT01"},
        "owners": {"preferred": ["HV03"]},
        "highAvailability": {"register": True},
    },
    "new01": {
        "vm": {"name": "NEW01"},
        "owners": {"preferred": ["HV03"]},
        "highAvailability": {"register": True, "start": "AfterRegistration"},
        "template": {
            "generation": 2,
            "memory": {"startup": "2Gi"},
            "processors": {"count": 1},
            "location": "C:\\ClusterStorage\\Volume1",
            "disks": [{"path": "os.vhdx", "create": {"size": "20Gi"}}],
        },
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is true of one VM at the end."""

    owner: str
    state: str
    is_clustered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """What came of a run."""

    vms: tuple[tuple[str, Standing], ...]
    moves_of_ours: tuple[tuple[str, int], ...]
    """How often each VM was truly moved by us."""
    moments: tuple[str, ...]
    """Every moment of the run at which the process could have died."""
    answers: int
    """How many answers of nodes there were."""
    looks: int
    log: str


class Run:
    """The reference scenario, with a death at each moment of these numbers, counted from 0."""

    def __init__(
        self, folder: Path, dies_at: frozenset[int], stale: Mapping[int, int], hidden: int | None
    ) -> None:
        """`stale`: number of an answer -> how many answers ago; `hidden`: number of a look."""
        self._dies_at = dies_at
        self._stale = stale
        self._hidden = hidden
        self._looks = 0
        self._answers = 0
        self._moments: list[str] = []
        self._report: ClusterReport | None = None
        self._narrator = Narrator()
        self._world = load_world(_WORLD)
        self._witness = Witness(self._world, self._narrator, per_node=1, per_cluster=2)
        self._witness.manage(spec["vm"]["name"] for spec in _SPECS.values())
        self._site = Site(
            world=self._world,
            cluster=cluster_document(_CONFIG),
            folder=folder,
            sinks=[self._narrator, self],
            leaving=self._witness.command_leaves,
            at=self._at,
        )
        self._site.declare(_SPECS)
        caller = self._site.wire.caller
        caller.disturb = self._deceived(caller.disturb)

    async def show(self, report: ClusterReport) -> None:
        """Keep the last report (a StatusSink)."""
        self._report = report

    async def play(self) -> End:
        """Run until converged, in truth and in the controller's eyes."""
        loop = asyncio.get_running_loop()
        self._site.start()
        while not (self._site.is_alive and self._report is not None and self._report.converged):
            assert loop.time() < LONGEST_SECONDS, "it never converges"
            if not self._site.is_alive:
                await self._pass(RESTART_AFTER_SECONDS)
                self._report = None
                self._narrator.forget()
                self._site.start()
            await self._pass(TICK_SECONDS)
        await self._site.end()
        self._judge_intents()
        return self._end()

    async def _pass(self, seconds: float) -> None:
        until = asyncio.get_running_loop().time() + seconds
        while (now := asyncio.get_running_loop().time()) < until:
            await asyncio.sleep(min(TICK_SECONDS, until - now))
            self._narrator.now_seconds = asyncio.get_running_loop().time()
            self._site.wire.caller.come_to_now()
            self._witness.look()

    def _deceived(self, usual: Callable[[Call], Disturbance]) -> Callable[[Call], Disturbance]:
        def disturb(call: Call) -> Disturbance:
            if call.operation != "observe":
                return usual(call)
            ago = self._stale.get(self._answers, 1 if self._looks - 1 == self._hidden else 0)
            self._answers += 1
            return replace(usual(call), looks_ago=ago)

        return disturb

    def _at(self, moment: str) -> bool:
        self._looks += moment == "observer.observe"
        if moment.startswith(_EFFECTLESS) and moment.endswith(" done"):
            return False
        number = len(self._moments)
        self._moments.append(moment)
        if number not in self._dies_at:
            return False
        self._narrator.say("fate", f"kills the controller at {moment}")
        return True

    def _judge_intents(self) -> None:
        """One intent, one command: no node ever executed two calls of one intent."""
        executed = Counter(
            call.arguments["intent"]
            for call in self._site.wire.caller.executed
            if "intent" in call.arguments
        )
        assert all(count == 1 for count in executed.values()), executed

    def _end(self) -> End:
        vms = tuple(
            (
                vm.name,
                Standing(owner=vm.owner_node, state=vm.state.name, is_clustered=vm.is_clustered),
            )
            for vm in self._world.truth()
        )
        moves = tuple(
            (vm.name, sum(move.cause is Cause.CONTROLLER for move in vm.migrations))
            for vm in self._world.truth()
        )
        return End(
            vms=vms,
            moves_of_ours=moves,
            moments=tuple(self._moments),
            answers=self._answers,
            looks=self._looks,
            log="\n".join(self._narrator.lines),
        )


def play(*dies_at: int, stale: Mapping[int, int] = _NONE, hidden: int | None = None) -> End:
    """One run in a fresh directory. An error carries the log."""
    with tempfile.TemporaryDirectory(prefix="ownernode-crash-", dir=_MEMORY) as folder:
        run = Run(Path(folder), frozenset(dies_at), stale, hidden)
        try:
            return run_virtual(run.play())
        except Exception as error:
            error.add_note("\n".join(run._narrator.lines))
            raise
