"""What people do to the controller: stop it, resume it, agree, restore it, lose its specs."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from controller.errors import JournalBroken, SpecError
from controller.model.control import Demand, Verb
from controller.model.plan import HoldReason
from controller.planning.approvals import waiting_for_approval
from tests.simulation.checker import Stopped
from tests.simulation.faults import Fault, Kind
from tests.support.process import Killed

if TYPE_CHECKING:
    from tests.simulation.play import Play

LOOK_SECONDS = 60.0
"""A flag in the cluster is seen with the next look; the nodes refuse at once, whatever was seen."""

End = Callable[[], None]
Deed = Callable[["Play", Fault], End | None]
"""Begins the fault; gives what ends it."""


def agree(play: "Play") -> None:
    """Whatever waits for people gets their yes, and every stop ends."""
    if play.report is None or not play.site.is_alive:
        return
    for hold in waiting_for_approval(play.report):
        digest = hold.evidence["digest"]
        _say(play, Demand(verb=Verb.APPROVE, owner="people", reason="seen", digest=digest))
        play.checker.shrunk_seconds = None
    holds = (*play.report.plan.holds, *play.report.cluster_holds)
    if any(hold.reason in (HoldReason.STOPPED, HoldReason.PAUSED) for hold in holds):
        for name in ("", *(hold.vm for hold in holds), *play.world.cluster.nodes):
            _say(play, Demand(verb=Verb.RESUME, owner="people", reason="over", name=name))


def _say(play: "Play", demand: Demand, obeyed: Callable[[], None] = lambda: None) -> None:
    """Give an order; what makes no sense just then is refused and of no effect."""
    verbs = play.site.verbs
    assert verbs is not None

    async def say() -> None:
        with suppress(SpecError, JournalBroken, Killed):
            await verbs.give(demand)
            obeyed()

    # Kept by the play: a task that nobody holds may be collected before it ends.
    play.orders.append(asyncio.create_task(say(), name=f"say {demand.verb} {len(play.orders)}"))


def _stop(what: str) -> Deed:
    """People stop the controller altogether, or for one VM or node, and resume it later."""

    def begin(play: "Play", fault: Fault) -> End | None:
        if not play.site.is_alive or play.report is None or play.checker.disk_is_full:
            return None
        name = {"": "", "vm": fault.vm, "node": fault.node}[what]
        over = False

        def obeyed() -> None:
            # A frozen process hears both orders when it wakes, the second right after the first.
            if not over:
                stopped = Stopped(what=name.lower(), at_seconds=play.world.now)
                play.checker.stops.append(stopped)

        demand = Demand(verb=Verb.PAUSE, owner="people", reason="they said so", name=name)
        _say(play, demand, obeyed)

        def resume() -> None:
            nonlocal over
            over = True
            play.checker.resume(name.lower())
            if play.site.is_alive:
                _say(play, Demand(verb=Verb.RESUME, owner="people", reason="over", name=name))

        return resume

    return begin


def _old_journal(play: "Play", fault: Fault) -> End:
    """The machine is restored from a backup that is as old as the fault is long."""
    play.site.keep_journal()

    def end() -> None:
        play.site.kill_if_alive()
        play.site.restore_journal()
        play.checker.journal_lost()
        play.start_controller()

    return end


def _cluster_flag(play: "Play", fault: Fault) -> End:
    play.world.stop_controllers("maintenance")
    play.checker.stops.append(
        Stopped(what="", at_seconds=play.world.now + LOOK_SECONDS, by_flag=True)
    )

    def end() -> None:
        play.world.allow_controllers()
        play.checker.resume("", by_flag=True)

    return end


def _specs_vanish(play: "Play", fault: Fault) -> End:
    """A wrong branch: most of the specs are gone, and come back."""
    before = play.declared
    kept = fault.chance.sample(sorted(before), k=len(before) // 2)
    play.declare({name: before[name] for name in kept})
    return lambda: play.declare(before)


PEOPLE_PLAYED: Mapping[Kind, Deed] = {
    Kind.OLD_JOURNAL: _old_journal,
    Kind.STOP: _stop(""),
    Kind.PAUSE_VM: _stop("vm"),
    Kind.PAUSE_NODE: _stop("node"),
    Kind.CLUSTER_FLAG: _cluster_flag,
    Kind.SPECS_VANISH: _specs_vanish,
}
