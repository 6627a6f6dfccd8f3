"""The hazards of guards that look at a whole plan: bad merges, haste, nodes that are not ready."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from controller.model.control import StopScope
from controller.model.history import History
from controller.model.plan import HoldReason
from tests.simulation.checker import Checker
from tests.simulation.hazards_cluster import failed, stop, stopped_by
from tests.simulation.orders import Order
from tests.simulation.stage import CLUSTER, Draft, Story, never, told


def _approval_needed(seed: int) -> Story:
    """One commit moves seven VMs of twelve."""
    draft = Draft(seed)
    for number in range(12):
        draft.vm(f"A{number}")
        draft.want(f"A{number}", "HV01")
    moved = {
        name: {**spec, "owners": {"preferred": ["HV02"]}}
        for name, spec in sorted(draft.specs.items())[:7]
    }
    return Story(
        options=draft.options(changes=[(45.0, {**draft.specs, **moved})]),
        promises=(never("moveRole", why="nobody has approved seven moves"),),
    )


def _target_paused(seed: int) -> Story:
    """People paused the node to which a VM belongs."""
    draft = Draft(seed)
    draft.due()
    stops = (stop(StopScope.NODE, "HV02"),)
    return Story(
        options=draft.options(seconds=60.0),
        before=(stopped_by("hv02"),),
        past=History(cluster=CLUSTER, trusted=True, stops=stops),
        effects=(never("moveRole", "A1"),),
        told=(told(HoldReason.PAUSED),),
    )


def _node_not_stable(seed: int) -> Story:
    """A node crashes and comes back, and then a VM becomes due to go there."""
    draft = Draft(seed)
    draft.vm("A1")
    draft.want("A1", "HV01")
    moved = {"a1": {**draft.specs["a1"], "owners": {"preferred": ["HV02"]}}}
    return Story(
        options=draft.options(seconds=300.0, changes=[(180.0, moved)]),
        deeds=(
            (45.0, lambda play: play.world.crash_node("HV02")),
            (90.0, lambda play: play.world.boot_node("HV02")),
        ),
    )


def _node_failures(seed: int) -> Story:
    """If OLD moved, no node had the room for BIG that it has now, should BIG's node fail."""
    draft = Draft(seed)
    draft.vm("BIG", "HV03", gib=40)
    draft.vm("BASE", "HV01", gib=22)
    draft.vm("OLD", "HV01", gib=28)
    draft.want("OLD", "HV02")
    capacity = {"memoryReserve": "2Gi", "tolerateNodeFailures": 1}
    return Story(
        options=draft.options(seconds=60.0, node_gib=62, capacity=capacity),
        promises=(never("moveRole", "OLD"),),
    )


def _window_ends(seed: int) -> Story:
    """A window of a minute is open, and the move of a large VM would outlast it."""
    draft = Draft(seed)
    draft.due(gib=80)
    window = {"effect": "Allow", "schedule": "0 8 * * *", "duration": "1m"}
    return Story(
        options=draft.options(seconds=90.0, node_gib=256, windows=[window]),
        past=History(cluster=CLUSTER, trusted=True),
        promises=(never("moveRole", "A1"),),
    )


def _probe(seed: int) -> Story:
    """Three moves failed; the pause is over, and three others are due at once."""
    draft = Draft(seed)
    for name, target in (("A1", "HV02"), ("A2", "HV03"), ("A3", "HV02")):
        draft.due(name, target)

    def one_at_first(c: Checker, order: Order) -> Any:
        others = [o for o in c.orders if o is not order]
        if others and not any(o.landed for o in others):
            yield f"{c.what(order)} before {c.what(others[0])} has shown that moves work again"

    return Story(
        options=draft.options(seconds=60.0, migrations=4, migration=_WIDE),
        past=failed(1900.0, "X1", "X2", "X3"),
        promises=(one_at_first,),
    )


_WIDE = {"perNode": 4, "perCluster": 8}


def canary(seed: int) -> Story:
    """Six moves are due at once, and nothing has shown yet that they do what they should."""
    draft = Draft(seed)
    for number in range(6):
        draft.due(f"A{number}", ("HV02", "HV03")[number % 2])

    def one_then_two(c: Checker, order: Order) -> Any:
        done = sum(o.landed for o in c.orders)
        under_way = sum(o.is_open for o in c.orders) - 1
        if done < 3 and under_way >= (2 if done else 1):
            yield f"{c.what(order)}, {under_way} under way and {done} done of this change"

    return Story(
        options=draft.options(migrations=4, migration=_WIDE),
        promises=(one_then_two,),
    )


def _domain_at_work(seed: int) -> Story:
    """Two replicas, in two racks, are due to move to a third."""
    draft = Draft(seed)
    racks = {"HV01": "rack-a", "HV02": "rack-b", "HV03": "rack-c"}
    for name, node in (("A1", "HV01"), ("A2", "HV02")):
        draft.vm(name, node, gib=6)
        draft.want(name, "HV03")

    def one_rack(c: Checker, order: Order) -> Any:
        for other in c.orders:
            if other.is_open and racks[other.source] != racks[order.source]:
                yield f"{c.what(order)} while {c.what(other)} is under way"

    nodes = [{"name": name, "faultDomain": rack} for name, rack in racks.items()]
    options = draft.options(migrations=4, migration=_WIDE)
    return Story(
        options=replace(options, config={**options.config, "nodes": nodes}),
        past=History(cluster=CLUSTER, trusted=True),
        promises=(one_rack,),
    )


def suggestion(seed: int) -> Story:
    """The mode is Suggest, and nobody has said yes."""
    draft = Draft(seed)
    draft.due()
    return Story(options=draft.options(seconds=60.0, mode="Suggest"))


DRAFT: Mapping[str, Callable[[int], Story]] = {
    "approval_needed": _approval_needed,
    "target_paused": _target_paused,
    "node_not_stable": _node_not_stable,
    "node_failures": _node_failures,
    "window_ends": _window_ends,
    "probe": _probe,
}
"""Of DRAFT_GUARDS, by the guard's name."""
BESIDE: Mapping[str, Callable[[int], Story]] = {
    "canary_width": canary,
    "domain_at_work": _domain_at_work,
    "suggestion_hold": suggestion,
}
"""Brakes that stand in no table."""
