"""The hazard of each guard that stops the whole cluster, as a staged run."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from controller.model.control import Stop, StopScope, StopSource
from controller.model.history import History, Result
from controller.model.plan import HoldReason
from controller.model.report import ClusterReport
from tests.simulation.checker import Checker, Stopped
from tests.simulation.orders import Order
from tests.simulation.stage import (
    CLUSTER,
    CommandTrap,
    Draft,
    Staged,
    Story,
    ends_on,
    never,
    told,
)
from tests.simulation.wire import Mishap, Trap, no_connection
from tests.support.virtual_time import EPOCH

_OTHER_CLUSTER = "11111111-2222-4333-8444-555555555555"
_RIVAL_EPOCH, _RIVAL = 99, "99999999-2222-4333-8444-555555555555"


def stop(scope: StopScope, name: str = "") -> Stop:
    """A stop by people, from before the run."""
    return Stop(
        id="1", scope=scope, name=name, source=StopSource.API, owner="people", reason="said so",
        since=EPOCH,
    )  # fmt: skip


def stopped_by(what: str) -> Callable[[Staged], None]:
    """The checker knows of the stop from the beginning."""
    return lambda play: play.checker.stops.append(Stopped(what=what, at_seconds=-2.0))


def stopped(seed: int) -> Story:
    """People stopped everything before a restart."""
    draft = Draft(seed)
    draft.due()
    past = History(cluster=CLUSTER, trusted=True, stops=(stop(StopScope.CLUSTER),))
    return Story(
        options=draft.options(seconds=60.0),
        before=(stopped_by(""),),
        past=past,
        effects=(never(),),
        told=(told(HoldReason.STOPPED),),
    )


def stop_flag(seed: int) -> Story:
    """An administrator set the flag in the cluster itself while moves were due."""
    draft = Draft(seed)
    draft.queue()

    def set_flag(play: Staged) -> None:
        play.world.stop_controllers("maintenance")
        play.checker.stops.append(Stopped(what="", at_seconds=play.world.now + 25.0))

    return Story(
        options=draft.options(),
        deeds=((45.0, set_flag),),
        effects=(never(since=46.0),),
        told=(told(HoldReason.STOPPED, since=75.0),),
    )


def superseded(seed: int) -> Story:
    """A second controller claims the cluster."""
    draft = Draft(seed)
    draft.queue()

    def claim(play: Staged) -> None:
        play.world.cluster.parameters |= {
            "ownernodeepoch": ("OwnernodeEpoch", _RIVAL_EPOCH),
            "ownernodeholder": ("OwnernodeHolder", _RIVAL),
        }

    def is_left_alone(c: Checker, _: object) -> Any:
        _name, holder = c.world.cluster.parameters["ownernodeholder"]
        if holder != _RIVAL:
            yield f"the claim of the newer controller was taken by {holder}"

    def shown_a_rival(c: Checker, order: Order) -> Any:
        for shown in c.evidence.current():
            if shown.data["cluster"]["epoch"] == _RIVAL_EPOCH:
                yield f"{c.what(order)}, and {shown.data['node']} showed another's claim"

    return Story(
        options=draft.options(),
        deeds=((45.0, claim),),
        promises=(shown_a_rival,),
        ends=(is_left_alone,),
        told=(told(HoldReason.SUPERSEDED, since=75.0),),
    )


def cluster_changed(seed: int) -> Story:
    """The name leads to another cluster than the one that the journal is of."""
    draft = Draft(seed)
    draft.due()
    return Story(
        options=draft.options(seconds=60.0),
        past=History(cluster=CLUSTER, trusted=True, cluster_id=_OTHER_CLUSTER),
        promises=(never(why="on a cluster that it never knew"),),
        told=(told(HoldReason.CLUSTER_CHANGED),),
    )


def evidence_old(seed: int) -> Story:
    """Answers drip, and the machine stands still while they do."""
    draft = Draft(seed)
    draft.queue(3)

    def drip(play: Staged) -> None:
        mishap = Mishap(drip_seconds=8.0)
        play.wire.traps.append(Trap(mishap=lambda: mishap, changing=False, left=1_000))

    def old(c: Checker, report: ClusterReport) -> Any:
        age = c.world.now - (report.observed_at - EPOCH).total_seconds()
        held = any(h.reason is HoldReason.EVIDENCE_OLD for h in report.plan.holds)
        if age > c.limits.age_seconds and report.plan.actions and not held:
            yield f"nobody is told that what was seen is {age:.0f} s old"

    return Story(
        options=draft.options(),
        past=History(cluster=CLUSTER, trusted=True),
        before=(drip,),
        # The first look, of two rounds, ends with a claim at 16 s; the next one is under way.
        deeds=((18.0, lambda play: play.site.freeze(70.0)),),
        told=(old,),
    )


def clock_jumped(seed: int) -> Story:
    """The clock of the controller's machine is set an hour ahead while moves are due."""
    draft = Draft(seed)
    draft.queue()

    def jump(play: Staged) -> None:
        play.site.clock_offset_seconds += 3600.0
        play.checker.clock_jumped_seconds = play.world.now

    def unsettled(c: Checker, order: Order) -> Any:
        since = order.at_seconds - c.clock_jumped_seconds
        if since < c.limits.settle_seconds - 1.0:
            yield f"{c.what(order)}, {since:.0f} s after the clock was set"

    return Story(
        options=draft.options(seconds=200.0, settle="60s"),
        deeds=((70.0, jump),),
        promises=(unsettled,),
    )


def first_cycles(seed: int) -> Story:
    """There is no journal, and nobody knows what was ordered before."""
    draft = Draft(seed)
    draft.queue(3)
    return Story(
        options=draft.options(seconds=60.0),
        told=(told(HoldReason.FIRST_CYCLES, since=0.0, until=0.9),),
    )


def dark(node: str) -> Callable[[Staged], None]:
    """From then on we can't reach the node."""

    def cut(play: Staged) -> None:
        mishap = Mishap(error=no_connection)
        trap = Trap(mishap=lambda: mishap, changing=None, node=node.lower())
        play.wire.traps.append(trap)

    return cut


def nodes_dark(seed: int) -> Story:
    """One node of three does not answer; there is no declared VM on it."""
    draft = Draft(seed)
    draft.queue()
    return Story(
        options=draft.options(),
        deeds=((45.0, dark("HV03")),),
        told=(told(HoldReason.NODES_DARK, since=80.0),),
    )


def too_many_unknown(seed: int) -> Story:
    """One node of four does not answer, with a third of the VMs on it."""
    draft = Draft(seed)
    draft.queue(6)
    for number in range(3):
        draft.vm(f"Z{number}", "HV04")
        draft.want(f"Z{number}", "HV04")
    return Story(
        options=draft.options(nodes=4),
        deeds=((45.0, dark("HV04")),),
        told=(told(HoldReason.TOO_MANY_UNKNOWN, since=80.0),),
    )


def not_fit(seed: int) -> Story:
    """A check of one of the nodes fails."""
    draft = Draft(seed)
    draft.due()
    return Story(options=draft.options(seconds=60.0, tags=("unfit node",)), promises=(never(),))


def balancer_on(seed: int) -> Story:
    """The cluster's own balancer is on, and nobody said that both may place VMs."""
    draft = Draft(seed)
    draft.due()
    return Story(
        options=draft.options(seconds=60.0, cluster={"balancerMode": 2}), promises=(never(),)
    )


def outside_window(seed: int) -> Story:
    """Changes are allowed for a few minutes, five minutes from now."""
    draft = Draft(seed)
    draft.due()
    draft.vm("B1", clustered=False)
    draft.want("B1", highAvailability={"register": True})
    window = {"effect": "Allow", "schedule": "5 8 * * *", "duration": "5m"}
    return Story(
        options=draft.options(seconds=400.0, windows=[window]),
        promises=(never(until=300.0), never(since=600.0)),
        told=(told(HoldReason.OUTSIDE_WINDOW, until=299.0),),
    )


def quorum_at_risk(seed: int) -> Story:
    """One of three nodes crashes while moves are due; two are left that vote."""
    draft = Draft(seed)
    draft.queue()
    return Story(
        options=draft.options(),
        deeds=((45.0, lambda play: play.world.crash_node("HV03")),),
        told=(told(HoldReason.QUORUM_AT_RISK, since=85.0),),
    )


def outcomes_unknown(seed: int) -> Story:
    """The answers to four registrations are lost; then a move becomes due."""
    draft = Draft(seed)
    for name in ("R1", "R2", "R3", "R4"):
        draft.vm(name, clustered=False)
        draft.want(name, highAvailability={"register": True})
    draft.vm("A1")
    draft.want("A1", "HV01")
    moved = {**draft.specs, "a1": {"vm": {"name": "A1"}, "owners": {"preferred": ["HV02"]}}}

    def lose(play: Staged) -> None:
        mishap = Mishap(request_lost=True)
        play.wire.traps.append(CommandTrap(mishap=lambda: mishap, changing=True, left=4))

    return Story(
        options=draft.options(changes=[(90.0, moved)], seconds=200.0, settle="120s"),
        past=History(cluster=CLUSTER, trusted=True),
        before=(lose,),
    )


def failed(seconds: float, *names: str) -> History:
    """A past in which the last commands on these VMs had no effect, so many seconds ago."""
    return History(
        cluster=CLUSTER,
        trusted=True,
        results=tuple(
            Result(
                intent=f"{number}", key=f"name:{name.lower()}", vm=name, failed=True,
                at=EPOCH - timedelta(seconds=seconds - number),
            )
            for number, name in enumerate(names)
        ),
    )  # fmt: skip


def failed_on(key: str, past: History | None = None) -> History:
    """The same of one thing, twice, a moment ago."""
    results = tuple(replace(r, key=key) for r in failed(1.0, "X1", "X2").results)
    return replace(past or History(cluster=CLUSTER, trusted=True), results=results)


def failures(seed: int) -> Story:
    """Moves of three VMs failed a minute ago, and that of another is due."""
    draft = Draft(seed)
    draft.due()
    return Story(
        options=draft.options(seconds=60.0),
        past=failed(60.0, "X1", "X2", "X3"),
        promises=(never(until=1700.0, why="after three failures"),),
    )


def specs_shrank(seed: int) -> Story:
    """Half of the specs vanish while moves are due."""
    draft = Draft(seed)
    draft.queue(5)
    for number in range(5):
        draft.vm(f"Z{number}", "HV03")
        draft.want(f"Z{number}", "HV03")
    left = {name: spec for name, spec in draft.specs.items() if not name.startswith("z")}
    return Story(options=draft.options(changes=[(45.0, left)]))


def epoch_not_claimed(seed: int) -> Story:
    """A move is due, and nobody has claimed the cluster yet."""
    draft = Draft(seed)
    draft.due()

    def under_its_claim(c: Checker, order: Order) -> Any:
        for shown in c.evidence.current():
            if shown.data["cluster"]["epoch"] != order.call.arguments["epoch"]:
                yield f"{c.what(order)}, and {shown.data['node']} showed no claim of ours"

    return Story(
        options=draft.options(),
        past=History(cluster=CLUSTER, trusted=True),
        promises=(under_its_claim,),
        ends=(ends_on("A1", "HV02"),),
    )


BY_GUARD: Mapping[str, Callable[[int], Story]] = {
    "stopped": stopped,
    "stop_flag": stop_flag,
    "superseded": superseded,
    "cluster_changed": cluster_changed,
    "evidence_old": evidence_old,
    "clock_jumped": clock_jumped,
    "first_cycles": first_cycles,
    "nodes_dark": nodes_dark,
    "too_many_unknown": too_many_unknown,
    "not_fit": not_fit,
    "balancer_on": balancer_on,
    "outside_window": outside_window,
    "quorum_at_risk": quorum_at_risk,
    "outcomes_unknown": outcomes_unknown,
    "failures": failures,
    "specs_shrank": specs_shrank,
    "epoch_not_claimed": epoch_not_claimed,
}
"""Of CLUSTER_GUARDS, by the guard's name."""
