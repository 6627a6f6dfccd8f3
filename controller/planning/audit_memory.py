"""The audit's sums: memory at every instant, limits, and the certificate."""

from collections.abc import Iterator
from datetime import datetime
from itertools import combinations
from typing import Final

from controller.model.desired import VMDesired
from controller.model.names import fold, same_name
from controller.model.observed import NodeObserved, VMObserved, VMState
from controller.model.plan import Action, ActionKind, ActionReason, AuditFinding, Verdict
from controller.planning.audit_world import World, fault, reasons_to_stay
from controller.planning.cost import HARD, as_gib, place_cost, standing_cost
from controller.planning.identity import roster
from controller.planning.preflight import is_fit, surroundings

STATES_MAX: Final = 4_096
"""Sets of departures weighed per node. Sound plans have as many as they have arrivals there."""
GIB_TOLERANCE: Final = 1e-6
RESTING: Final = frozenset(
    {Verdict.SETTLED, Verdict.MISPLACED, Verdict.IMPOSSIBLE, Verdict.UNREGISTERED}
)


def check_memory(w: World, now: datetime) -> Iterator[AuditFinding]:
    """No instant of any order of completions leaves a node with less than its reserve.

    Of the arrivals on a node, those may have started whose departures are done. So for each set of
    departures that some arrivals rest on: all arrivals that rest on no more must fit into the room
    that exactly these departures leave.
    """
    arrivals: dict[str, list[Action]] = {}
    leaving: dict[str, set[str]] = {}
    for action in w.plan.actions:
        if _takes_room(action):
            arrivals.setdefault(fold(action.target), []).append(action)
        if action.kind is ActionKind.MOVE:
            leaving.setdefault(fold(action.source or ""), set()).add(action.id)
    for name, actions in sorted(arrivals.items()):
        departures = leaving.get(name, set())
        rests_on = {a.id: w.done_before[a.id] & departures for a in actions}
        states = _unions(set(rests_on.values()))
        if states is None:
            yield fault("memory", None, f"too many orders on {name} to prove the plan")
            continue
        for state in states:
            freed = sum(w.actions[d].memory_bytes for d in state)
            for first_wave in (True, False):
                started = [
                    a
                    for a in actions
                    if rests_on[a.id] <= state and (a.wave == 0 or not first_wave)
                ]
                free = room(w, name, later=not first_wave) + freed
                taken = sum(a.memory_bytes for a in started)
                if started and taken > free:
                    lacking = f"{name} may lack {taken - free} bytes"
                    yield fault("memory", max(started, key=lambda a: a.wave), lacking)


def check_limits(w: World, now: datetime) -> Iterator[AuditFinding]:
    """Moves of each wave, and of everybody in the first, stay within node and cluster limits."""
    policy, cluster_own = w.desired.policy, w.observed.migrations_parallel_max
    node_max = policy.moves_per_node_max
    if cluster_own is not None:
        node_max = min(node_max, cluster_own)
    waves: dict[int, list[Action]] = {}
    for action in w.plan.moves:
        waves.setdefault(action.wave, []).append(action)
    for wave, moves in sorted(waves.items()):
        busy: dict[str, int] = {}
        under_way = w.moving if wave == 0 else ()
        for nodes in (
            *({m.source, *m.targets} for m in under_way),
            *({fold(a.source or ""), fold(a.target)} for a in moves),
        ):
            for name in nodes:
                busy[name] = busy.get(name, 0) + 1
        least = 0 if wave == 0 else 1
        for move in moves:
            for name in (fold(move.source or ""), fold(move.target)):
                if busy[name] > max(node_max, least):
                    yield fault("node limit", move, f"{busy[name]} moves on {name} at once")
        if len(under_way) + len(moves) > max(policy.moves_per_cluster_max, least):
            yield fault("cluster limit", moves[-1], f"{len(under_way) + len(moves)} at once")


def check_domains(w: World, now: datetime) -> Iterator[AuditFinding]:
    """All VMs that are under way at one time come from one fault domain."""
    policy = w.desired.policy
    waves: dict[int, list[Action]] = {}
    for action in w.plan.moves if policy.fault_domains else ():
        waves.setdefault(action.wave, []).append(action)
    for wave, moves in sorted(waves.items()):
        sources = [a.source or "" for a in moves]
        sources += [m.source for m in w.moving] if wave == 0 else []
        domains = {policy.fault_domains.get(fold(n), fold(n)) for n in sources}
        if len(domains) > 1:
            detail = f"VMs of {', '.join(sorted(domains))} would be under way at once"
            yield fault("fault domain", moves[-1], detail)


def check_certificate(w: World, now: datetime) -> Iterator[AuditFinding]:
    """Cost, counts and bounds are what they are claimed to be."""
    claimed, moves = w.plan.certificate, w.plan.moves
    cost, bound = _cost_and_bound(w, now)
    hops = sum(1 for a in moves if a.reason is ActionReason.HOP)
    faults = (
        (abs(claimed.cost_gib - as_gib(cost)) > GIB_TOLERANCE, f"the cost is {as_gib(cost)} GiB"),
        (claimed.lower_bound_gib > claimed.cost_gib + GIB_TOLERANCE, "the bound is above the cost"),
        (claimed.proved_optimal and cost != bound, "optimality is claimed, not proved"),
        (
            cost // HARD == bound // HARD
            and claimed.lower_bound_gib > as_gib(bound) + GIB_TOLERANCE,
            f"no more than {as_gib(bound)} GiB is proved",
        ),
        (claimed.moves != len(moves), f"there are {len(moves)} moves"),
        (claimed.hops != hops, f"there are {hops} hops"),
        (claimed.moves_lower_bound > len({a.key for a in moves}), "the bound of moves is wrong"),
        (
            claimed.seconds_lower_bound > claimed.seconds_estimated + GIB_TOLERANCE,
            "the estimate is below its bound",
        ),
    )
    yield from (fault("certificate", None, detail) for bad, detail in faults if bad)


def _takes_room(action: Action) -> bool:
    return action.kind in (ActionKind.MOVE, ActionKind.START)


def _unions(sets: set[frozenset[str]]) -> list[frozenset[str]] | None:
    """Every union of the sets; None when there are too many."""
    unions = set(sets)
    if all(a <= b or b <= a for a, b in combinations(sets, 2)):
        return sorted(unions, key=sorted)
    for one in sets:
        unions |= {one | other for other in unions}
        if len(unions) > STATES_MAX:
            return None
    return sorted(unions, key=sorted)


def room(w: World, name: str, *, later: bool) -> int:
    """Bytes that may come in: measured, less reserve, less what is on its way in.

    Moves under way are over when a later wave starts, because that wave is planned anew from what
    is seen then; so later waves may count on what leaves.
    """
    node = w.nodes.get(name)
    if node is None or node.memory_available_bytes is None or node.memory_total_bytes is None:
        return -(1 << 62)
    free = node.memory_available_bytes - w.desired.policy.reserve_bytes(node.memory_total_bytes)
    for moving in w.moving:
        here = fold(moving.vm.host or "") == name
        if name in moving.targets and not here:
            free -= moving.vm.memory_bytes
        if later and here and moving.source == name:
            free += moving.vm.memory_bytes
    return free - _starting_bytes(w, name)


def _starting_bytes(w: World, name: str) -> int:
    """Start-up memory of VMs that we have begun to create or start there."""
    memory = 0
    for intent in w.history.open_intents:
        if fold(intent.target) != name:
            continue
        vm, want = w.vms.get(intent.vm_id or ""), w.wants.get(intent.key)
        if intent.kind == ActionKind.START and vm is not None and vm.state is not VMState.RUNNING:
            memory += vm.memory_startup_bytes
        if intent.kind == ActionKind.CREATE and want is not None and want.template is not None:
            memory += want.template.memory_startup_bytes
    return memory


def _cost_and_bound(w: World, now: datetime) -> tuple[int, int]:
    """Cost of where every VM at rest ends, and a sum that no plan can be below.

    The bound gives each VM that may move its best node, where it would fit if all others with
    something to gain left; who is held, or only registered for now, stays. Where innocent VMs make
    room, no node is called full. Which node a VM may be on at all is said by the one table of
    preflight checks, here as in the plan: it bears on what is best, never on what is safe.
    """
    policy = w.desired.policy
    cost = bound = 0
    ends = {a.key: fold(a.target) for a in w.plan.moves}
    held = {h.key for h in w.plan.holds} | {a.key for a in w.plan.actions}
    held -= ends.keys()
    makes_room = any(a.reason is ActionReason.MAKES_ROOM for a in w.plan.moves)
    gaining: list[tuple[VMDesired, VMObserved, str, int]] = []
    for standing in w.plan.standings:
        want, vm = w.wants.get(standing.key), w.vms.get(standing.vm_id or "")
        if want is None or vm is None or standing.verdict not in RESTING:
            continue
        home, memory = fold(vm.owner or ""), vm.memory_bytes
        here = standing_cost(want, policy, home=home, node=home)
        end = ends.get(standing.key, home)
        if here == 0 and end == home:
            continue
        cost += place_cost(want, policy, memory_bytes=memory, home=home, node=end)
        stays = here == 0 or standing.key in held or any(reasons_to_stay(w, want, vm, now))
        if stays:
            bound += here
        else:
            gaining.append((want, vm, home, here))
    leaving: dict[str, int] = {}
    for _, vm, home, _ in gaining:
        leaving[home] = leaving.get(home, 0) + vm.memory_bytes
    for action in w.plan.actions:
        if action.kind is ActionKind.START and action.vm_id is not None:
            leaving[fold(action.target)] = leaving.get(fold(action.target), 0) - action.memory_bytes
    under_way = {moving.vm.id: moving.targets for moving in w.moving}
    around = (
        surroundings(w.observed, roster(w.observed), policy, now, targets=under_way)
        if gaining
        else None
    )
    for want, vm, home, here in gaining:
        best = here
        for name, node in w.nodes.items():
            there = place_cost(want, policy, memory_bytes=vm.memory_bytes, home=home, node=name)
            if there >= best or not _fits(want, vm, node, w):
                continue
            if around is not None and not is_fit(want, vm, node, around):
                continue
            free = room(w, name, later=True) + leaving.get(name, 0)
            if makes_room or vm.memory_bytes <= free:
                best = there
        bound += best
    return cost, bound


def _fits(want: VMDesired, vm: VMObserved, node: NodeObserved, w: World) -> bool:
    allowed = vm.role.possible_owners if vm.role is not None else ()
    total = node.memory_total_bytes
    return (
        node.is_target
        and want.allows(node.name)
        and (not allowed or any(same_name(node.name, n) for n in allowed))
        and {fold(s) for s in vm.switches} <= {fold(s) for s in node.switches}
        and total is not None
        and vm.memory_bytes <= total - w.desired.policy.reserve_bytes(total)
    )
