"""After placement: the one verdict of each declared VM, and the one hold of each that must wait."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from controller.model.names import fold
from controller.model.plan import (
    Action,
    ActionKind,
    Hold,
    HoldReason,
    Impossible,
    Standing,
    Verdict,
)
from controller.planning.choices import Chosen, node_options
from controller.planning.cost import hard_broken, standing_cost
from controller.planning.holds import hold_on
from controller.planning.impossible import explain_stuck
from controller.planning.lifecycle import Lifecycle
from controller.planning.preflight import is_fit
from controller.planning.schedule import Blocked
from controller.planning.standing import Case
from controller.planning.view import View


@dataclass(slots=True)
class Conclusion:
    """What the plan says of every declared VM, ordered by key."""

    standings: list[Standing] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    impossible: list[Impossible] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Everything that was decided before."""

    view: View
    cases: tuple[Case, ...]
    chosen: Chosen
    life: Lifecycle
    created_on: Mapping[str, str]
    blocked: Mapping[str, Blocked]
    spare: Mapping[str, int]
    settings_held: Mapping[str, Hold]
    """By VMDesired key."""
    actions: tuple[Action, ...]


def conclude(decided: Decided) -> Conclusion:
    """Give each declared VM its verdict and, where something due does not start, its hold."""
    result = Conclusion()
    starting = {a.key for a in decided.actions if a.wave == 0}
    moving_later = {a.key: a for a in decided.actions if a.wave > 0 and a.kind is ActionKind.MOVE}
    for case in decided.cases:
        key = case.want.key
        verdict, hold, impossible = _verdict(decided, case)
        if hold is None and key in moving_later and key not in starting:
            hold = _later(decided, case, moving_later[key])
        hold = hold or decided.settings_held.get(key)
        if hold is not None and key not in starting:
            result.holds.append(hold)
        if impossible is not None:
            result.impossible.append(impossible)
        result.standings.append(
            Standing(
                key=key,
                vm=case.want.title,
                vm_id=case.seen.id if case.seen is not None else None,
                verdict=verdict,
                owner=case.seen.owner if case.seen is not None else None,
                declared=_declared(decided, case, verdict),
            )
        )
    _add_conflicts(decided.view, result)
    return result


def _verdict(decided: Decided, case: Case) -> tuple[Verdict, Hold | None, Impossible | None]:
    view, key = decided.view, case.want.key
    own = decided.life.held.get(key) or case.hold
    if case.verdict is not None:
        held = decided.chosen.held.get(key) if case.placed else None
        return case.verdict, own or held, None
    node = decided.chosen.places.get(key)
    if node is not None and node != case.home:
        makes_room = key in decided.chosen.because_of
        return (Verdict.SETTLED if makes_room else Verdict.MISPLACED), None, None
    if node is None and key not in decided.chosen.held:
        return Verdict.SETTLED, None, None
    broken = hard_broken(case.want, case.home)
    if key in decided.chosen.held:
        hold, target = decided.chosen.held[key], _best_with_room(decided, case)
        # A hold that names a target says itself that a place is there, and so does this reason.
        placed = hold.target is not None or hold.reason is HoldReason.NO_ROOM_YET
        if target is None and not broken and not placed:
            return Verdict.SETTLED, None, None
        name = view.title(target) if target is not None else hold.target
        return Verdict.MISPLACED, replace(hold, action=ActionKind.MOVE, target=name), None
    if broken:
        stuck = explain_stuck(view, case, decided.cases, decided.spare)
        return stuck.verdict, stuck.hold, stuck.impossible
    return Verdict.SETTLED, None, None


def _best_with_room(decided: Decided, case: Case) -> str | None:
    """The node that it would go to, were it free to move."""
    assert case.seen is not None
    view, policy = decided.view, decided.view.desired.policy
    fitting = [
        (standing_cost(case.want, policy, home=case.home, node=node), -decided.spare[node], node)
        for node in node_options(view, case)
        if is_fit(case.want, case.seen, view.nodes[node], view.around)
        and case.seen.memory_bytes <= decided.spare[node]
    ]
    return min(fitting)[2] if fitting else None


def _later(decided: Decided, case: Case, action: Action) -> Hold | None:
    """Why a move of this plan is not of the first wave."""
    blocked = decided.blocked.get(case.want.key)
    if blocked is None:
        return None
    view, node = decided.view, blocked.node
    evidence = {"node": view.title(node)} if node else {}
    match blocked.reason:
        case HoldReason.NODE_LIMIT:
            evidence |= {
                "moves_under_way": str(view.slots_used.get(node, 0)),
                "moves_per_node_max": str(view.node_limit),
            }
        case HoldReason.CLUSTER_LIMIT:
            evidence |= {
                "moves_under_way": str(len(view.flights)),
                "moves_per_cluster_max": str(view.cluster_limit),
            }
        case HoldReason.FAULT_DOMAIN:
            evidence |= {
                "domain": view.desired.policy.fault_domain(view.title(node)),
                "domain_at_work": blocked.domain,
            }
        case HoldReason.CANARY:
            due = len({a.key for a in decided.actions if a.kind is ActionKind.MOVE})
            evidence |= {"moves_due": str(due)}
        case _:
            evidence |= {"room_bytes": str(max(view.room_now.get(node, 0), 0))}
    hold = hold_on(case.want, blocked.reason, action=ActionKind.MOVE, target=action.target)
    return replace(hold, evidence=evidence)


def _declared(decided: Decided, case: Case, verdict: Verdict) -> str | None:
    """The node it should be on as things are; None where any is right."""
    view, want = decided.view, case.want
    node = decided.chosen.places.get(want.key) or decided.created_on.get(want.key)
    if node is not None and node != case.home:
        return view.title(node)
    match verdict:
        case Verdict.SETTLED:
            return view.title(case.home) if want.preferred else None
        case Verdict.UNREGISTERED if case.placed and not hard_broken(want, case.home):
            return view.title(case.home) if want.preferred else None
        case (
            Verdict.MISPLACED
            | Verdict.UNREGISTERED
            | Verdict.MOVING
            | Verdict.MISSING
            | Verdict.CREATING
            | Verdict.REGISTERING
            | Verdict.NOT_STARTED
            | Verdict.STARTING
            | Verdict.CONFIGURING
            | Verdict.UNKNOWN
            | Verdict.SUSPENDED
            | Verdict.CONFLICT
            | Verdict.IMPOSSIBLE
        ):
            return _first_choice(view, case)
    assert_never(verdict)


def _first_choice(view: View, case: Case) -> str | None:
    """The first node of the spec that could take it now, room apart; else the first it names."""
    want = case.want
    named = want.preferred or (() if want.allows(case.home) else (want.possible or ()))
    for name in named:
        node = view.nodes.get(fold(name))
        if node is None:
            continue
        if fold(name) == case.home or is_fit(want, case.seen, node, view.around):
            return node.name
    return named[0] if named else None


def _add_conflicts(view: View, result: Conclusion) -> None:
    """Specs that mean one VM: both are frozen, and neither is chosen."""
    for conflict in view.desired.conflicts:
        first = conflict.vms[0]
        where = ", ".join(f"{want.spec_name} ({want.source})" for want in conflict.vms)
        result.holds.append(
            replace(hold_on(first, HoldReason.SPEC_CONFLICT, specs=where), key=conflict.key)
        )
        result.standings.append(
            Standing(
                key=conflict.key,
                vm=first.title,
                vm_id=None,
                verdict=Verdict.CONFLICT,
                owner=None,
                declared=None,
            )
        )


def by_place(holds: Iterable[Hold]) -> tuple[Hold, ...]:
    """Holds in a total order: the cluster's first, then by VM."""
    return tuple(sorted(holds, key=lambda h: (h.key != "", fold(h.vm), h.key, h.reason)))
