"""The audit catches each of a list of seeded mistakes, and none in the plan as it was made."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from controller.model.desired import DesiredState, VMDesired
from controller.model.history import History, IntentState
from controller.model.observed import (
    AffinityKind,
    AffinityRule,
    ObservedState,
    VMObserved,
    VMState,
)
from controller.model.plan import Action, ActionKind, ActionReason, Plan
from controller.model.policy import NativePolicy
from controller.model.setting import Setting
from controller.planning.audit import audit
from controller.planning.decide import decide, may_act
from controller.planning.make_plan import make_plan
from tests.builders import (
    NEVER,
    NOW,
    created,
    desired,
    desired_state,
    foreign_move,
    history,
    intent,
    moving,
    node,
    observed,
    own_move,
    policy,
    vm,
    vm_id,
)


@dataclass(frozen=True)
class Case:
    """A plan with all that it rests on; a mistake changes one thing."""

    plan: Plan
    specs: DesiredState
    world: ObservedState
    past: History

    def findings(self) -> set[str]:
        """The rules that the audit finds broken."""
        found = audit(self.plan, self.specs, self.world, self.past, NOW)
        return {finding.rule for finding in found}

    def acting(self, wanted: str, **changes: object) -> "Case":
        """The same with one action changed."""
        actions = tuple(
            replace(a, **changes) if a.id == self.only(wanted).id else a for a in self.plan.actions
        )
        return replace(self, plan=replace(self.plan, actions=actions))

    def only(self, wanted: str) -> Action:
        """The first action on that VM."""
        return next(a for a in self.plan.actions if a.vm == wanted)

    def adding(self, *more: Action) -> "Case":
        """The same with further actions."""
        return replace(self, plan=replace(self.plan, actions=(*self.plan.actions, *more)))

    def seeing(self, vm_name: str, /, **changes: object) -> "Case":
        """The same plan in a world where that VM is otherwise."""
        vms = tuple(replace(v, **changes) if v.name == vm_name else v for v in self.world.vms)
        return replace(self, world=replace(self.world, vms=vms))

    def role(self, name: str, /, **changes: object) -> "Case":
        """The same plan in a world where that VM's role is otherwise."""
        seen: VMObserved = next(v for v in self.world.vms if v.name == name)
        assert seen.role is not None
        return self.seeing(name, role=replace(seen.role, **changes))

    def wanting(self, name: str, **changes: object) -> "Case":
        """The same plan under another spec for that VM."""
        vms = tuple(replace(w, **changes) if w.name == name else w for w in self.specs.vms)
        return replace(self, specs=replace(self.specs, vms=vms))

    def setting(self, name: str, **changes: object) -> "Case":
        """The same with one write otherwise."""
        actions = tuple(
            replace(a, change=replace(a.change, **changes))
            if a.change is not None and a.change.setting == name
            else a
            for a in self.plan.actions
        )
        return replace(self, plan=replace(self.plan, actions=actions))

    def under(self, **changes: object) -> "Case":
        """The same plan under another policy."""
        policy = replace(self.specs.policy, **changes)
        return replace(self, specs=replace(self.specs, policy=policy))

    def claiming(self, **changes: object) -> "Case":
        """The same with another certificate."""
        certificate = replace(self.plan.certificate, **changes)
        return replace(self, plan=replace(self.plan, certificate=certificate))

    def before(self, **changes: object) -> "Case":
        """The same plan with another past."""
        return replace(self, past=replace(self.past, **changes))


NAMED = ("n1", "n2", "n3", "n4", "n5")
LIMITS = policy(moves_per_node_max=2, moves_per_cluster_max=2, native_policy=NativePolicy.MANAGE)


def busy() -> Case:
    """A swap of full nodes over n3, one of each other kind of work, and a simple move."""
    world = observed(
        node("n1", total=64),
        node("n2", total=64),
        node("n3", total=128),
        node("n4", total=64),
        node("n5", total=64, switches=("Other",)),
        vm("a", "n1", memory=58),
        vm("b", "n2", memory=58),
        vm("c", "n3", memory=4),
        vm("d", "n3", memory=4, clustered=False),
        vm("e", "n4", memory=4, state=VMState.OFF),
        vm("right", "n4", memory=4),
        vm("nobodys", "n3", memory=4),
        vm("set", "n4", memory=4, role_changes={"possible_owners": NAMED, "failback": True}),
    )
    wants: tuple[VMDesired, ...] = (
        desired("a", "n2"),
        desired("b", "n1"),
        desired("c", "n4"),
        desired("d", register=True),
        created("e", "n4"),
        created("f", "n4"),
        desired("right", "n4"),
        replace(desired("set", "n4", possible=("n3", "n4")), priority=3000),
    )
    past = history(
        absent_cycles={"name:f": 2},
        intents=(intent("e", "n4", kind=ActionKind.REGISTER, state=IntentState.DONE),),
    )
    specs = desired_state(*wants, policy=LIMITS)
    return Case(make_plan(specs, world, past, NOW), specs, world, past)


BUSY = busy()
HOP = BUSY.only("a")
RETURN = next(a for a in BUSY.plan.actions if a.vm == "a" and a.wave > 0)


def same_vm_at_once(case: Case) -> Case:
    """A second move of c while the first is under way."""
    return case.adding(replace(case.only("c"), id="x", target="n1"))


def one_class(*names: str) -> Callable[[Case], Case]:
    """The cluster enforces a class that these VMs are of."""

    def seed(case: Case) -> Case:
        for name in names:
            case = case.role(name, anti_affinity=("App",))
        return replace(case, world=replace(case.world, anti_affinity_enforced=True))

    return seed


def one_rule(kind: AffinityKind, *names: str) -> Callable[[Case], Case]:
    """The cluster has an affinity rule of these roles."""
    rule = AffinityRule(name="Rule", kind=kind, roles=names)
    return lambda c: replace(c, world=replace(c.world, affinity_rules=(rule,)))


def move_of(name: str, source: str, target: str, **changes: object) -> Action:
    """A move that nobody planned."""
    base = replace(
        BUSY.only("c"), id=f"move:{name}:{target}", key=f"name:{name}", vm=name, vm_id=vm_id(name)
    )
    return replace(base, source=source, target=target, **changes)


MISTAKES: dict[str, tuple[str, Callable[[Case], Case]]] = {
    "no spec names the VM": ("declared", lambda c: c.adding(move_of("nobodys", "n3", "n4"))),
    "a VM gains nothing": ("reason", lambda c: c.adding(move_of("right", "n4", "n3"))),
    "outside possible": ("possible", lambda c: c.wanting("c", possible=("n1", "n2"))),
    "the cluster forbids the node": ("possible", lambda c: c.role("c", possible_owners=("n1",))),
    "the node lacks the switch": ("switch", lambda c: c.acting("c", target="n5")),
    "the node takes nobody": (
        "target",
        lambda c: replace(
            c,
            world=replace(
                c.world,
                nodes=tuple(
                    replace(n, draining=True) if n.name == "n4" else n for n in c.world.nodes
                ),
            ),
        ),
    ),
    "two of a class meet where one is": ("anti-affinity", one_class("c", "right")),
    "two of a class meet on a hop": ("anti-affinity", one_class("a", "nobodys")),
    "two of a class meet where both go": (
        "anti-affinity",
        lambda c: one_class("b", "c")(c.acting("c", target="n1")),
    ),
    "what a rule keeps apart meets": (
        "anti-affinity",
        one_rule(AffinityKind.DIFFERENT_FAULT_DOMAIN, "c", "right"),
    ),
    "a rule takes others along": ("affinity", one_rule(AffinityKind.SAME_NODE, "c", "nobodys")),
    "no such node": ("target", lambda c: c.acting("c", target="n9")),
    "planned from the wrong owner": ("source", lambda c: c.acting("c", source="n2")),
    "there already": ("target", lambda c: c.acting("c", source="n4")),
    "not running": ("running", lambda c: c.seeing("c", state=VMState.SAVED)),
    "busy": ("busy", lambda c: c.seeing("c", busy="BackingUpVirtualMachine")),
    "pinned by a device": ("devices", lambda c: c.seeing("c", pass_through=True)),
    "host and owner differ": ("owner", lambda c: c.seeing("c", host="n1")),
    "under way already": (
        "at rest",
        lambda c: c.seeing("c", migration=moving(vm("c", "n3"), "n1").migration),
    ),
    "queued already": ("at rest", lambda c: c.role("c", queued=True)),
    "locked": ("locked", lambda c: c.role("c", locked=True)),
    "role not online": ("role online", lambda c: c.role("c", state="Failed")),
    "not clustered": ("clustered", lambda c: c.seeing("c", role=None)),
    "never to be migrated": ("migration", lambda c: c.wanting("c", migration=NEVER)),
    "suspended": ("suspended", lambda c: c.wanting("c", suspended=True)),
    "an open intent": (
        "outcome open",
        lambda c: c.before(intents=(*c.past.intents, intent("c", "n1", source="n3"))),
    ),
    "not the VM that is meant": ("identity", lambda c: c.acting("c", vm_id=vm_id("nobodys"))),
    "a twin": ("identity", lambda c: c.seeing("nobodys", name="C")),
    "meant by two specs": (
        "identity",
        lambda c: replace(
            c,
            specs=replace(
                c.specs,
                vms=(
                    *c.specs.vms,
                    replace(desired("z"), key="id:z", name=None, id=vm_id("c")),
                ),
            ),
        ),
    ),
    "somebody else moved it": (
        "respect",
        lambda c: c.before(foreign=(foreign_move("c", "n1", "n3"),)),
    ),
    "moved a moment ago": ("cooldown", lambda c: c.before(moves=(own_move("c", "n1", "n3"),))),
    "two actions at once": ("one action a VM", same_vm_at_once),
    "an id twice": ("order", lambda c: c.adding(c.only("c"))),
    "after something unknown": ("order", lambda c: c.acting("b", after=("move:nothing",))),
    "after a later wave": ("order", lambda c: c.acting("c", after=(RETURN.id,))),
    "too early for its room": ("memory", lambda c: c.acting("b", after=(), wave=0)),
    "its room forgotten": ("memory", lambda c: c.acting("b", after=())),
    "a smaller VM than it is": ("memory", lambda c: c.acting("a", memory_bytes=1)),
    "less memory than was thought": (
        "memory",
        lambda c: replace(
            c,
            world=replace(
                c.world,
                nodes=tuple(
                    replace(n, memory_available_bytes=0) if n.name == "n3" else n
                    for n in c.world.nodes
                ),
            ),
        ),
    ),
    "more at once than a node may": (
        "node limit",
        lambda c: replace(c, specs=replace(c.specs, policy=policy(moves_per_node_max=1))),
    ),
    "more at once than the cluster may": (
        "cluster limit",
        lambda c: replace(c, specs=replace(c.specs, policy=policy(moves_per_cluster_max=1))),
    ),
    "more than the cluster's own limit": (
        "node limit",
        lambda c: replace(c, world=replace(c.world, migrations_parallel_max=1)),
    ),
    "a slot that others use": (
        "cluster limit",
        lambda c: c.seeing("nobodys", migration=moving(vm("nobodys", "n3"), "n4").migration),
    ),
    "a slot of one that no node lists": (
        "cluster limit",
        lambda c: c.seeing("nobodys", host=None, state=VMState.OTHER),
    ),
    "left on its stop": (
        "hop",
        lambda c: replace(
            c,
            plan=replace(c.plan, actions=tuple(a for a in c.plan.actions if a.id != RETURN.id)),
        ),
    ),
    "registered without being asked": ("register", lambda c: c.wanting("d", register=False)),
    "registered elsewhere": ("register", lambda c: c.acting("d", target="n1")),
    "registered twice": ("register", lambda c: c.seeing("d", role=vm("d", "n3").role)),
    "registered off the volumes": (
        "shared storage",
        lambda c: c.seeing("d", disk_paths=(r"D:\d.vhdx",)),
    ),
    "created though it exists": ("create", lambda c: c.seeing("nobodys", name="F")),
    "created at first sight": ("create", lambda c: c.before(absent_cycles={"name:f": 1})),
    "created from another template": ("create", lambda c: c.acting("f", template=None)),
    "created where it may not be": ("possible", lambda c: c.wanting("f", possible=("n1",))),
    "started a second time": ("start", lambda c: c.before(intents=())),
    "started elsewhere": ("start", lambda c: c.acting("e", target="n1")),
    "cheaper than it is": ("certificate", lambda c: c.claiming(cost_gib=1.0)),
    "a bound that is not proved": ("certificate", lambda c: c.claiming(lower_bound_gib=1e6)),
    "an optimum that is none": (
        "certificate",
        lambda c: replace(
            c,
            plan=replace(
                c.plan,
                actions=tuple(a for a in c.plan.actions if a.vm != "c"),
            ),
        ),
    ),
    "fewer hops than there are": ("certificate", lambda c: c.claiming(hops=0)),
    "fewer moves than there are": ("certificate", lambda c: c.claiming(moves=1)),
    "quicker than it can be": ("certificate", lambda c: c.claiming(seconds_estimated=0.0)),
    "a VM without a verdict": (
        "standing",
        lambda c: replace(c, plan=replace(c.plan, standings=c.plan.standings[1:])),
    ),
    "a VM with two verdicts": (
        "standing",
        lambda c: replace(
            c, plan=replace(c.plan, standings=(*c.plan.standings, c.plan.standings[0]))
        ),
    ),
    "an owner that is taken out": (
        "setting",
        lambda c: c.setting("PossibleOwners", after=("n3", "n5")),
    ),
    "an owner that the spec does not allow": (
        "setting",
        lambda c: c.setting("PossibleOwners", after=("n3", "n4", "n5")),
    ),
    "one owner alone": ("setting", lambda c: c.setting("PossibleOwners", after=("n4",))),
    "failback switched on": ("setting", lambda c: c.setting("Failback", after=("on",))),
    "preferred owners of nobody's wish": (
        "setting",
        lambda c: c.setting("PreferredOwners", after=("n3",)),
    ),
    "a priority of nobody's wish": ("setting", lambda c: c.setting("Priority", after=("0",))),
    "a setting while it moves": ("setting", lambda c: c.role("set", queued=True)),
    "a setting of a locked role": ("setting", lambda c: c.role("set", locked=True)),
    "a setting that is another tool's": (
        "setting",
        lambda c: c.role("set", name="SCVMM set Resources"),
    ),
    "settings that are only to be reported": (
        "setting",
        lambda c: c.under(native_policy=NativePolicy.REPORT),
    ),
    "too many settings at once": ("setting", lambda c: c.under(settings_at_once_max=0)),
    "processors of a VM that runs": (
        "setting",
        lambda c: c.wanting("set", processor_compatibility=True).setting(
            "Failback", setting=Setting.PROCESSOR_COMPATIBILITY
        ),
    ),
    "settings out of order": (
        "setting",
        lambda c: c.setting("Failback", setting=Setting.PRIORITY, after=("3000",)),
    ),
    "held and started": (
        "held",
        lambda c: replace(c, plan=replace(c.plan, holds=(replace(c.plan.holds[0], key="name:c"),))),
    ),
}


def test_the_plan_as_it_was_made_is_sound() -> None:
    """Every kind of work at once, and no finding."""
    assert BUSY.findings() == set()
    on_nodes = {ActionKind.SUSPEND_NODE, ActionKind.RESUME_NODE, ActionKind.CONFIGURE_NODE}
    assert {a.kind for a in BUSY.plan.actions} == set(ActionKind) - on_nodes
    assert HOP.reason is ActionReason.HOP
    assert RETURN.reason is ActionReason.HOP_RETURN


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_seeded_mistake_is_found(mistake: str) -> None:
    """One thing is changed; the rule that it breaks is named."""
    rule, seed = MISTAKES[mistake]
    assert rule in seed(BUSY).findings()


def test_every_order_of_completions_is_judged() -> None:
    """Legal in the order planned, not in every order: c may land on n1 before b has left room."""
    world = observed(
        node("n1", total=30),
        node("n2"),
        vm("a", "n1", memory=16),
        vm("b", "n2", memory=16),
        vm("c", "n2", memory=8),
    )
    specs = desired_state(desired("a", "n2"), desired("b", "n1"), desired("c", "n1"))
    plan = make_plan(specs, world, history(), NOW)
    case = Case(plan, specs, world, history())
    assert case.findings() == set()
    assert "memory" in case.acting("b", after=()).findings()


def test_a_finding_stops_everything_and_is_shown() -> None:
    """Two judges: what the second refuses is not executed."""
    assert may_act(BUSY.specs, BUSY.past, (), BUSY.plan)
    findings = audit(BUSY.claiming(hops=0).plan, BUSY.specs, BUSY.world, BUSY.past, NOW)
    assert not may_act(BUSY.specs, BUSY.past, findings, BUSY.plan)


def test_a_sound_plan_stays_sound_while_its_first_wave_is_under_way() -> None:
    """The plan that is made next counts what is in flight on both ends, and is sound again."""
    sent = intent("a", "n3", source="n1", opened_at=NOW - timedelta(seconds=5), hop=True)
    world = BUSY.seeing("a", migration=moving(vm("a", "n1"), "n3").migration).world
    past = replace(BUSY.past, intents=(*BUSY.past.intents, sent))
    plan, findings = decide(BUSY.specs, world, past, NOW)
    assert findings == ()
    assert [a.wave for a in plan.moves if a.vm == "b"] == [1]
