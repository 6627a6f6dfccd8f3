"""The audit's own reading of maintenances: which nodes may be suspended or resumed, which emptied.

Nothing here comes from the planner. What counts is the document, the node as it was seen, and that
our own command suspended it.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from controller.model.desired import DesiredState, MaintenanceDesired, VMDesired
from controller.model.history import History, IntentState
from controller.model.names import fold, same_name
from controller.model.observed import NodeObserved, NodeState, ObservedState, VMState
from controller.model.plan import Action, ActionKind, AuditFinding, Plan
from controller.planning.audit_memory import room
from controller.planning.audit_world import World, fault


def in_maintenance(
    plan: Plan, desired: DesiredState, observed: ObservedState, history: History, now: datetime
) -> DesiredState:
    """The specs as they count now: VMs do without a node that is to be empty.

    Those on another node do without it as soon as it is to be suspended or waits for arrivals. An
    action of the plan is believed here; `check_nodes` judges it.
    """
    suspends = {fold(a.target) for a in plan.actions if a.kind is ActionKind.SUSPEND_NODE}
    emptied, closed, shunned = set(suspends), set[str](), set[str]()
    for document in desired.maintenances:
        name = fold(document.node)
        if document.suspended or document.contradicts:
            continue
        ended = document.end is not None and document.end <= now
        if ended and not document.returns:
            shunned.add(name)
        ordered = [i for i in history.open_intents if i.key == document.key]
        if ordered:
            closed.add(name)
        elif _is_due(document, now) and _is_ours(history, name):
            emptied.add(name)
        elif any(h.key == document.key and h.reason == "NodeInUse" for h in plan.holds):
            closed.add(name)
    named = {document.key for document in desired.maintenances}
    for intent in history.open_intents:
        if intent.kind == ActionKind.RESUME_NODE and intent.key not in named:
            closed.add(fold(intent.target))
    if not emptied and not closed and not shunned:
        return desired
    owners = {vm.id: fold(vm.owner or "") for vm in observed.vms}
    names = [node.name for node in observed.nodes]
    vms = []
    for want in desired.vms:
        home = owners.get(_id_of(want, observed, history) or "", "")
        barred = emptied | {n for n in closed if n != home}
        unloved = barred | {n for n in shunned if n != home}
        vms.append(_barred(want, names, barred, unloved))
    return replace(desired, vms=tuple(vms))


def _id_of(want: VMDesired, observed: ObservedState, history: History) -> str | None:
    bound = want.id or history.bound.get(want.key)
    if bound is not None:
        return bound.lower()
    named = observed.named(want.name or "")
    return named[0].id if len(named) == 1 else None


def _barred(want: VMDesired, nodes: list[str], barred: set[str], unloved: set[str]) -> VMDesired:
    possible = want.possible
    if barred:
        named = nodes if possible is None else possible
        possible = tuple(n for n in named if fold(n) not in barred)
    preferred = tuple(n for n in want.preferred if fold(n) not in unloved)
    return replace(want, possible=possible, preferred=preferred)


def _is_due(document: MaintenanceDesired, now: datetime) -> bool:
    begun = document.start is None or now >= document.start
    return begun and not (document.end is not None and document.end <= now)


def _is_ours(history: History, name: str) -> bool:
    """Whether our last command that paused it was seen done; `absorb` drops it with the pause."""
    done = [
        i
        for i in history.intents
        if fold(i.target) == name
        and i.kind == ActionKind.SUSPEND_NODE
        and i.state is IntentState.DONE
    ]
    return bool(done)


def check_nodes(w: World, now: datetime) -> Iterator[AuditFinding]:
    """A node is suspended or resumed only where its document, its state and the rest allow it."""
    for action in w.plan.actions:
        if not action.is_maintenance:
            continue
        name = fold(action.target)
        node = w.nodes.get(name)
        documents = [m for m in w.desired.maintenances if fold(m.node) == name]
        if node is None or not same_name(action.source, action.target):
            yield fault("node", action, f"{action.target} is no node")
            continue
        if action.wave or action.key != f"node:{name}" or action.vm_id is not None:
            yield fault("node", action, f"{action.id} is no action on {action.target}")
        if any(
            same_name(i.target, action.target) and i.kind != ActionKind.CONFIGURE_NODE
            for i in w.history.open_intents
        ):
            yield fault("node in use", action, f"a command to {action.target} is open")
        if any(m.suspended or m.contradicts for m in documents):
            yield fault("maintenance", action, f"{action.target} is to be left alone")
        due = any(_is_due(m, now) for m in documents)
        if action.kind is ActionKind.SUSPEND_NODE:
            yield from _suspension(w, action, node, due=due)
        else:
            yield from _resumption(w, action, node, due=due)


def check_written(
    plan: Plan, desired: DesiredState, meanwhile: DesiredState
) -> Iterator[AuditFinding]:
    """What a spec says only for the time of a maintenance is not written into the cluster."""
    written = {want.key: want for want in desired.vms}
    otherwise = {want.key for want in meanwhile.vms if want != written[want.key]}
    for action in plan.actions:
        if action.kind is ActionKind.CONFIGURE and action.key in otherwise:
            yield fault("setting", action, f"the spec of {action.vm} counts otherwise meanwhile")


def _suspension(
    w: World, action: Action, node: NodeObserved, *, due: bool
) -> Iterator[AuditFinding]:
    name = fold(node.name)
    others = [n for n in w.nodes.values() if fold(n.name) != name]
    away = sorted(n.name for n in others if not n.is_target)
    suspends = [a for a in w.plan.actions if a.kind is ActionKind.SUSPEND_NODE]
    arriving = [m.vm.name for m in w.moving if name in m.targets and m.source != name]
    follows = [a.id for a in w.plan.actions if not a.is_maintenance and a.wave == 0]
    faults = (
        (not due, "maintenance", f"no document wants {node.name} empty now"),
        (not node.is_target, "node", f"{node.name} is {node.state}"),
        (bool(away), "one node", f"{', '.join(away)} is away"),
        (len(suspends) > 1, "one node", f"{len(suspends)} nodes would be suspended"),
        (
            2 * (len(others) - len(away)) <= len(w.nodes),
            "quorum",
            f"without {node.name} the rest is no majority",
        ),
        (bool(arriving), "node in use", f"{', '.join(arriving)} is on its way there"),
        (bool(follows), "order", f"{', '.join(follows[:3])} would start at the same time"),
        (_is_too_much(w, name), "node failures", f"without {node.name} no node may fail"),
    )
    yield from (fault(rule, action, detail) for bad, rule, detail in faults if bad)


def _is_too_much(w: World, name: str) -> bool:
    """Whether the largest nodes among the others, lost besides, leave too little memory for all."""
    tolerated = w.desired.policy.node_failures_tolerated
    if not tolerated:
        return False
    free = {n: max(room(w, n, later=True), 0) for n in w.nodes}
    used = dict.fromkeys(w.nodes, 0)
    for vm in w.observed.vms:
        if vm.state is VMState.RUNNING and fold(vm.owner or "") in used:
            used[fold(vm.owner or "")] += vm.memory_bytes
    sizes = sorted((free[n] + used[n] for n in w.nodes if n != name), reverse=True)
    left = sum(free[n] for n in w.nodes if n != name) - used[name]
    return sum(sizes[:tolerated]) > left


def _resumption(
    w: World, action: Action, node: NodeObserved, *, due: bool
) -> Iterator[AuditFinding]:
    faults = (
        (due, "maintenance", f"{node.name} is to be empty now"),
        (not _is_ours(w.history, fold(node.name)), "resume", f"we did not suspend {node.name}"),
        (node.state is not NodeState.PAUSED, "node", f"{node.name} is {node.state}"),
        (node.draining, "resume", f"somebody drained {node.name}"),
        (bool(node.volumes_lost), "node", f"{node.name} lacks a volume"),
    )
    yield from (fault(rule, action, detail) for bad, rule, detail in faults if bad)
