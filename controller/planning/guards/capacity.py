"""Guards that ask whether the cluster could still bear a loss."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from controller.model.names import fold
from controller.model.observed import NodeObserved, NodeState, VMState
from controller.model.plan import Action, ActionKind, Hold, HoldReason
from controller.planning.holds import hold_on_action, hold_on_cluster
from controller.planning.standing import Case
from controller.planning.view import View

VOTERS_MIN: Final = 3
_ALL_TOGETHER: Final = "the largest nodes together"


def quorum_at_risk(view: View, cases: Sequence[Case]) -> Hold | None:
    """A node is away, and of those that vote the loss of one more would leave no majority.

    Windows takes the vote of a node that leaves, so that the rest counts anew (dynamic quorum,
    Microsoft docs, "Understanding cluster and pool quorum"): three bear the loss of one, two may
    not. Whether a witness would save them is not in the snapshot.
    """
    away = [n.name for n in view.nodes.values() if not _votes(n)]
    voting = len(view.nodes) - len(away)
    if not away or voting >= VOTERS_MIN:
        return None
    evidence = {"away": ", ".join(away), "voting": str(voting), "nodes": str(len(view.nodes))}
    return hold_on_cluster(HoldReason.QUORUM_AT_RISK, evidence)


def _votes(node: NodeObserved) -> bool:
    # An isolated or quarantined node has lost its membership, though it may still run VMs.
    lost = node.isolated or node.quarantined
    return node.state in (NodeState.UP, NodeState.PAUSED) and not lost


def node_failures(view: View, actions: Sequence[Action]) -> Iterator[Hold]:
    """After the action, nodes that may fail could not be restarted elsewhere any more.

    Two necessary conditions are asked: the VMs of the largest nodes fit into the rest together, and
    the largest VM of each node fits somewhere. A breach that is there already forbids no move: it
    is not made worse by one, only by a VM that comes in addition.
    """
    tolerated = view.desired.policy.node_failures_tolerated
    if tolerated == 0:
        return
    room, guests = _load(view)
    for action in actions:
        if action.kind in (ActionKind.REGISTER, ActionKind.CONFIGURE) or action.is_on_node:
            continue
        new_room, new_guests = _after(action, room, guests)
        before = _not_borne(room, guests, tolerated)
        after = _not_borne(new_room, new_guests, tolerated)
        adds = action.kind is not ActionKind.MOVE
        if after - before or (adds and after):
            lost = sorted(view.title(n) for n in after)
            yield hold_on_action(action, HoldReason.NODE_FAILURES, {"nodes": ", ".join(lost)})
        else:
            room, guests = new_room, new_guests


def not_borne_without(view: View, node: str) -> tuple[str, ...]:
    """Whose loss could not be borne any more while that node is empty and away.

    Its VMs are taken to be where there is most room, the largest first.
    """
    tolerated = view.desired.policy.node_failures_tolerated
    if tolerated == 0:
        return ()
    room, guests = _load(view)
    leaving = sorted(guests.pop(node), reverse=True)
    del room[node]
    for memory in leaving if room else ():
        roomiest = max(sorted(room), key=lambda n: room[n])
        room[roomiest] -= memory
        guests[roomiest] = [*guests[roomiest], memory]
    return tuple(sorted(view.title(n) for n in _not_borne(room, guests, tolerated)))


def _load(view: View) -> tuple[dict[str, int], dict[str, list[int]]]:
    """Room of each node, and the memory of each VM that runs on it."""
    room = {name: max(free, 0) for name, free in view.room_later.items()}
    guests: dict[str, list[int]] = {name: [] for name in room}
    for vm in view.observed.vms:
        if vm.state is VMState.RUNNING and fold(vm.owner or "") in guests:
            guests[fold(vm.owner or "")].append(vm.memory_bytes)
    return room, guests


def _after(
    action: Action, room: Mapping[str, int], guests: Mapping[str, list[int]]
) -> tuple[dict[str, int], dict[str, list[int]]]:
    memory, target = _memory(action), fold(action.target)
    new_room = {**room, target: room[target] - memory}
    new_guests = {**guests, target: [*guests[target], memory]}
    source = fold(action.source or "")
    if action.kind is ActionKind.MOVE and memory in guests.get(source, ()):
        new_room[source] += memory
        new_guests[source] = [*guests[source]]
        new_guests[source].remove(memory)
    return new_room, new_guests


def _memory(action: Action) -> int:
    if action.template is not None:
        return action.template.memory_startup_bytes
    return action.memory_bytes


def _not_borne(
    room: Mapping[str, int], guests: Mapping[str, list[int]], tolerated: int
) -> frozenset[str]:
    """Nodes whose loss, with the worst others up to `tolerated`, could not be borne."""
    size = {name: room[name] + sum(guests[name]) for name in room}
    largest = sorted(room, key=lambda n: (-size[n], n))[:tolerated]
    needed = sum(sum(guests[name]) for name in largest)
    lost = {_ALL_TOGETHER} if needed > sum(room[n] for n in room if n not in largest) else set()
    for name in room:
        others = sorted((room[n] for n in room if n != name), reverse=True)[tolerated - 1 :]
        if guests[name] and max(guests[name]) > max(others, default=0):
            lost.add(name)
    return frozenset(lost)
