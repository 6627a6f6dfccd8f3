"""The second judge: replay a plan against the rules, knowing nothing of how it was made.

Written from the rules, it shares with the planner only the cost formula, and judges the brakes by
its own reading of them. Its replay is not one order but all of them: on each node, an arrival may
start as soon as what it names in `after` is done, so the worst instant is when everything that may
have started has, and only what must be done is. Whatever order and overlap the completions take, no
instant is worse.
"""

import ntpath
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import pairwise
from typing import assert_never

from controller.model.desired import DesiredState, VMDesired
from controller.model.history import History, IntentState
from controller.model.names import fold, same_name
from controller.model.observed import ObservedState, RoleState, VMObserved
from controller.model.plan import Action, ActionKind, ActionReason, AuditFinding, Plan
from controller.planning.audit_apart import check_apart
from controller.planning.audit_brakes import (
    check_loss,
    check_orders,
    check_right,
    check_sight,
    check_trouble,
)
from controller.planning.audit_folders import check_folders
from controller.planning.audit_maintenance import check_nodes, check_written, in_maintenance
from controller.planning.audit_memory import (
    check_certificate,
    check_domains,
    check_limits,
    check_memory,
)
from controller.planning.audit_pace import (
    check_canary,
    check_change,
    check_failures,
    check_node_failures,
    check_rest,
)
from controller.planning.audit_settings import check_settings
from controller.planning.audit_world import World, fault, reasons_to_stay, world
from controller.planning.cost import hard_broken, standing_cost


def audit(
    plan: Plan,
    desired: DesiredState,
    observed: ObservedState,
    history: History,
    now: datetime,
) -> tuple[AuditFinding, ...]:
    """Every rule that the plan would break; empty means that it may be executed."""
    meanwhile = in_maintenance(plan, desired, observed, history, now)
    seen = world(plan, meanwhile, observed, history)
    found = (finding for rule in _RULES for finding in rule(seen, now))
    return (*found, *check_written(plan, desired, meanwhile))


def _one_standing_each(w: World, now: datetime) -> Iterator[AuditFinding]:
    expected = sorted([*(v.key for v in w.desired.vms), *(c.key for c in w.desired.conflicts)])
    if sorted(s.key for s in w.plan.standings) != expected:
        yield fault("standing", None, "not every declared VM has exactly one verdict")
    held = [h.key for h in w.plan.holds if h.key]
    if len(held) != len(set(held)):
        yield fault("standing", None, "a VM has two holds")


def _order(w: World, now: datetime) -> Iterator[AuditFinding]:
    """Ids are unique, `after` names earlier waves, and a VM's own actions follow one another."""
    if len(w.actions) != len(w.plan.actions):
        yield fault("order", None, "two actions bear one id")
    for action in w.plan.actions:
        if action.wave < 0:
            yield fault("order", action, f"wave {action.wave} does not exist")
        for before in action.after:
            if before not in w.actions:
                yield fault("order", action, f"{before} is not part of the plan")
            elif w.actions[before].wave >= action.wave:
                yield fault("order", action, f"{before} is not of an earlier wave")
    for key, actions in w.by_key.items():
        for first, second in pairwise(actions):
            if first.id not in w.done_before[second.id]:
                yield fault("one action a VM", second, f"{key} has {first.id} under way")


def _known_and_free(w: World, now: datetime) -> Iterator[AuditFinding]:
    """Every action is about one declared VM that nothing else holds."""
    held = {h.key for h in w.plan.holds}
    for action in w.plan.actions:
        want = w.wants.get(action.key)
        if action.is_on_node:
            if action.wave == 0 and action.key in held:
                yield fault("held", action, f"{action.vm} is held and changed at once")
            continue
        if want is None:
            yield fault("declared", action, f"no spec names {action.vm}")
            continue
        if want.suspended:
            yield fault("suspended", action, f"{action.vm} is suspended")
        intent = w.history.open_for(action.key)
        if intent is not None or action.vm_id in w.open_vm_ids:
            yield fault("outcome open", action, f"an intent on {action.vm} is open")
        if action.wave == 0 and action.key in held:
            yield fault("held", action, f"{action.vm} is held and started at once")
        if action.kind is ActionKind.CREATE:
            continue
        vm = w.vms.get(action.vm_id or "")
        if vm is not None and _is_shell(w, want, vm):
            yield fault("unfinished", action, f"the creation of {action.vm} broke off or goes on")
        if action.vm_id is None:
            if action.wave == 0:
                yield fault("identity", action, f"{action.vm} has no id")
        elif w.meant(want) != action.vm_id:
            yield fault("identity", action, f"{action.vm_id} is not what the spec means")


def _kinds(w: World, now: datetime) -> Iterator[AuditFinding]:
    """The conditions of each kind of action."""
    for action in w.plan.actions:
        want, vm = w.wants.get(action.key), w.vms.get(action.vm_id or "")
        if want is None:
            continue
        match action.kind:
            case ActionKind.MOVE if vm is not None:
                yield from _move(w, action, want, vm, now)
            case ActionKind.REGISTER if vm is not None:
                yield from _register(w, action, want, vm)
            case ActionKind.START if vm is not None:
                yield from _start(w, action, want, vm)
            case ActionKind.CREATE:
                yield from _create(w, action, want)
            case ActionKind.CONFIGURE:
                pass  # audit_settings has their rules
            case ActionKind.MOVE:
                yield fault("identity", action, f"{action.vm} is not there")
            case ActionKind.REGISTER | ActionKind.START:
                if not any(a.kind is ActionKind.CREATE for a in w.by_key[action.key]):
                    yield fault("identity", action, f"{action.vm} is not there")
            case ActionKind.SUSPEND_NODE | ActionKind.RESUME_NODE | ActionKind.CONFIGURE_NODE:
                yield fault("identity", action, f"{action.key} is a VM")
            case _:
                assert_never(action.kind)


def _move(
    w: World, action: Action, want: VMDesired, vm: VMObserved, now: datetime
) -> Iterator[AuditFinding]:
    for rule, detail in reasons_to_stay(w, want, vm, now):
        yield fault(rule, action, detail)
    if vm.role is None:
        registered = [a.id for a in w.by_key[action.key] if a.kind is ActionKind.REGISTER]
        if not set(registered) & w.done_before[action.id]:
            yield fault("clustered", action, f"{vm.name} is no clustered VM")
    yield from _move_target(w, action, want, vm)
    yield from _move_reason(w, action, want, vm)


def _move_target(
    w: World, action: Action, want: VMDesired, vm: VMObserved
) -> Iterator[AuditFinding]:
    node = w.nodes.get(fold(action.target))
    if node is None or not node.is_target:
        yield fault("target", action, f"{action.target} takes no VM now")
        return
    expected = w.owner_before(action, vm)
    if not same_name(action.source, expected):
        yield fault("source", action, f"{vm.name} is on {expected}, not on {action.source}")
    if same_name(action.source, action.target):
        yield fault("target", action, f"{vm.name} is there already")
    if not want.allows(action.target):
        yield fault("possible", action, f"{action.target} is outside possible")
    allowed = vm.role.possible_owners if vm.role is not None else ()
    if allowed and not any(same_name(action.target, n) for n in allowed):
        yield fault("possible", action, f"the cluster does not allow {action.target}")
    missing = {fold(s) for s in vm.switches} - {fold(s) for s in node.switches}
    if missing:
        yield fault("switch", action, f"{action.target} lacks {', '.join(sorted(missing))}")
    if action.memory_bytes != vm.memory_bytes:
        yield fault("memory", action, f"{vm.name} takes {vm.memory_bytes} bytes")


def _move_reason(
    w: World, action: Action, want: VMDesired, vm: VMObserved
) -> Iterator[AuditFinding]:
    """A VM moves for its own good, to make room for another's hard rule, or for a hop."""
    if action.reason is ActionReason.HOP:
        if not any(a.kind is ActionKind.MOVE for a in w.by_key[action.key] if a is not action):
            yield fault("hop", action, f"{vm.name} is left where it only stops")
        return
    home = vm.owner or ""
    policy, target = w.desired.policy, action.target
    here = standing_cost(want, policy, home=home, node=home)
    there = standing_cost(want, policy, home=home, node=target)
    if there < here:
        return
    if hard_broken(want, target) > hard_broken(want, home):
        yield fault("reason", action, f"{vm.name} would break its own rules there")
    if not any(_mends(w, other) for other in w.plan.actions):
        yield fault("reason", action, f"{vm.name} gains nothing, and no hard rule needs its room")


def _mends(w: World, action: Action) -> bool:
    want, vm = w.wants.get(action.key), w.vms.get(action.vm_id or "")
    if action.kind is not ActionKind.MOVE or want is None or vm is None:
        return False
    return hard_broken(want, action.target) < hard_broken(want, vm.owner or "")


def _register(w: World, action: Action, want: VMDesired, vm: VMObserved) -> Iterator[AuditFinding]:
    mounts = tuple(f"{volume.path.lower()}\\" for volume in w.observed.volumes)
    asked = {"configuration": (vm.configuration_path,), "disks": vm.disk_paths}
    paths = [p for check, found in asked.items() if check not in want.accepts for p in found]
    local = not all(f"{p.lower()}\\".startswith((*mounts, "\\\\")) for p in paths)
    node = w.nodes.get(fold(action.target))
    faults = (
        (not want.register, "register", f"the spec of {vm.name} does not ask for it"),
        (vm.role is not None, "register", f"{vm.name} is registered already"),
        (not same_name(vm.host, action.target), "register", f"{vm.name} runs on {vm.host}"),
        (node is None or not node.is_target, "target", f"{action.target} takes no VM now"),
        (_lacks_a_disk(w, want, vm), "unfinished", f"{vm.name} lacks a disk of its template"),
        (local, "shared storage", f"{vm.name} is not on shared volumes"),
    )
    yield from (fault(rule, action, detail) for bad, rule, detail in faults if bad)


def _is_shell(w: World, want: VMDesired, vm: VMObserved) -> bool:
    """Whether a creation of ours may have left it behind, or is still at it.

    The mark tells, where there is one. Without it, whose the VM is nobody knows while our last
    creation was sent and never seen done, until somebody has made it highly available.
    """
    if vm.creation_mark is not None:
        return vm.creation_mark.endswith(":creating")
    made = [i for i in w.history.intents if i.key == want.key and i.kind == ActionKind.CREATE]
    if vm.role is not None or not made or made[-1].state is not IntentState.NOT_DONE:
        return False
    last = made[-1]
    settle = w.desired.policy.settle_seconds
    # What was refused or not sent is closed by its reply, long before looks can have settled it.
    return (
        last.closed_at is not None and (last.closed_at - last.opened_at).total_seconds() >= settle
    )


def _lacks_a_disk(w: World, want: VMDesired, vm: VMObserved) -> bool:
    """Whether a VM that we made has not all that it was to have."""
    made = any(i.kind == ActionKind.CREATE and i.key == want.key for i in w.history.intents)
    if want.template is None or not (made or vm.creation_mark):
        return False
    return not _files(d.path for d in want.template.disks) <= _files(vm.disk_paths)


def _files(paths: Iterable[str]) -> set[str]:
    """Paths as Windows tells files apart."""
    return {fold(ntpath.normpath(path)) for path in paths}


def _start(w: World, action: Action, want: VMDesired, vm: VMObserved) -> Iterator[AuditFinding]:
    node = w.nodes.get(fold(action.target))
    if node is None or not node.is_target:
        yield fault("target", action, f"{action.target} takes no VM now")
    if _lacks_a_disk(w, want, vm):
        yield fault("unfinished", action, f"{vm.name} lacks a disk of its template")
    registers = any(a.kind is ActionKind.REGISTER for a in w.by_key[action.key])
    done = [
        i
        for i in w.history.intents
        if i.key == action.key and i.state is IntentState.DONE and i.kind != ActionKind.CONFIGURE
    ]
    ours = bool(done) and done[-1].kind in (ActionKind.CREATE, ActionKind.REGISTER)
    offline = vm.role is not None and vm.role.state is RoleState.OFFLINE
    if not registers and not (ours and offline):
        yield fault("start", action, f"{vm.name} is not one that we registered and never started")
    if not same_name(vm.host, action.target):
        yield fault("start", action, f"{vm.name} is on {vm.host}")


def _create(w: World, action: Action, want: VMDesired) -> Iterator[AuditFinding]:
    named = [vm for vm in w.observed.vms if same_name(vm.name, want.name)]
    bound = w.history.bound.get(want.key)
    node = w.nodes.get(fold(action.target))
    looks = w.history.absent_cycles.get(want.key, 0)
    everything = w.observed.is_complete and all(n.answered for n in w.observed.nodes)
    faults = (
        (bool(named) or bound in w.vms, "create", f"{want.title} exists"),
        (looks < w.desired.policy.complete_cycles_before_acting, "create", f"{looks} looks"),
        (not everything, "create", "not every node was seen"),
        (_shares_a_disk(w, action), "disk in use", f"another VM has a disk of {want.title}"),
        (want.template is None or action.template != want.template, "create", "no template"),
        (node is None or not node.is_target, "target", f"{action.target} takes no VM now"),
        (not want.allows(action.target), "possible", f"{action.target} is outside possible"),
    )
    yield from (fault(rule, action, detail) for bad, rule, detail in faults if bad)


def _shares_a_disk(w: World, action: Action) -> bool:
    """Whether another VM has one of its disks, is to get one, or does not tell."""
    if action.template is None or not action.template.disks:
        return False
    others = [a.template for a in w.plan.actions if a.id != action.id]
    creating = {i.key for i in w.history.open_intents if i.kind == ActionKind.CREATE}
    others += [want.template for key, want in w.wants.items() if key in creating]
    promised = _files(d.path for t in others if t is not None for d in t.disks)
    attached = _files(path for vm in w.observed.vms for path in vm.disk_paths)
    untold = any(vm.host is None or vm.equipment_at is None for vm in w.observed.vms)
    return untold or bool(_files(d.path for d in action.template.disks) & (promised | attached))


Rule = Callable[[World, datetime], Iterator[AuditFinding]]

_RULES: tuple[Rule, ...] = (
    _one_standing_each,
    _order,
    _known_and_free,
    _kinds,
    check_settings,
    check_nodes,
    check_folders,
    check_memory,
    check_limits,
    check_domains,
    check_apart,
    check_certificate,
    check_orders,
    check_right,
    check_sight,
    check_loss,
    check_trouble,
    check_canary,
    check_change,
    check_rest,
    check_failures,
    check_node_failures,
)
