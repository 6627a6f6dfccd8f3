"""The audit's own reading of plan, specs, snapshot and past; nothing comes from the planner."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.model.desired import DesiredState, MigrationKind, VMDesired
from controller.model.history import History
from controller.model.names import fold, same_name
from controller.model.observed import NodeObserved, ObservedState, RoleState, VMObserved, VMState
from controller.model.plan import Action, ActionKind, AuditFinding, Plan
from controller.model.policy import Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Moving:
    """A VM under way: its memory is counted on every node that it may be on."""

    vm: VMObserved
    source: str
    targets: frozenset[str]


def fault(rule: str, action: Action | None, detail: str) -> AuditFinding:
    """That a plan breaks a rule, by which of its actions; None: by none of them alone."""
    return AuditFinding(rule=rule, action=action.id if action is not None else None, detail=detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the rules look at; node names folded."""

    plan: Plan
    desired: DesiredState
    observed: ObservedState
    history: History
    nodes: Mapping[str, NodeObserved]
    vms: Mapping[str, VMObserved]
    names: Mapping[str, tuple[str, ...]]
    """Folded VM name -> ids."""
    wants: Mapping[str, VMDesired]
    actions: Mapping[str, Action]
    by_key: Mapping[str, tuple[Action, ...]]
    """Actions of each VM, by wave."""
    done_before: Mapping[str, frozenset[str]]
    """Action id -> every action that must be seen done before it starts."""
    claims: Mapping[str | None, int]
    """VM id -> how many specs may mean it; empty when nothing is to be done."""
    open_vm_ids: frozenset[str | None]
    moving: tuple[Moving, ...]

    def meant(self, want: VMDesired) -> str | None:
        """Id of the one VM that a spec means, and that no other spec means; else None."""
        ids = _may_mean(want, self.history, self.names)
        vm_id = next(iter(ids), None)
        clear = len(ids) == 1 and vm_id in self.vms and self.claims.get(vm_id) == 1
        return vm_id if clear else None

    @property
    def starting(self) -> tuple[Action, ...]:
        """What would be ordered as the plan stands: nothing where a hold is on the whole cluster,
        and nothing ever in mode Observe."""
        held = any(hold.key == "" for hold in self.plan.holds)
        looks_only = self.desired.policy.mode is Mode.OBSERVE
        return () if held or looks_only else self.plan.ready()

    def candidates(self, want: VMDesired) -> tuple[VMObserved, ...]:
        """Every VM seen that the spec could mean, but none in place of one that went."""
        bound = self.history.bound.get(want.key)
        meant = _may_mean(want, self.history, self.names)
        found = [self.vms[i] for i in meant if i is not None and i in self.vms]
        if want.id is None and bound is not None and bound not in self.vms:
            return ()
        return tuple(found)

    def owner_before(self, action: Action, vm: VMObserved) -> str | None:
        """Where the VM is when the action starts."""
        earlier = [
            a
            for a in self.by_key[action.key]
            if a.kind is ActionKind.MOVE and a.id in self.done_before[action.id]
        ]
        return earlier[-1].target if earlier else vm.owner


def world(plan: Plan, desired: DesiredState, observed: ObservedState, history: History) -> World:
    """Read everything once."""
    names: dict[str, tuple[str, ...]] = {}
    for vm in observed.vms:
        names[fold(vm.name)] = (*names.get(fold(vm.name), ()), vm.id)
    by_key: dict[str, tuple[Action, ...]] = {}
    for action in sorted(plan.actions, key=lambda a: a.wave):
        by_key[action.key] = (*by_key.get(action.key, ()), action)
    vms = {vm.id: vm for vm in observed.vms}
    nodes = {fold(node.name): node for node in observed.nodes}
    actions = {action.id: action for action in plan.actions}
    claims = Counter(
        vm_id
        for want in (desired.vms if plan.actions else ())
        for vm_id in _may_mean(want, history, names)
    )
    return World(
        plan=plan,
        desired=desired,
        observed=observed,
        history=history,
        nodes=nodes,
        vms=vms,
        names=names,
        wants={want.key: want for want in desired.vms},
        actions=actions,
        by_key=by_key,
        done_before=_done_before(actions),
        claims=claims,
        open_vm_ids=frozenset(i.vm_id for i in history.open_intents if i.vm_id is not None),
        moving=_moving(vms, nodes, history),
    )


def _may_mean(
    want: VMDesired, history: History, names: Mapping[str, tuple[str, ...]]
) -> set[str | None]:
    """Every id that the spec could mean: the bound one, and all that bear the name."""
    if want.id is not None:
        return {want.id.lower()}
    bound = history.bound.get(want.key)
    return {*names.get(fold(want.name or ""), ()), *((bound,) if bound is not None else ())}


def _done_before(actions: Mapping[str, Action]) -> dict[str, frozenset[str]]:
    """Follow `after` to its end; waves rise along it in a sound plan, and a cycle ends it."""
    closed: dict[str, frozenset[str]] = {}
    for action in sorted(actions.values(), key=lambda a: a.wave):
        known = [before for before in action.after if before in actions]
        closed[action.id] = frozenset(known).union(*(closed.get(b, frozenset()) for b in known))
    return closed


def _moving(
    vms: Mapping[str, VMObserved], nodes: Mapping[str, NodeObserved], history: History
) -> tuple[Moving, ...]:
    ordered = {
        i.vm_id: i for i in history.open_intents if i.kind == ActionKind.MOVE and i.vm_id in vms
    }
    found = []
    for vm in vms.values():
        order, migration = ordered.get(vm.id), vm.migration
        home = nodes.get(fold(vm.owner or ""))
        # Its owner answered without it, though its role is online: it is between two nodes.
        lost = vm.host is None and vm.role is not None and vm.role.state is RoleState.ONLINE
        hidden = lost and home is not None and home.answered
        if not (order or migration or hidden or (vm.role and vm.role.queued)):
            continue
        source = (order.source if order else None) or (migration.source if migration else None)
        told = (migration.target if migration else None, order.target if order else None)
        targets = {fold(t) for t in told if t is not None}
        start = fold(source or vm.owner or "")
        # Where nobody tells, it may be any node that takes VMs.
        anywhere = {n for n, node in nodes.items() if node.is_target and n != start}
        found.append(Moving(vm=vm, source=start, targets=frozenset(targets or anywhere)))
    return tuple(found)


def reasons_to_stay(
    w: World, want: VMDesired, vm: VMObserved, now: datetime
) -> Iterator[tuple[str, str]]:
    """Every rule, with what was found, by which this VM may not be moved now, wherever to."""
    role, home = vm.role, w.nodes.get(fold(vm.owner or ""))
    returning = home is not None and home.failback_in_progress
    faults = (
        (returning, "failback", f"{vm.owner} is taking back what was drained from it"),
        (vm.state is not VMState.RUNNING, "running", f"{vm.name} is {vm.state}"),
        (vm.migration is not None, "at rest", f"{vm.name} is under way"),
        (vm.busy is not None, "busy", f"{vm.name}: {vm.busy}"),
        (vm.pass_through, "devices", f"{vm.name} has a pass-through disk"),
        (want.migration is MigrationKind.NEVER, "migration", f"{vm.name} is never migrated"),
        (not same_name(vm.owner, vm.host), "owner", f"{vm.owner} owns it, {vm.host} runs it"),
        (role is None and not want.register, "clustered", f"{vm.name} is no clustered VM"),
    )
    yield from ((rule, detail) for bad, rule, detail in faults if bad)
    if role is not None:
        faults_of_role = (
            (role.state is not RoleState.ONLINE, "role online", f"its role is {role.state}"),
            (role.queued, "at rest", f"{vm.name} is queued to be moved"),
            (role.locked, "locked", f"the role of {vm.name} is locked"),
        )
        yield from ((rule, detail) for bad, rule, detail in faults_of_role if bad)
    yield from _respect(w, vm, now)


def _respect(w: World, vm: VMObserved, now: datetime) -> Iterator[tuple[str, str]]:
    """What somebody else moved is left there for a while; so is what we moved, hops apart."""
    policy = w.desired.policy
    others = [f for f in w.history.foreign if f.vm_id == vm.id]
    if others and not others[-1].failover and same_name(others[-1].target, vm.owner):
        respected = others[-1].seen_at + timedelta(seconds=policy.foreign_respect_seconds)
        if now < respected:
            yield "respect", f"somebody else moved {vm.name} here"
    moves = [m for m in w.history.moves if m.vm_id == vm.id]
    if not moves or now >= moves[-1].seen_at + timedelta(seconds=policy.cooldown_seconds):
        return
    hops = 0
    for move in reversed(moves):
        if not move.hop:
            break
        hops += 1
    if hops % 2 == 0:
        yield "cooldown", f"{vm.name} was moved {moves[-1].seen_at.isoformat()}"
