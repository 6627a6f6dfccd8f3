"""Where nodes put what nobody names a folder for: what is told, what is set, and what holds it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controller.model.desired import DesiredState
from controller.model.history import IntentState
from controller.model.observed import NodeObserved, NodeState, ObservedState
from controller.model.plan import Action, ActionKind, HoldReason, Plan
from controller.model.policy import DefaultPaths, Mode
from controller.model.setting import Change, Setting
from controller.planning.absorb import absorb
from controller.planning.audit import audit
from controller.planning.make_plan import make_plan
from tests.builders import (
    NOW,
    VOLUME,
    desired,
    desired_state,
    gap,
    history,
    intent,
    maintenance,
    node,
    observed,
    policy,
    refused,
    vm,
)

FOLDER = rf"{VOLUME}\VMs"
LOCAL = {"vm_folder": r"C:\VMs", "disk_folder": r"C:\Disks"}
RIGHT = {"vm_folder": FOLDER, "disk_folder": FOLDER}
CHANGE = Change(
    setting=Setting.DEFAULT_FOLDERS, before=(r"C:\VMs", r"C:\Disks"), after=(FOLDER, FOLDER)
)


def specs(**changes: Any) -> DesiredState:
    given = {"default_paths": DefaultPaths.MANAGE, "default_folder": FOLDER, **changes}
    return desired_state(desired("sql"), policy=policy(**given))


def world(*nodes: NodeObserved, **changes: Any) -> ObservedState:
    seen = nodes or tuple(node(name, **LOCAL) for name in ("n1", "n2", "n3"))
    return observed(*seen, vm("sql", seen[0].name), **changes)


def planned(seen: ObservedState, want: DesiredState, **past: Any) -> Plan:
    """A plan that the audit finds sound."""
    plan = make_plan(want, seen, history(**past), NOW)
    assert audit(plan, want, seen, history(**past), NOW) == ()
    return plan


def writes(plan: Plan) -> list[tuple[str, int]]:
    found = [a for a in plan.actions if a.kind is ActionKind.CONFIGURE_NODE]
    return [(a.target, a.wave) for a in found]


def sent(name: str, **changes: Any) -> Any:
    fields: dict[str, Any] = {"key": f"folders:{name}", "vm_id": None, "source": name}
    return intent(name, name, kind=ActionKind.CONFIGURE_NODE, change=CHANGE, **(fields | changes))


def test_nodes_are_written_one_after_another() -> None:
    """Whoever switched it on by mistake can stop it after the first."""
    plan = planned(world(), specs())
    assert writes(plan) == [("n1", 0), ("n2", 1), ("n3", 2)]
    first, second, _ = (a for a in plan.actions if a.kind is ActionKind.CONFIGURE_NODE)
    assert second.after == (first.id,)
    assert first.change == CHANGE


def test_the_next_node_waits_until_the_one_before_shows_it() -> None:
    """While a write is open nothing else of its kind starts, and the cluster has not converged."""
    plan = planned(world(), specs(), intents=(sent("n1"),))
    assert writes(plan) == [("n2", 1), ("n3", 2)]
    hold = plan.hold_for("folders:n1")
    assert hold is not None
    assert hold.reason is HoldReason.OUTCOME_OPEN


@pytest.mark.parametrize(
    ("vms", "disks", "told"),
    [
        (r"C:\VMs", FOLDER, True),
        (FOLDER, r"D:\Disks", True),
        (FOLDER, r"\\?\C:\ClusterStorage\Volume1\Disks", True),
        (r"C:\ClusterStorage\Volume10\VMs", FOLDER, True),
        (FOLDER, FOLDER, False),
        (VOLUME, FOLDER.lower() + "\\", False),
        (r"\\files\vms", FOLDER, False),
        (None, r"D:\Disks", False),
    ],
)
def test_what_other_nodes_reach_is_right_where_no_folder_is_declared(
    vms: str | None, disks: str, told: bool
) -> None:
    """A volume of the cluster or a share; what a node does not tell is not judged."""
    seen = world(node("n1", vm_folder=vms, disk_folder=disks))
    plan = planned(seen, specs(default_paths=DefaultPaths.REPORT, default_folder=None))
    assert [f.node for f in plan.folders] == (["n1"] if told else [])
    assert writes(plan) == []


def test_with_a_declared_folder_any_other_is_told() -> None:
    """Also one that other nodes reach."""
    seen = world(node("n1", vm_folder=rf"{VOLUME}\Other", disk_folder=FOLDER))
    plan = planned(seen, specs(default_paths=DefaultPaths.REPORT))
    assert [(f.vms, f.declared) for f in plan.folders] == [(rf"{VOLUME}\Other", FOLDER)]


def test_ignore_says_nothing() -> None:
    """The default: these folders are an administrator's."""
    ignores = specs(default_paths=DefaultPaths.IGNORE, default_folder=None)
    assert planned(world(), ignores).folders == ()


def test_observe_plans_and_starts_nothing() -> None:
    """The plan shows what would be written; in this mode no command leaves."""
    seen, want = world(), specs(mode=Mode.OBSERVE)
    assert writes(make_plan(want, seen, history(), NOW))[0] == ("n1", 0)


def test_nothing_is_said_while_the_volumes_are_not_known() -> None:
    """Two nodes that gave different lists are no evidence that a folder is on none."""
    assert planned(world(gaps=(gap(""),)), specs()).folders == ()


def test_what_was_read_long_ago_is_not_judged() -> None:
    """Somebody may have set it in the meantime."""
    old = node("n1", **LOCAL, hardware_at=NOW - timedelta(minutes=16))
    assert planned(world(old), specs()).folders == ()


HELD: dict[str, tuple[HoldReason, dict[str, Any], dict[str, Any]]] = {
    "paused": (HoldReason.NODE_NOT_UP, {"state": NodeState.PAUSED}, {}),
    "draining": (HoldReason.NODE_NOT_UP, {"draining": True}, {}),
    "volume lost": (HoldReason.FOLDER_NOT_SHARED, {"volumes_lost": (VOLUME,)}, {}),
    "set back": (
        HoldReason.COOLDOWN,
        {},
        {"intents": (sent("n1", state=IntentState.DONE),)},
    ),
    "refused": (
        HoldReason.REFUSED,
        {},
        {
            "refusals": (
                replace(
                    refused("n1", ActionKind.CONFIGURE_NODE, 1, "folderExists: x"),
                    key="folders:n1",
                ),
            )
        },
    ),
}


@pytest.mark.parametrize("case", HELD)
def test_a_node_that_is_held_lets_the_next_go_first(case: str) -> None:
    """And the table of nodes says why."""
    reason, state, past = HELD[case]
    seen = world(node("n1", **LOCAL, **state), node("n2", **LOCAL), node("n3", **RIGHT))
    plan = planned(seen, specs(), **past)
    hold = plan.hold_for("folders:n1")
    assert hold is not None
    assert hold.reason is reason
    assert writes(plan) == [("n2", 0)]


@pytest.mark.parametrize("folder", [r"C:\ClusterStorage\Volume9\VMs", VOLUME])
def test_a_folder_on_no_volume_or_at_its_root_is_never_set(folder: str) -> None:
    """A name below C:\\ClusterStorage that is no volume is a folder of the node's own disk."""
    plan = planned(world(), specs(default_folder=folder))
    assert writes(plan) == []
    assert {h.reason for h in plan.holds} == {HoldReason.FOLDER_NOT_SHARED}


def test_a_node_in_maintenance_is_left_alone_and_the_others_come_after_its_suspension() -> None:
    """Nothing else starts with a suspension, and no setting disturbs who works there."""
    want = replace(specs(), maintenances=(maintenance("n2"),))
    plan = planned(world(), want)
    assert writes(plan) == [("n1", 1), ("n3", 2)]
    hold = plan.hold_for("folders:n2")
    assert hold is not None
    assert hold.reason is HoldReason.NODE_IN_MAINTENANCE
    assert plan.ready()[0].kind is ActionKind.SUSPEND_NODE


def test_an_open_write_does_not_hold_up_a_maintenance() -> None:
    """The node itself refuses one after the other."""
    want = replace(specs(), maintenances=(maintenance("n2"),))
    plan = planned(world(), want, intents=(sent("n2"),))
    assert [a.kind for a in plan.ready()] == [ActionKind.SUSPEND_NODE]


@pytest.mark.parametrize(
    ("folders", "state"),
    [
        ({"vm_folder": FOLDER.upper() + "\\", "disk_folder": FOLDER}, IntentState.DONE),
        ({"vm_folder": FOLDER, "disk_folder": r"C:\Disks"}, IntentState.OPEN),
    ],
)
def test_a_write_is_done_when_the_node_shows_both_folders(
    folders: dict[str, str], state: IntentState
) -> None:
    """A reply never ends it."""
    past = history(intents=(sent("n1"),))
    seen = world(node("n1", **folders), node("n2", **RIGHT))
    (found,) = absorb(past, specs(), seen, NOW).intents
    assert found.state is state


MISTAKES: dict[str, dict[str, Any]] = {
    "another folder": {"change": replace(CHANGE, after=(VOLUME, VOLUME))},
    "another before": {"change": replace(CHANGE, before=(FOLDER, FOLDER))},
    "another setting": {"change": replace(CHANGE, setting=Setting.PRIORITY)},
    "no change": {"change": None},
    "another node": {"target": "n2"},
    "no node": {"source": "n9", "target": "n9"},
    "another key": {"key": "name:sql"},
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_audit_finds_a_seeded_mistake(mistake: str) -> None:
    """One part of the action is changed."""
    assert "folders" in found(world(), specs(), action=MISTAKES[mistake])


STATES: dict[str, tuple[ObservedState, DesiredState, dict[str, Any]]] = {
    "report only": (world(), specs(default_paths=DefaultPaths.REPORT), {}),
    "no volume": (world(volumes=()), specs(), {}),
    "volumes not known": (world(gaps=(gap(""),)), specs(), {}),
    "a write is open": (world(), specs(), {"intents": (sent("n2"),)}),
    "paused": (world(node("n1", state=NodeState.PAUSED, **LOCAL)), specs(), {}),
    "right already": (world(node("n1", **RIGHT)), specs(), {}),
    "told long ago": (
        world(node("n1", **LOCAL, hardware_at=NOW - timedelta(minutes=16))),
        specs(),
        {},
    ),
}


@pytest.mark.parametrize("state", STATES)
def test_the_audit_judges_a_write_by_what_it_sees_itself(state: str) -> None:
    """The same action in a world in which the planner would not have made it."""
    seen, want, past = STATES[state]
    assert "folders" in found(seen, want, **past)


def test_the_audit_lets_nothing_be_set_twice_within_the_cooldown() -> None:
    """What somebody set back rests."""
    done = sent("n1", state=IntentState.DONE)
    assert "cooldown" in found(world(), specs(), intents=(done,))


def found(
    seen: ObservedState, want: DesiredState, action: dict[str, Any] | None = None, **past: Any
) -> set[str]:
    """Rules that the audit finds broken by the first write of the plain plan."""
    (first, *_) = make_plan(specs(), world(), history(), NOW).actions
    given: Action = replace(first, **(action or {}))
    plan = make_plan(want, seen, history(**past), NOW)
    plan = replace(plan, actions=(given,), holds=())
    return {finding.rule for finding in audit(plan, want, seen, history(**past), NOW)}
