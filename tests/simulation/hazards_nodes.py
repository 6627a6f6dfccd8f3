"""The hazard of each guard of a maintenance: a node that must not be suspended, or resumed, now."""

from collections.abc import Callable, Mapping
from typing import Any

from controller.model.history import History
from controller.model.plan import HoldReason
from controller.simulator.states import DrainStatus
from tests.simulation.checker import Checker
from tests.simulation.drawing import Options
from tests.simulation.hazards_cluster import failed_on
from tests.simulation.hazards_settings import suspension_of, volume_lost
from tests.simulation.hazards_vm import FAILED_TWICE_UNTIL
from tests.simulation.orders import Order
from tests.simulation.stage import CLUSTER, Deed, Draft, Staged, Story, around_each, held_back

Staging = Callable[[int], Story]
_NODE = "HV03"


def is_to_be_empty(play: Staged) -> None:
    """A document says so."""
    play.maintain({"empty": {"node": _NODE}})


def _due(
    draft: Draft,
    gib: int | None = None,
    seconds: float = 60.0,
    settle: str = "60s",
    config: Mapping[str, Any] | None = None,
) -> Options:
    """VMs where they belong, on HV01 and HV02; with `gib`, one of that size on the node too."""
    for number in range(3):
        draft.vm(f"A{number}", ("HV01", "HV02")[number % 2], gib=gib)
        draft.want(f"A{number}", ("HV01", "HV02")[number % 2])
    if gib is not None:
        draft.vm("Z1", _NODE, gib=gib)
    return draft.options(seconds=seconds, settle=settle, **(config or {}))


_suspend = held_back("suspendNode", "", _due)
_resume = held_back("resumeNode", "", _due)


def pause(node: str = _NODE, *, drain: bool = False) -> Deed:
    """An administrator pauses a node."""
    return lambda play: play.world.pause_node(node, drain_roles=drain)


def _avoided(node: str) -> Deed:
    return lambda play: play.world.avoid_node(node)


def _in_use(seed: int) -> Story:
    """An administrator moves a large VM to the node, and then it is to be emptied."""
    draft = Draft(seed)
    draft.vm("A1", gib=48)

    def arriving(c: Checker, order: Order) -> Any:
        if order.kind == "suspendNode" and c.world.cluster.migrations:
            yield f"{c.what(order)} while A1 is on its way there"

    return Story(
        options=draft.options(seconds=150.0),
        past=History(cluster=CLUSTER, trusted=True),
        deeds=(
            (40.0, lambda play: play.world.move_live("A1", _NODE)),
            (43.0, is_to_be_empty),
        ),
        promises=(arriving,),
        effects=(arriving,),
    )


_OFTEN: Mapping[str, Any] = {"seconds": 150.0, "settle": "20s", "times": 3}
SUSPEND: Mapping[str, Staging] = {
    "paused_by_others": _suspend(
        pause(), is_to_be_empty, reason=HoldReason.NODE_PAUSED, config={"nodes": 5}
    ),
    "not_up": _suspend(_avoided(_NODE), is_to_be_empty),
    "another_away": _suspend(_avoided("HV02"), is_to_be_empty, config={"nodes": 5}),
    "quorum_lost": _suspend(
        lambda play: play.maintain({"empty": {"node": "HV02"}}),
        config={"nodes": 2},
    ),
    "losses_not_borne": _suspend(
        is_to_be_empty,
        gib=20,
        config={
            "node_gib": 62,
            "capacity": {"memoryReserve": "2Gi", "tolerateNodeFailures": 1},
        },
    ),
    "suspend_refused": _suspend(
        around_each(
            lambda play: play.world.avoid_node("HV02"),
            lambda play: play.world.avoid_node("HV02", avoid=False),
        ),
        is_to_be_empty,
        **_OFTEN,
    ),
    "node_fails": _suspend(is_to_be_empty, past=failed_on("node:hv03"), until=FAILED_TWICE_UNTIL),
    "in_use": _in_use,
}
"""Of SUSPEND_GUARDS, by the guard's name."""


def _drain(status: DrainStatus) -> Callable[[Staged], None]:
    return lambda play: setattr(play.world.node(_NODE), "drain", status)


OURS = History(cluster=CLUSTER, trusted=True, intents=(suspension_of(_NODE),))
_FIVE = {"nodes": 5}
RESUME: Mapping[str, Staging] = {
    "drained_by_others": _resume(pause(drain=True), past=OURS, config=_FIVE),
    "not_back": _resume(pause(), volume_lost, past=OURS, config=_FIVE),
    "resume_refused": _resume(
        pause(),
        around_each(_drain(DrainStatus.Completed), _drain(DrainStatus.NotInitiated)),
        past=OURS,
        config=_FIVE,
        **_OFTEN,
    ),
    "node_fails": _resume(
        pause(),
        past=failed_on("node:hv03", OURS),
        until=FAILED_TWICE_UNTIL,
        config=_FIVE,
    ),
}
"""Of RESUME_GUARDS, by the guard's name."""
