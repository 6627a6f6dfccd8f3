"""Settings of roles and states of nodes: what we may write, judged by the wire and by truth."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from controller.simulator.states import DrainStatus, NodeState
from tests.simulation.evidence import NO_TARGET, UP
from tests.simulation.orders import Order
from tests.simulation.upkeeps import Upkeep
from tests.simulation.wants import Want

if TYPE_CHECKING:
    from tests.simulation.checker import Checker

OWNERS_MIN = 2
READ_SECONDS = 1.5
"""A change of the documents is known after the next stat scan, one a second."""

Found = Iterator[str]


# ---- when a command leaves


def one_node_away(c: "Checker", order: Order) -> Found:
    """I8: a node is suspended only while all others are shown there for VMs, and are a majority."""
    if order.kind != "suspendNode":
        return
    others = [node for node in c.world.cluster.nodes if node != order.target.lower()]
    views = {node: c.evidence.view_of(node) for node in others}
    away = [
        node
        for node, view in views.items()
        if view is not None and (view["state"] != UP or view["drain"] or view["status"] & NO_TARGET)
    ]
    if away:
        yield f"{c.what(order)} while {', '.join(away)} is away"
    if 2 * (len(others) - len(away)) <= len(c.world.cluster.nodes):
        yield f"{c.what(order)}: the rest is no majority"


def documented(c: "Checker", order: Order) -> Found:
    """R9: a node is suspended because a document says so, and resumed only if we suspended it."""
    if order.kind not in ("suspendNode", "resumeNode"):
        return
    if c.clock_jumped_seconds > 0:  # whoever was set wrong is right by its own clock
        return
    asked = c.evidence.asked.get(order.target.lower(), order.at_seconds)
    known = c.upkeeps_since(asked - READ_SECONDS)
    due = [any(u.node == order.target.lower() and _is_due(u, c, asked) for u in us) for us in known]
    if order.kind == "suspendNode" and not any(due):
        yield f"{c.what(order)}, and no document wants it empty"
    if order.kind == "resumeNode" and all(due):
        yield f"{c.what(order)}, and it is to be empty"


def _is_due(upkeep: Upkeep, c: "Checker", asked: float) -> bool:
    return upkeep.is_due(asked) or upkeep.is_due(c.world.now)


def as_declared(c: "Checker", order: Order) -> Found:
    """R10: what is written to a role is what some spec in force says of it, where it is ours."""
    if order.kind != "setRole":
        return
    if c.limits.native_policy != "Manage":
        yield f"{c.what(order)}, and nobody gave us its settings"
    wants = c.wants_then(order)
    if wants and not any(_is_declared(c, order, want) for want in wants):
        told = order.call.arguments
        yield f"{c.what(order)}: {told['setting']} {told['after']} is not declared"


def _is_declared(c: "Checker", order: Order, want: Want) -> bool:
    after = [str(name).lower() for name in order.call.arguments["after"]]
    nodes = c.world.cluster.nodes
    match order.call.arguments["setting"]:
        case "Failback":
            return after == ["off"]
        case "Priority":
            return after == [want.priority]
        case "PreferredOwners":
            return after == [node for node in want.preferred if node in nodes]
        case _:
            kept = {order.source.lower(), *(n for n in want.preferred if n in nodes)}
            return set(after) == kept | {node for node in nodes if want.allows(node)}


# ---- when it takes effect


def node_conditions_held(c: "Checker", order: Order) -> Found:
    """I3 and I8: at the instant of the effect the node, and all others, were as they must be."""
    before, what = c.before(order), c.what(order)
    paused = before.source_state is NodeState.Paused
    drained = before.source_drain is not DrainStatus.NotInitiated
    faults = (
        (order.kind == "suspendNode" and bool(before.others_away), f"{before.others_away} away"),
        (order.kind == "suspendNode" and before.target_is_avoided, "it is to be avoided"),
        (order.kind in ("suspendNode", "setFolders") and not before.target_is_up, "it is not Up"),
        (order.kind == "resumeNode" and not paused, f"it is {before.source_state}"),
        (order.kind == "resumeNode" and drained, "somebody drained it"),
        (order.kind == "setFolders" and not before.folder_exists, "there is no such folder"),
    )
    yield from (f"{what} was acted on: {why}" for bad, why in faults if bad)
    if order.kind in ("setRole", "setFolders"):
        told = tuple(str(name) for name in order.call.arguments["before"])
        found = before.setting if order.kind == "setRole" else before.folders
        if [_plain(n) for n in told] != [_plain(n) for n in found]:
            yield f"{what} was acted on: it is {found}, not {told}"


def _plain(text: str) -> str:
    """A name or a folder as Windows tells them apart."""
    return text.lower().rstrip("\\")


def owners_are_sound(c: "Checker", order: Order) -> Found:
    """I15: whoever owns a role is left among its possible owners, and never alone."""
    role = c.world.cluster.roles.get(order.vm_id or "")
    if order.kind != "setRole" or order.call.arguments["setting"] != "PossibleOwners" or not role:
        return
    for owners in (role.possible, role.possible_configuration):
        if role.owner.lower() not in {n.lower() for n in owners} or len(owners) < OWNERS_MIN:
            yield f"{c.what(order)} leaves {owners}, and {role.owner} owns it"


def preferred_are_possible(c: "Checker", order: Order) -> Found:
    """I16: whom we make a role prefer may own it."""
    role = c.world.cluster.roles.get(order.vm_id or "")
    if order.kind != "setRole" or order.call.arguments["setting"] != "PreferredOwners" or not role:
        return
    possible = {n.lower() for n in role.possible} & {n.lower() for n in role.possible_configuration}
    strangers = [name for name in role.preferred if name.lower() not in possible]
    if strangers and order.accepted:
        yield f"{c.what(order)}: {strangers} can't own it"
