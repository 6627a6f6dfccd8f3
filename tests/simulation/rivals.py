"""Several controllers on one cluster: started by mistake, restored from backups, with wrong clocks.

Each has its own wire, journal, clock and specs. What each was shown is not judged here, only what
takes effect: the effects are those of one epoch at a time, and epochs never go back.
"""

import asyncio
import random
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import yaml

from controller.simulator.config import load_world
from tests.scenarios.play import cluster_document
from tests.simulation import truth_rules as truth
from tests.simulation.checker import Checker, Violation
from tests.simulation.drawing import Options
from tests.simulation.limits import read_limits
from tests.simulation.play import fast_disk, quiet
from tests.simulation.site import Site
from tests.simulation.wire import Mishap, Trap, Wire
from tests.support.virtual_time import run_virtual

SECONDS = 2400.0
TICK_SECONDS = 5.0
EVENT_SHARE = 0.03
"""How often, a tick and a controller, something happens to it."""
DELAYS_SECONDS = (1.0, 15.0, 40.0)
JUMPS_SECONDS = (-86_400.0, -3600.0, -120.0, 120.0, 3600.0)


class Rivals:
    """One run."""

    def __init__(self, options: Options, count: int, folder: Path) -> None:
        self._chance = random.Random(f"{options.seed} rivals {count}")
        self.world = load_world(yaml.safe_dump(dict(options.world)))
        self.checker = Checker(
            world=self.world,
            limits=read_limits(options),
            journal=folder / "nobody's",
            on_command={},
            on_effect={
                "I3": (truth.conditions_held,),
                "I5": (truth.holds_the_cluster,),
                "I12": (truth.with_quorum,),
                "I21": (truth.once,),
                "I25": (truth.guests_run_on,),
            },
            on_step={"I1": (truth.one_open,), "I4": (truth.own_verbs,)},
            on_report={},
            at_end={},
        )
        self.checker.declare(options.specs)
        self.sites = []
        self.wires = []
        for number in range(count):
            wire = Wire(self.world, lambda: asyncio.get_running_loop().time(), self.checker)
            wire.number_calls_from(1_000_000 * number)
            wire.traps.append(Trap(mishap=self._delay, changing=True))
            site = Site(
                wire=wire,
                cluster=cluster_document(options.config),
                folder=folder / str(number),
                sinks=[],
                stand_still=lambda seconds: None,
                number=number,
            )
            # The second of three wants something else, as a forgotten test installation does.
            changed = options.changes[0].specs if number == 1 and options.changes else options.specs
            site.declare(changed)
            self.sites.append(site)
            self.wires.append(wire)

    async def run(self) -> None:
        """Play it."""
        loop = asyncio.get_running_loop()
        for site in self.sites:
            site.start()
            await asyncio.sleep(self._chance.choice((0.0, 5.0, 200.0)))
        while loop.time() < SECONDS and not self.checker.violations:
            await asyncio.sleep(TICK_SECONDS)
            self.world.advance_to(loop.time())
            for site, wire in zip(self.sites, self.wires, strict=True):
                wire.changes += 1
                if self._chance.random() < EVENT_SHARE:
                    self._befall(site)
            self.checker.step()
        for site in self.sites:
            await site.end()
        self._judge_epochs()

    def _befall(self, site: Site) -> None:
        happens: tuple[Callable[[], None], ...] = (
            site.kill_if_alive,
            lambda: self._restart(site),
            lambda: self._restart(site),
            site.keep_journal,
            lambda: self._restore(site),
            lambda: self._set_clock(site),
        )
        self._chance.choice(happens)()

    def _restart(self, site: Site) -> None:
        site.kill_if_alive()
        site.start()

    def _restore(self, site: Site) -> None:
        site.kill_if_alive()
        site.restore_journal()
        site.start()

    def _set_clock(self, site: Site) -> None:
        site.clock_offset_seconds += self._chance.choice(JUMPS_SECONDS)

    def _delay(self) -> Mishap:
        """Half of the commands are late, so that claims overtake them."""
        return Mishap(delay_seconds=self._chance.choice((0.0, 0.0, 0.0, *DELAYS_SECONDS)))

    def _judge_epochs(self) -> None:
        acted = [o for o in self.checker.orders if o.accepted and o.arrived_seconds is not None]
        acted.sort(key=lambda order: order.arrived_seconds or 0.0)
        epochs = [int(order.call.arguments["epoch"]) for order in acted]
        if epochs != sorted(epochs):
            self.checker.accuse("I5", f"effects of the epochs {epochs}, in this order")


def play_rivals(options: Options, count: int) -> tuple[tuple[Violation, ...], int, int]:
    """Play one run of so many controllers; (violations, effects, epochs that had any)."""
    with tempfile.TemporaryDirectory(prefix="ownernode-rivals-", dir=fast_disk()) as folder:
        run = Rivals(replace(options, faults=()), count, Path(folder))
        with quiet():
            run_virtual(run.run())
    acted = [order for order in run.checker.orders if order.accepted]
    epochs = {order.call.arguments["epoch"] for order in acted}
    return tuple(run.checker.violations), len(acted), len(epochs)
