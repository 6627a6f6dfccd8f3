"""Each brake is judged twice: what the planner would let pass without its hold, the audit finds.

One cluster has every kind of work to do. Each case adds what a brake is for: then the real plan
holds it and the audit agrees; the plan without that hold is vetoed.
"""

import ast
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from controller.model.control import Approval, Stop, StopScope, StopSource
from controller.model.desired import DesiredState, Failback
from controller.model.history import History, IntentState, Result, SpecMark
from controller.model.observed import NodeState, ObservedState, VMState
from controller.model.plan import ActionKind, HoldReason, Plan
from controller.model.policy import Mode
from controller.model.window import ChangeWindow, WindowEffect, parse_cron
from controller.planning.approvals import approve
from controller.planning.audit import audit
from controller.planning.decide import decide, may_act
from controller.planning.make_plan import make_plan
from tests.builders import (
    NOW,
    created,
    desired,
    desired_state,
    history,
    intent,
    node,
    observed,
    own_move,
    refused,
    vm,
)

MANY = tuple(f"v{i}" for i in range(8))
RULES = Path(__file__).parents[3] / "controller" / "planning"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that a plan rests on."""

    specs: DesiredState
    world: ObservedState
    past: History
    now: Any = NOW

    def plan(self) -> Plan:
        """What the planner makes of it."""
        return make_plan(self.specs, self.world, self.past, self.now)

    def found(self, plan: Plan) -> set[str]:
        """The rules that this plan would break here."""
        return {f.rule for f in audit(plan, self.specs, self.world, self.past, self.now)}

    def under(self, **changes: Any) -> "Facts":
        """The same under another policy."""
        return replace(
            self, specs=replace(self.specs, policy=replace(self.specs.policy, **changes))
        )

    def since(self, **changes: Any) -> "Facts":
        """The same with another past."""
        return replace(self, past=replace(self.past, **changes))

    def seeing(self, **changes: Any) -> "Facts":
        """The same with something else about the cluster."""
        return replace(self, world=replace(self.world, **changes))

    def nodes(self, *names: str, **changes: Any) -> "Facts":
        """The same with these nodes otherwise."""
        seen = tuple(replace(n, **changes) if n.name in names else n for n in self.world.nodes)
        return self.seeing(nodes=seen)

    def vms(self, *names: str, **changes: Any) -> "Facts":
        """The same with these VMs otherwise."""
        seen = tuple(replace(v, **changes) if v.name in names else v for v in self.world.vms)
        return self.seeing(vms=seen)


def work() -> Facts:
    """Eight moves, a failback, a registration and a creation, all free to start."""
    return Facts(
        specs=desired_state(
            *(desired(name, "n2") for name in MANY),
            desired("back", "n1", "n2", failback=Failback.WHEN_AVAILABLE),
            created("shell", "n3"),
            created("new", "n3", memory=2),
        ),
        world=observed(
            node("n1"),
            node("n2"),
            node("n3"),
            *(vm(name, "n1", memory=4) for name in MANY),
            vm("back", "n2", memory=4),
            vm("shell", "n3", memory=4, state=VMState.OFF, clustered=False),
        ),
        past=history(absent_cycles={"name:new": 5}),
    )


FREE = work()


def stop(scope: StopScope, name: str = "") -> Stop:
    """Somebody's stop, in force until resumed."""
    return Stop(
        id="s", scope=scope, name=name, source=StopSource.API, owner="ann", reason="r", since=NOW
    )


def window(line: str, effect: WindowEffect = WindowEffect.ALLOW, minutes: int = 60) -> ChangeWindow:
    """A window in the wall time of Berlin, which is an hour ahead of the tests' clock."""
    return ChangeWindow(
        effect=effect,
        cron=parse_cron(line),
        duration_seconds=60 * minutes,
        zone=ZoneInfo("Europe/Berlin"),
    )


def failed(*names: str, minutes: float) -> tuple[Result, ...]:
    """Commands without effect, all so long ago."""
    at = NOW - timedelta(minutes=minutes)
    return tuple(
        Result(intent=f"i{n}", key=f"name:{name}", vm=name, failed=True, at=at)
        for n, name in enumerate(names)
    )


def marks(count: int, *gone: str) -> dict[str, SpecMark]:
    """So many of the VMs last complied with another spec; these are in no spec any more."""
    found = {}
    for number, key in enumerate([*(f"name:{name}" for name in MANY), *gone]):
        accepted = "old" if number < count else "new"
        found[key] = SpecMark(key=key, digest="new", accepted=accepted, since=NOW)
    return found


def failing_back(facts: Facts) -> Facts:
    """The failback waits for a window."""
    vms = tuple(
        replace(w, failback=Failback.IN_WINDOW) if w.name == "back" else w for w in facts.specs.vms
    )
    return replace(facts, specs=replace(facts.specs, vms=vms))


OWN = tuple(own_move("v0", "n2", "n1", ago_seconds=3600 * h) for h in (9, 6, 3))
BROKEN_OFF = intent(
    "shell",
    "n3",
    kind=ActionKind.CREATE,
    state=IntentState.NOT_DONE,
    opened_at=NOW - timedelta(minutes=9),
    closed_at=NOW - timedelta(minutes=5),
)
OLD_YES = Approval(digest="another", owner="ann", reason="r", at=NOW, actions=("Move x",))

BRAKES: dict[str, tuple[str, HoldReason, Callable[[Facts], Facts]]] = {
    "everything is stopped": (
        "stop",
        HoldReason.STOPPED,
        lambda f: f.since(stops=(stop(StopScope.EVERYTHING),)),
    ),
    "the cluster is stopped": (
        "stop",
        HoldReason.STOPPED,
        lambda f: f.since(stops=(stop(StopScope.CLUSTER),)),
    ),
    "the flag in the cluster": ("stop", HoldReason.STOPPED, lambda f: f.seeing(stop_flag="no")),
    "a VM is paused": (
        "paused",
        HoldReason.PAUSED,
        lambda f: f.since(stops=(stop(StopScope.VM, "V0"),)),
    ),
    "a source is paused": (
        "paused",
        HoldReason.PAUSED,
        lambda f: f.since(stops=(stop(StopScope.NODE, "N1"),)),
    ),
    "a target is paused": (
        "paused",
        HoldReason.PAUSED,
        lambda f: f.since(stops=(stop(StopScope.NODE, "N3"),)),
    ),
    "another controller took over": (
        "epoch",
        HoldReason.SUPERSEDED,
        lambda f: f.since(superseded=True),
    ),
    "not claimed": ("epoch", HoldReason.EPOCH_NOT_CLAIMED, lambda f: f.since(holder="h")),
    "claimed by another": (
        "epoch",
        HoldReason.EPOCH_NOT_CLAIMED,
        lambda f: f.since(holder="h", epoch=7).seeing(epoch=7, epoch_holder="other"),
    ),
    "no journal": ("past", HoldReason.FIRST_CYCLES, lambda f: f.since(trusted=False)),
    "the clock jumped": (
        "clock",
        HoldReason.CLOCK_JUMPED,
        lambda f: f.since(clock_jumped_at=NOW - timedelta(seconds=59)),
    ),
    "another cluster": (
        "cluster",
        HoldReason.CLUSTER_CHANGED,
        lambda f: f.since(cluster_id="its-id"),
    ),
    "the balancer is on": ("balancer", HoldReason.BALANCER_ON, lambda f: f.seeing(balancer_mode=2)),
    "SCVMM has an agent": (
        "balancer",
        HoldReason.BALANCER_ON,
        lambda f: f.nodes("n1", scvmm_agent=True),
    ),
    "the balancer is not told": (
        "balancer",
        HoldReason.BALANCER_ON,
        lambda f: f.seeing(balancer_mode=None),
    ),
    "outside the window": (
        "window",
        HoldReason.OUTSIDE_WINDOW,
        # At 13:00 in Berlin: at 12:00 of a reader that forgets the zone it would be open.
        lambda f: f.under(windows=(window("0 12 * * *"),)),
    ),
    "denied": (
        "window",
        HoldReason.OUTSIDE_WINDOW,
        lambda f: f.under(windows=(window("0 13 * * *", WindowEffect.DENY),)),
    ),
    "a move outlasts the window": (
        "overrun",
        HoldReason.WINDOW_ENDS,
        lambda f: replace(
            f.under(windows=(window("0 12 * * *"),)),
            now=NOW - timedelta(seconds=5),
            world=replace(f.world, started_at=NOW - timedelta(seconds=6)),
        ),
    ),
    "failback in window": (
        "failback window",
        HoldReason.FAILBACK_WINDOW,
        lambda f: failing_back(f),
    ),
    "failback in window, and it is denied": (
        "failback window",
        HoldReason.FAILBACK_WINDOW,
        lambda f: failing_back(f).under(
            windows=(window("0 13 1 1 *", WindowEffect.DENY),),
        ),
    ),
    "Suggest": ("approval", HoldReason.SUGGESTED, lambda f: f.under(mode=Mode.SUGGEST)),
    "Suggest, and another plan was approved": (
        "approval",
        HoldReason.SUGGESTED,
        lambda f: f.under(mode=Mode.SUGGEST).since(approvals=(OLD_YES,)),
    ),
    "Suggest, and the yes is a day old": (
        "approval",
        HoldReason.SUGGESTED,
        lambda f: f.under(mode=Mode.SUGGEST).since(
            approvals=(approve(f.plan(), owner="a", reason="r", at=NOW - timedelta(days=1)),)
        ),
    ),
    "old evidence": (
        "evidence",
        HoldReason.EVIDENCE_OLD,
        lambda f: replace(f, now=NOW + timedelta(seconds=61)),
    ),
    "evidence of the future": (
        "evidence",
        HoldReason.EVIDENCE_OLD,
        lambda f: replace(f, now=NOW - timedelta(seconds=1)),
    ),
    "a dark node": (
        "dark nodes",
        HoldReason.NODES_DARK,
        lambda f: f.nodes("n3", answered=False),
    ),
    "VMs on two nodes at once": (
        "unknown VMs",
        HoldReason.TOO_MANY_UNKNOWN,
        lambda f: f.vms("v0", "v1", host="n3"),
    ),
    "two votes of three": (
        "quorum",
        HoldReason.QUORUM_AT_RISK,
        lambda f: f.nodes("n3", state=NodeState.JOINING),
    ),
    "unknown outcomes": (
        "unknown outcomes",
        HoldReason.OUTCOMES_UNKNOWN,
        lambda f: f.since(
            intents=tuple(intent(name, "n2", source="n1", unknown=True) for name in MANY[:3])
        ),
    ),
    "vanished specs": (
        "shrink",
        HoldReason.SPECS_SHRANK,
        lambda f: f.since(specs=marks(0, "name:x", "name:y", "name:z")),
    ),
    "the first of a big change": (
        "canary",
        HoldReason.CANARY,
        lambda f: f.under(canary_free_moves=3),
    ),
    "the second stage of a big change": (
        "canary",
        HoldReason.CANARY,
        lambda f: f.under(canary_free_moves=3).since(moves=(own_move("other", "n1", "n2"),)),
    ),
    "a change of too many VMs": (
        "changes",
        HoldReason.APPROVAL_NEEDED,
        lambda f: f.since(specs=marks(6)),
    ),
    "just moved": (
        "cooldown",
        HoldReason.COOLDOWN,
        lambda f: f.since(moves=(own_move("v0", "n2", "n1", ago_seconds=599),)),
    ),
    "moved too often": ("contested", HoldReason.CONTESTED, lambda f: f.since(moves=OWN)),
    "a node that came back": (
        "node stable",
        HoldReason.NODE_NOT_STABLE,
        lambda f: f.since(node_up_since={"n2": NOW - timedelta(seconds=599)}),
    ),
    "failures": (
        "failures",
        HoldReason.FAILURES,
        lambda f: f.since(results=failed("v0", "v1", "v2", minutes=29)),
    ),
    "more than one probe": (
        "probe",
        HoldReason.FAILURES,
        lambda f: f.since(results=failed("v0", "v1", "v2", minutes=31)),
    ),
    "a VM that keeps failing": (
        "failing",
        HoldReason.FAILURES,
        lambda f: f.since(results=failed("v0", "v0", minutes=3.9)),
    ),
    "two fault domains at once": (
        "fault domain",
        HoldReason.FAULT_DOMAIN,
        lambda f: f.under(fault_domains={"n1": "rack-a", "n2": "rack-b"}),
    ),
    "a domain and a node in none": (
        "fault domain",
        HoldReason.FAULT_DOMAIN,
        lambda f: f.under(fault_domains={"n1": "rack-a"}),
    ),
    "refused twice": (
        "refused",
        HoldReason.REFUSED,
        lambda f: f.since(refusals=(refused("v0", ActionKind.MOVE, 2, "notBusy: x"),)),
    ),
    "refused for what no look shows": (
        "refused",
        HoldReason.REFUSED,
        lambda f: f.since(refusals=(refused("new", ActionKind.CREATE, 1, "disksFree: x"),)),
    ),
    "a loss of nodes that could not be borne": (
        "node failures",
        HoldReason.NODE_FAILURES,
        lambda f: f.under(node_failures_tolerated=3),
    ),
    "a creation that broke off": (
        "unfinished",
        HoldReason.HALF_CREATED,
        lambda f: f.since(intents=(BROKEN_OFF,)),
    ),
    "a creation that goes on": (
        "unfinished",
        HoldReason.HALF_CREATED,
        lambda f: f.vms("shell", creation_mark="i:creating"),
    ),
}


def test_without_brakes_all_the_work_starts_at_once() -> None:
    """Ten VMs of which each brake below would hold one or all."""
    plan = FREE.plan()
    assert plan.holds == ()
    assert {a.vm for a in plan.ready()} == {*MANY, "back", "shell", "new"}
    assert FREE.found(plan) == set()


@pytest.mark.parametrize("brake", BRAKES)
def test_a_brake_is_judged_twice(brake: str) -> None:
    """The real plan has the hold and no fault; the plan without the brake is vetoed by its name."""
    rule, reason, put_on = BRAKES[brake]
    braked = put_on(FREE)
    real, findings = decide(braked.specs, braked.world, braked.past, braked.now)
    assert findings == ()
    assert reason in {hold.reason for hold in real.holds}
    assert rule in braked.found(FREE.plan())


@pytest.mark.parametrize("brake", BRAKES)
def test_a_hold_that_is_taken_out_of_the_plan_is_missed(brake: str) -> None:
    """Holds on everything leave the actions in the plan: taken out, the audit must speak."""
    _, _, put_on = BRAKES[brake]
    braked = put_on(FREE)
    real, _ = decide(braked.specs, braked.world, braked.past, braked.now)
    stripped = replace(real, holds=tuple(hold for hold in real.holds if hold.key))
    found = audit(stripped, braked.specs, braked.world, braked.past, braked.now)
    assert may_act(braked.specs, braked.past, found, stripped) == (stripped.holds == real.holds)


def test_an_approved_plan_may_go_and_so_may_what_is_left_of_it() -> None:
    """By its digest before the first command, action by action after it."""
    asked = FREE.under(mode=Mode.SUGGEST)
    yes = approve(asked.plan(), owner="ann", reason="r", at=NOW)
    assert asked.since(approvals=(yes,)).found(asked.plan()) == set()
    given = replace(yes, given=(yes.actions[0],))
    assert "approval" in asked.since(approvals=(given,)).found(asked.plan())
    left = replace(asked.plan(), actions=asked.plan().actions[1:])
    assert "approval" not in asked.since(approvals=(given,)).found(left)


def test_in_observe_nothing_can_start_so_no_brake_is_missed() -> None:
    """What would be done is shown, also while a brake is on."""
    watched = FREE.under(mode=Mode.OBSERVE).since(stops=(stop(StopScope.EVERYTHING),))
    assert watched.found(FREE.plan()) == set()


SHARED = {
    "collections",
    "collections.abc",
    "controller.planning.cost",
    # For the bound of the certificate alone: what is best, not what is safe.
    "controller.planning.identity",
    "controller.planning.preflight",
}


def test_the_two_judges_share_nothing_but_the_model_and_the_cost() -> None:
    """A mistake in code that both used would be made twice and seen by neither."""
    for path in sorted(RULES.glob("audit*.py")):
        for line in ast.walk(ast.parse(path.read_text())):
            if not isinstance(line, ast.ImportFrom) or not (line.module or "").startswith("c"):
                continue
            module = line.module or ""
            own = module.startswith(("controller.model.", "controller.planning.audit_"))
            assert own or module in SHARED, f"{path.name} uses {module}"
