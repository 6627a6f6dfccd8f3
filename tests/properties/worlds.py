"""Random small clusters, and a referee that knows the rules and nothing of the planner."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from hypothesis import strategies as st

from controller.model.desired import DesiredState, Failback, VMDesired
from controller.model.names import fold
from controller.model.observed import NodeState, ObservedState, VMObserved
from controller.model.plan import Action, ActionKind, Plan
from controller.model.policy import GIB
from controller.planning.cost import hard_broken, place_cost
from tests.builders import desired, desired_state, node, observed, policy, vm

NAMES = ("N1", "N2", "N3", "N4")


@dataclass(frozen=True)
class World:
    """A cluster and its specs."""

    desired: DesiredState
    observed: ObservedState

    def after(self, plan: Plan) -> "World":
        """The cluster when every move of the plan is done, one action after the other."""
        world = self.observed
        for action in plan.moves:
            world = moved(world, action)
        return replace(self, observed=world)


def moved(world: ObservedState, action: Action) -> ObservedState:
    """The snapshot after one move is done: owner, host and memory changed, nothing else."""
    assert action.kind is ActionKind.MOVE
    vms = []
    change: dict[str, int] = {}
    for seen in world.vms:
        if seen.id != action.vm_id:
            vms.append(seen)
            continue
        assert seen.role is not None
        assert seen.host is not None
        change[fold(seen.host)] = seen.memory_bytes
        change[fold(action.target)] = -seen.memory_bytes
        role = replace(seen.role, owner=action.target)
        vms.append(replace(seen, host=action.target, role=role))
    nodes = tuple(
        replace(n, memory_available_bytes=n.memory_available_bytes + change.get(fold(n.name), 0))
        if n.memory_available_bytes is not None
        else n
        for n in world.nodes
    )
    return replace(world, vms=tuple(vms), nodes=nodes)


@st.composite
def worlds(draw: st.DrawFn, *, nodes_max: int = 4, vms_max: int = 6, limits: bool = False) -> World:
    """A healthy cluster with running VMs, tight memory, and all kinds of owner rules.

    Some nodes take no VM, some VMs have no spec. Sizes repeat, so that ties and full nodes occur.
    """
    names = NAMES[: draw(st.integers(2, nodes_max))]
    sizes = st.sampled_from((4, 8, 8, 16, 24, 32))
    placed = draw(st.lists(st.tuples(sizes, st.sampled_from(names)), min_size=1, max_size=vms_max))
    vms = [vm(f"v{i}", home, memory=memory) for i, (memory, home) in enumerate(placed)]
    nodes = []
    for name in names:
        used = sum(memory for memory, home in placed if home == name)
        # Never less than the reserve, and often just as much as one more VM needs.
        free = 4 + draw(st.sampled_from((0, 0, 4, 8, 16, 40)))
        state = draw(st.sampled_from((NodeState.UP,) * 6 + (NodeState.PAUSED,)))
        nodes.append(node(name, total=used + free, free=free, state=state))
    wants = [draw(_wants(f"v{i}", names)) for i in range(len(vms))]
    declared = [want for want in wants if want is not None]
    limited = (
        policy(
            moves_per_node_max=draw(st.integers(1, 2)),
            moves_per_cluster_max=draw(st.integers(1, 3)),
            fault_domains=draw(st.sampled_from(({}, {}, {"n1": "a", "n2": "a", "n3": "b"}))),
        )
        if limits
        else policy()
    )
    return World(desired_state(*declared, policy=limited), observed(*nodes, *vms))


@st.composite
def _wants(draw: st.DrawFn, name: str, nodes: tuple[str, ...]) -> VMDesired | None:
    if draw(st.integers(0, 9)) == 0:
        return None
    possible = draw(st.permutations(nodes))[: draw(st.integers(1, len(nodes) + 1))]
    everywhere = draw(st.booleans())
    preferred = [n for n in draw(st.permutations(nodes)) if everywhere or n in possible]
    preferred = preferred[: draw(st.integers(0, len(preferred)))]
    return desired(
        name,
        *preferred,
        possible=None if everywhere else possible,
        required=draw(st.booleans()),
        # InWindow is held where there is no window, and the price of a hold is no law.
        failback=draw(st.sampled_from((Failback.WHEN_AVAILABLE, Failback.NEVER))),
    )


def cheapest(world: World) -> tuple[int, int]:
    """The least cost of any end that the rules allow, by trying every one.

    And the least of those ends to which there is a way with at most one move a VM: an end that
    full nodes lock away may be out of reach.
    """
    pieces = list(declared_vms(world))
    options = [_priced(world, want, seen) for want, seen in pieces]
    least = reachable = sum(
        next(c for c, n in o if n == s.host) for o, (_, s) in zip(options, pieces, strict=True)
    )
    for choice in product(*options):
        cost = sum(c for c, _ in choice)
        ends = [(seen, name) for (_, seen), (_, name) in zip(pieces, choice, strict=True)]
        if cost >= reachable or not has_room(world, ends):
            continue
        least = min(least, cost)
        if has_way(world, ends):
            reachable = cost
    return least, reachable


def has_way(world: World, ends: list[tuple[VMObserved, str]]) -> bool:
    """Whether the moves can be done one by one in some order, each into a node with room."""
    moves = [(seen, name) for seen, name in ends if name != seen.host]
    tried, open_sets = {frozenset[int]()}, [frozenset[int]()]
    while open_sets:
        done = open_sets.pop()
        if len(done) == len(moves):
            return True
        for i in set(range(len(moves))) - done:
            steps = [moves[j] for j in done] + [moves[i]]
            further = done | {i}
            if further not in tried and has_room(world, steps, into=moves[i][1]):
                tried.add(further)
                open_sets.append(further)
    return False


def cost_of(world: World, plan: Plan) -> int:
    """Cost of where the plan's moves end."""
    ends = {action.vm_id: action.target for action in plan.moves}
    return sum(
        place_cost(
            want,
            world.desired.policy,
            memory_bytes=seen.memory_bytes,
            home=seen.host or "",
            node=ends.get(seen.id, seen.host or ""),
        )
        for want, seen in declared_vms(world)
    )


def declared_vms(world: World) -> Iterator[tuple[VMDesired, VMObserved]]:
    """Each spec with its VM."""
    by_name = {seen.name: seen for seen in world.observed.vms}
    for want in world.desired.vms:
        yield want, by_name[want.name or ""]


def _priced(world: World, want: VMDesired, seen: VMObserved) -> list[tuple[int, str]]:
    policy, home = world.desired.policy, seen.host or ""
    return [
        (place_cost(want, policy, memory_bytes=seen.memory_bytes, home=home, node=name), name)
        for name in _nodes_for(world, want, seen)
    ]


def _nodes_for(world: World, want: VMDesired, seen: VMObserved) -> Iterator[str]:
    for n in world.observed.nodes:
        usable = (n.memory_total_bytes or 0) - 4 * GIB
        fits = n.state is NodeState.UP and want.allows(n.name) and seen.memory_bytes <= usable
        mends = hard_broken(want, n.name) <= hard_broken(want, seen.host or "")
        if n.name == seen.host or (fits and mends):
            yield n.name


def has_room(world: World, ends: list[tuple[VMObserved, str]], into: str | None = None) -> bool:
    """Whether each node that takes a VM in keeps its reserve of 4 GiB when all is done.

    `into`: ask only for this node, into which the last of the moves goes while its VM still counts
    on its source.
    """
    free = {n.name: (n.memory_available_bytes or 0) - 4 * GIB for n in world.observed.nodes}
    receives = set()
    for seen, name in ends:
        if name != seen.host:
            free[name] -= seen.memory_bytes
            free[seen.host or ""] += seen.memory_bytes
            receives.add(name)
    return all(free[name] >= 0 for name in receives if into is None or name == into)
