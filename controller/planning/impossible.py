"""Why a VM that breaks a hard rule stays: the smallest set of rules in conflict, and the way out.

Rules that only a person can change make a wish impossible. A node that is down or full now makes it
wait. Checks of our own rather than a solver's core: they find every conflict, and minimal ones.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from controller.model.checks import CheckName, CheckResult, CheckVerdict
from controller.model.desired import Enforcement
from controller.model.names import fold
from controller.model.observed import VMState
from controller.model.plan import ActionKind, Hold, HoldReason, Impossible, Verdict
from controller.planning.holds import gib, hold_on
from controller.planning.preflight import lasts, unfit
from controller.planning.standing import Case
from controller.planning.view import View


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """What to say of a VM that can't be where it must."""

    verdict: Verdict
    hold: Hold
    impossible: Impossible | None


def explain_stuck(
    view: View, case: Case, others: Iterable[Case], spare: Mapping[str, int]
) -> Stuck:
    """Tell impossible from not now. `spare` is the room that the plan leaves on each node."""
    wished = wished_nodes(case)
    if not wished:
        # Only a node's maintenance leaves a spec without any node.
        home = view.title(case.home)
        return _waits(case, hold_on(case.want, HoldReason.PINNED, node=home))
    found = {name: _found(view, case, name) for name in wished}
    lasting = {name: [u for u in us if lasts(u)] for name, us in found.items()}
    if all(lasting.values()):
        return _impossible(view, case, lasting)
    fit = [fold(name) for name, us in found.items() if not us]
    if not fit:
        details = "; ".join(u.found for name, us in found.items() if not lasting[name] for u in us)
        return _waits(case, hold_on(case.want, HoldReason.TARGET_UNFIT, found=details))
    conflict = _too_many_for(view, case, others, fit)
    if conflict is not None:
        return conflict
    assert case.seen is not None
    room = "; ".join(f"{view.title(n)}: {gib(max(spare[n], 0))}" for n in fit)
    needs = gib(case.seen.memory_bytes)
    return _waits(case, hold_on(case.want, HoldReason.NO_ROOM, needs=needs, room=room))


def wished_nodes(case: Case) -> tuple[str, ...]:
    """Names of the nodes that would mend the hard rule it breaks, as the spec writes them."""
    want = case.want
    if want.possible is not None and not want.allows(case.home):
        return want.possible
    return want.preferred


def _found(view: View, case: Case, name: str) -> list[CheckResult]:
    node = view.nodes.get(fold(name))
    if node is not None:
        return list(unfit(case.want, case.seen, node, view.around))
    nodes = ", ".join(n.name for n in view.nodes.values())
    absent = CheckResult(
        name=CheckName.NODE_EXISTS,
        verdict=CheckVerdict.BLOCKS,
        found=f"the cluster has no node {name}",
        remedy=f"name one of the cluster's nodes instead of {name}: {nodes}",
        holds=True,
    )
    return [absent]


def _waits(case: Case, hold: Hold) -> Stuck:
    hold = replace(hold, action=ActionKind.MOVE)
    return Stuck(verdict=Verdict.MISPLACED, hold=hold, impossible=None)


def _impossible(view: View, case: Case, lasting: Mapping[str, list[CheckResult]]) -> Stuck:
    rules = _fewest_rules(list(lasting.values()))
    details = sorted({u.found for us in lasting.values() for u in us if u.name in rules})
    nearest = min(lasting, key=lambda name: (len(lasting[name]), fold(name)))
    wished = "possible" if not case.want.allows(case.home) else "preferred"
    impossible = Impossible(
        vms=(case.want.title,),
        rules=tuple(rule.value for rule in rules),
        explanation=f"None of the {wished} owners of {case.want.title} can take it: "
        + "; ".join(details)
        + ".",
        resolution=" and ".join(u.remedy for u in lasting[nearest]),
    )
    found, kind = "; ".join(details), ActionKind.MOVE
    if rules == (CheckName.NODE_EXISTS,):
        hold = hold_on(case.want, HoldReason.NODE_UNKNOWN, action=kind, found=found)
    elif CheckName.POSSIBLE in rules:
        hold = hold_on(case.want, HoldReason.RULES_CONFLICT, action=kind, found=found)
    else:
        hold = hold_on(
            case.want,
            HoldReason.PREFLIGHT,
            action=kind,
            check=", ".join(impossible.rules),
            found=found,
            remedy=impossible.resolution,
        )
    return Stuck(verdict=Verdict.IMPOSSIBLE, hold=hold, impossible=impossible)


def _fewest_rules(by_node: list[list[CheckResult]]) -> tuple[CheckName, ...]:
    """The fewest rules that together close every node: the one that closes most, and so on."""
    left = [{u.name for u in us} for us in by_node]
    chosen: list[CheckName] = []
    while left:
        rule = max(CheckName, key=lambda r: sum(r in rules for rules in left))
        chosen.append(rule)
        left = [rules for rules in left if rule not in rules]
    return tuple(sorted(chosen))


def _too_many_for(view: View, case: Case, others: Iterable[Case], fit: list[str]) -> Stuck | None:
    """Whether VMs that may only be on these nodes need more memory than these nodes have."""
    names = set(fit)
    members = [case, *(c for c in others if c is not case and _only_on(view, c, names))]
    capacity = sum(_capacity(view, name) for name in names)
    if sum(_memory(c) for c in members) <= capacity:
        return None
    members.sort(key=lambda c: (c is not case, -_memory(c), c.want.key))
    # Drop whoever is not needed for the contradiction, the smallest first.
    for member in reversed(members[1:]):
        rest = [c for c in members if c is not member]
        if sum(_memory(c) for c in rest) > capacity:
            members = rest
    if len(members) == 1:
        # No rule of another stands against it, only VMs of no spec: they may leave.
        return None
    titles = tuple(sorted(c.want.title for c in members))
    nodes = ", ".join(view.title(n) for n in sorted(names))
    lacking = sum(_memory(c) for c in members) - capacity
    hold = hold_on(
        case.want,
        HoldReason.RULES_CONFLICT,
        action=ActionKind.MOVE,
        vms=", ".join(titles),
        nodes=nodes,
        lacking=gib(lacking),
    )
    impossible = Impossible(
        vms=titles,
        rules=(
            *(f"{CheckName.POSSIBLE.value}: {title}" for title in titles),
            CheckName.MEMORY.value,
        ),
        explanation=f"{', '.join(titles)} may only be on {nodes}, and need {gib(lacking)} more"
        " memory than there is.",
        resolution=f"Allow one of them another node, or give them {gib(lacking)} less memory.",
    )
    return Stuck(verdict=Verdict.IMPOSSIBLE, hold=hold, impossible=impossible)


def _only_on(view: View, case: Case, names: set[str]) -> bool:
    """Whether the VM runs and its hard rules leave it no node but these."""
    want = case.want
    if case.seen is None or case.seen.state is not VMState.RUNNING:
        return False
    strict = want.enforcement is Enforcement.REQUIRED and want.preferred
    wished = want.preferred if strict else (want.possible or ())
    nodes = {fold(n) for n in wished if want.allows(n)} & view.nodes.keys()
    return bool(nodes) and nodes <= names


def _capacity(view: View, name: str) -> int:
    """Bytes for VMs with specs: the node's memory less the reserve and the VMs of no spec."""
    total = view.nodes[name].memory_total_bytes or 0
    declared = {match.vm.id for match in view.matches.values() if match.vm is not None}
    others = sum(
        vm.memory_assigned_bytes
        for vm in view.observed.vms
        if vm.id not in declared and fold(vm.host or "") == name
    )
    return total - view.desired.policy.reserve_bytes(total) - others


def _memory(case: Case) -> int:
    return case.seen.memory_bytes if case.seen is not None else 0
