"""The simulator's own answers are those of the scripts: same refusals, same effects, same words."""

import random
import re
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from both_ways import Outcome, both_ways
from engine_node import EngineNode
from random_worlds import draw_call, draw_cluster, draw_disturbances
from stories import CLUSTER, CSV, ELSEWHERE, FENCE, GIB, STORIES, Story, disk, template_of

from controller.simulator.config import load_world
from controller.simulator.states import MigrationState
from controller.simulator.world import World

pytestmark = pytest.mark.engine
PROTOCOL = Path(__file__).parents[2] / "docs" / "protocol.md"


def new_intent() -> str:
    """The agent serves many tests; an intent is known to one."""
    return str(uuid.uuid4())


@pytest.mark.parametrize("story", STORIES, ids=lambda s: f"{s.operation}-{s.untrue}")
def test_a_refusal_is_the_same(agent: EngineNode, story: Story) -> None:
    """Each condition of each operation, untrue by itself, is named with what was found instead."""
    ours, theirs = both_ways(
        agent, CLUSTER, story.operation, story.arguments(new_intent()), story.prepare
    )
    assert ours.refused == story.untrue
    assert ours == theirs
    assert ours.commands == []


def test_the_stories_leave_no_condition_out() -> None:
    """Every condition that docs/protocol.md lists for an operation has a story."""
    text = PROTOCOL.read_text(encoding="utf-8")
    told = {(story.operation, story.untrue) for story in STORIES}
    told |= {("registerVm", "intentNew"), ("createVm", "intentNew")}  # below: it takes two calls
    listed = set()
    for operation, conditions in re.findall(r"^- `(\w+)` `\{[^`]*\}`: `([\w ]+)`", text, re.M):
        listed |= {(operation, condition) for condition in conditions.split()}
        if operation != "claimEpoch":  # of the others docs/protocol.md says it once for all
            listed |= {(operation, condition) for condition in ("notStopped", "epochCurrent")}
    assert {operation for operation, _ in listed} == {
        "moveRole",
        "startRole",
        "setRole",
        "setProcessor",
        "registerVm",
        "createVm",
        "claimEpoch",
        "suspendNode",
        "resumeNode",
        "setFolders",
    }
    assert told == listed


@pytest.mark.parametrize("workgroup", [False, True])
def test_what_doctor_asks_is_the_same(agent: EngineNode, workgroup: bool) -> None:
    """Whether the cluster is one of a domain decides which log-ons are fit for it."""

    def prepare(world: World) -> None:
        world.cluster.workgroup = workgroup

    ours, theirs = both_ways(agent, CLUSTER, "doctor", {}, prepare)
    assert ours == theirs
    assert ours.data["domainJoined"] is not workgroup
    assert {module["name"] for module in ours.data["modules"]} == {"FailoverClusters", "Hyper-V"}
    assert ours.commands == []


@pytest.mark.parametrize("pause_event", ["each", "long", "never"])
@pytest.mark.parametrize("properties", ["filled", "absent"])
@pytest.mark.parametrize("ends", ["done", "failed", "nothing"])
def test_the_trace_of_a_move_is_the_same(
    agent: EngineNode, ends: str, properties: str, pause_event: str
) -> None:
    """What the node's logs and the role tell of a migration that is over, both ways."""

    def prepare(world: World) -> None:
        world.doubts = replace(
            world.doubts, pause_event=pause_event, migration_properties=properties
        )
        world.timing = replace(world.timing, pause_seconds=4.5)
        if ends == "failed":
            world.break_next_migration("sql", hresult=0x8007274D)
        if ends != "nothing":
            world.move_live("sql", "HV02")
            world.advance_to(world.now + 120)

    def call(world: World) -> dict[str, Any]:
        return {"vmId": next(v.id for v in world.truth() if v.name == "sql"), "seconds": 600}

    ours, theirs = both_ways(agent, CLUSTER, "moveTrace", call, prepare)
    assert ours == theirs
    told = {"done": [] if pause_event == "never" else [20417], "failed": [21024, 21502]}
    assert [event["id"] for event in ours.data["events"]] == told.get(ends, [])
    assert ours.commands == []


CHANGES = [
    "moveRole",
    "startRole",
    "setRole",
    "setProcessor",
    "registerVm",
    "createVm",
    "claimEpoch",
    "suspendNode",
    "resumeNode",
    "setFolders",
]


@pytest.mark.parametrize("operation", CHANGES)
def test_what_is_allowed_is_done_the_same(agent: EngineNode, operation: str) -> None:
    """With every condition true the world ends in the same state, by the same commands."""

    def prepare(world: World) -> None:
        if operation == "resumeNode":
            world.pause_node("HV01", drain_roles=False)

    story = Story(operation=operation, untrue="")
    ours, theirs = both_ways(agent, CLUSTER, operation, story.arguments(new_intent()), prepare)
    assert ours.data == {"outcome": "submitted"}
    assert ours == theirs
    assert ours.commands != []


def test_storage_that_a_spec_accepts_is_registered_the_same(agent: EngineNode) -> None:
    """A disk that only this node reaches does not hold a registration whose spec accepts it."""
    story = Story(operation="registerVm", untrue="", changes=(("accepts", ["disks"]),))
    ours, theirs = both_ways(
        agent, CLUSTER, "registerVm", story.arguments(new_intent()), ELSEWHERE[0]
    )
    assert ours.data == {"outcome": "submitted"}
    assert ours == theirs
    assert ours.job["state"] == "Succeeded"


SETTINGS: dict[str, dict[str, Any]] = {
    "failback off": {"setting": "Failback", "before": ["on"], "after": ["off"]},
    "preferred owners where there were none": {
        "setting": "PreferredOwners",
        "before": [],
        "after": ["HV02"],
    },
    "priority": {"setting": "Priority", "before": ["3000"], "after": ["1000"]},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_is_written_the_same(agent: EngineNode, name: str) -> None:
    """Properties are assigned, lists set: the role ends the same, or nothing is done alike."""
    story = Story(operation="setRole", untrue="", vm="web", changes=tuple(SETTINGS[name].items()))
    ours, theirs = both_ways(agent, CLUSTER, "setRole", story.arguments(new_intent()))
    assert ours == theirs
    assert ours.data == {"outcome": "submitted"}
    assert ours.commands != []


@pytest.mark.parametrize("setting", ["Owner", "failback", "Name", ""])
def test_no_other_setting_can_be_written(agent: EngineNode, setting: str) -> None:
    """The operation takes the names of its own table, and no property that a call would name."""
    changes = (("setting", setting), ("before", ["on"]), ("after", ["off"]))
    story = Story(operation="setRole", untrue="", vm="web", changes=changes)
    ours, theirs = both_ways(agent, CLUSTER, "setRole", story.arguments(new_intent()))
    assert ours.error == theirs.error == "BadCall"
    assert ours.commands == theirs.commands == []


CREATIONS: dict[str, dict[str, Any]] = {
    "generation 1 with an ISO and a VLAN": {
        "generation": 1,
        "iso": f"{CSV}\\iso\\a.iso",
        "vlan": 20,
    },
    "generation 1 with the node's own drive, to boot from the network": {
        "generation": 1,
        "physicalDrive": "D:",
        "networkBoot": True,
        "disks": [{**disk(f"{CSV}\\new\\os.vhdx", GIB), "controller": "IDE"}],
    },
    "to boot from the network, not connected, saved when its node stops": {
        "networkBoot": True,
        "switch": None,
        "stopAction": "Save",
    },
    "generation 2 at a controller that it has not fails": {
        "disks": [{**disk(f"{CSV}\\new\\os.vhdx", GIB), "controller": "IDE"}],
    },
    "generation 2 with an ISO and secure boot": {
        "iso": f"{CSV}\\iso\\a.iso",
        "secureBootTemplate": "MicrosoftUEFICertificateAuthority",
    },
    "dynamic memory": {"memoryMinimumBytes": GIB, "memoryMaximumBytes": 8 * GIB},
    "an existing disk, not connected": {
        "disks": [disk(f"{CSV}\\images\\base.vhdx", None)],
        "switch": None,
    },
    "two disks": {
        "disks": [
            disk(f"{CSV}\\new\\os.vhdx", GIB),
            disk(f"{CSV}\\images\\base.vhdx", None),
        ]
    },
    "no disk": {"disks": []},
    "for other models of the processor": {"processorCompatibility": True},
    "a switch whose name is a pattern": {"switch": "LAB [1]"},
    "memory in no order fails": {"memoryMinimumBytes": 4 * GIB, "memoryMaximumBytes": 8 * GIB},
    "a disk of no known kind fails": {"disks": [disk(f"{CSV}\\new.img", GIB)]},
    "no processors fails": {"processors": 0},
}


@pytest.mark.parametrize("name", CREATIONS)
def test_a_creation_is_the_same(agent: EngineNode, name: str) -> None:
    """The job takes the same steps, ends in the same one, and leaves the same VM or part of one."""
    call = {
        "intent": new_intent(),
        **FENCE,
        "node": "HV01",
        "name": "new",
        "template": {**template_of("new"), **CREATIONS[name]},
    }
    ours, theirs = both_ways(agent, CLUSTER, "createVm", call)
    assert ours.job is not None
    assert ours.job["state"] == ("Failed" if name.endswith("fails") else "Succeeded")
    assert ours == theirs


def test_the_first_claim_of_a_cluster_is_the_same(agent: EngineNode) -> None:
    """Where nobody ever claimed, the properties are made; every node then shows them."""

    def forget(world: World) -> None:
        world.cluster.parameters.clear()

    ours, theirs = both_ways(agent, CLUSTER, "claimEpoch", {**FENCE, "epoch": 1}, forget)
    assert ours == theirs
    shown = {name: view["data"]["cluster"] for name, view in ours.seen.items()}
    assert {(c["epoch"], c["holder"], c["stop"]) for c in shown.values()} == {
        (1, FENCE["holder"], None)
    }
    assert len(shown) == 3


@pytest.mark.parametrize("operation", ["registerVm", "createVm"])
def test_an_intent_is_carried_out_once(agent: EngineNode, operation: str) -> None:
    """A second call with a job's intent is refused with the job's state, even on a new world."""
    intent = new_intent()
    story = Story(operation=operation, untrue="intentNew")
    both_ways(agent, CLUSTER, operation, story.arguments(intent))
    again = agent.call(operation, **story.arguments(intent)(agent.world))
    assert again["data"] == {
        "outcome": "refused",
        "condition": "intentNew",
        "found": "Succeeded",
    }


@pytest.mark.parametrize("build", [26100, 17763])
def test_affinity_rules_are_read_the_same(agent: EngineNode, build: int) -> None:
    """A cluster of Windows Server 2019 has no such cmdlet, and so no rules."""
    rules = "[{name: Apart, type: DifferentNode, roles: [web, sql]}, {name: Old, type: SameNode, "
    rules += "roles: [sql], enabled: false}]"
    text = CLUSTER.replace("cluster:\n", f"cluster:\n  affinityRules: {rules}\n")
    text = text.replace("{name: HV01,", f"{{name: HV01, build: {build},")
    ours, theirs = both_ways(agent, text, "observe", {"clusterWide": True})
    assert ours == theirs
    apart = {"name": "Apart", "type": "4", "enabled": True, "roles": ["sql", "web"]}
    old = {"name": "Old", "type": "2", "enabled": False, "roles": ["sql"]}
    assert ours.data["lists"]["affinity"] == ([apart, old] if build == 26100 else [])


GET_VM = "Microsoft.HyperV.PowerShell.Commands.GetVM"
DOUBTS = {
    "migration properties absent": "migration_properties: absent",
    "migration properties zero": "migration_properties: zero",
    "links are text": "resource_links: text",
    "unknown VM id is empty": "unknown_vm_id: empty",
    "not found as in 2012": f"vm_not_found: 'InvalidParameter,{GET_VM}Command'",
    "not found as seen lately": f"vm_not_found: 'ObjectNotFound,{GET_VM}'",
    "role cmdlets refused": "role_cmdlets_over_winrm: refused",
    "old owner in failover": "owner_in_failover: old",
}


@pytest.mark.parametrize("doubt", DOUBTS)
@pytest.mark.parametrize("operation", ["observe", "moveRole"])
def test_a_doubtful_behaviour_changes_both_alike(
    agent: EngineNode, operation: str, doubt: str
) -> None:
    """What Windows may do either way is read the same by both."""
    text = f"{CLUSTER}\ndoubts: {{{DOUBTS[doubt]}}}\n"
    call: Any = {"clusterWide": True}
    if operation != "observe":
        call = Story(operation=operation, untrue="").arguments(new_intent())
    ours, theirs = both_ways(agent, text, operation, call)
    assert ours == theirs


@pytest.mark.parametrize("doubt", ["unknown VM id is empty", "role cmdlets refused"])
def test_a_doubtful_behaviour_meets_a_registration_alike(agent: EngineNode, doubt: str) -> None:
    """A job that the cluster refuses fails with the same error."""
    text = f"{CLUSTER}\ndoubts: {{{DOUBTS[doubt]}}}\n"
    call = Story(operation="registerVm", untrue="").arguments(new_intent())
    ours, theirs = both_ways(agent, text, "registerVm", call)
    assert ours.job["state"] == ("Failed" if doubt == "role cmdlets refused" else "Succeeded")
    assert ours == theirs


def _lose_quorum(world: World) -> None:
    for node in ("HV02", "hv03"):
        world.crash_node(node)
    world.advance_to(world.now + 30)


DISTURBANCES: dict[str, Callable[[World], object]] = {
    "nothing": lambda _: None,
    "a move in set-up": lambda w: w.move_live("sql", "HV02"),
    "a move in transfer": lambda w: (w.move_live("sql", "HV02"), w.advance_to(3.0)),
    "a move in its switch-over": lambda w: (w.move_live("sql", "HV02"), w.advance_to(7.4)),
    "two moves": lambda w: (w.move_live("sql", "HV02"), w.move_live("web", "HV02")),
    "a dead node": lambda w: (w.crash_node("HV02"), w.advance_to(11.0)),
    "a drain": lambda w: (w.pause_node("HV01"), w.advance_to(1.0)),
    "a volume offline": lambda w: w.set_volume(CSV, online=False),
    "no quorum": _lose_quorum,
    "an old build": lambda w: setattr(w.cluster, "migrations_max", None),
    "notes by people": lambda w: setattr(
        w.vm("sql"), "notes", "Ours! ownernode:11111111-2222-4333-8444-55555555ABCD:created, ok"
    ),
    "twins": lambda w: w.add_vm("SQL", "HV01", memory_bytes=GIB),
}


@pytest.mark.parametrize("cluster_wide", [True, False], ids=["all lists", "own part"])
@pytest.mark.parametrize("disturbance", DISTURBANCES)
def test_an_observation_is_the_same(
    agent: EngineNode, disturbance: str, cluster_wide: bool
) -> None:
    """Both read the same of the same cluster, whatever is going on in it."""
    ours, theirs = both_ways(
        agent, CLUSTER, "observe", {"clusterWide": cluster_wide}, DISTURBANCES[disturbance]
    )
    assert ours.ok == (disturbance != "no quorum")
    assert ours == theirs


def test_a_warm_look_reads_private_properties_in_flight_only(agent: EngineNode) -> None:
    """Each costs a call, and the id of a role's VM never changes: 500 roles were 500 calls."""
    agent.world = world = load_world(CLUSTER.replace("cluster:", "cluster:\n  name: warm", 1))

    def look() -> tuple[list[dict[str, Any]], int]:
        before = agent.cmdlets.count("Get-ClusterParameter")
        roles = agent.call("observe", clusterWide=False, slowSeconds=600)["data"]["roles"]
        return roles, agent.cmdlets.count("Get-ClusterParameter") - before

    first, cold = look()
    roles, warm = look()
    # The cluster's own properties (epoch, holder, stop) are one call at every look.
    assert (roles, warm) == (first, 1)
    assert cold > warm
    world.move_live("sql", "HV02")
    world.advance_to(3.0)
    roles, moving = look()
    migrations = {role["name"]: role["migration"] for role in roles}
    assert migrations["sql"]["state"] == MigrationState.Transfer
    assert moving == warm + 1


def _equal_by_chance(agent: EngineNode, seed: int) -> Outcome:
    chance = random.Random(seed)
    text = draw_cluster(chance)
    operation, arguments = draw_call(chance)
    ours, theirs = both_ways(agent, text, operation, arguments, draw_disturbances(seed))
    assert ours == theirs, f"seed {seed}: {operation} in {text}"
    return ours


def test_random_calls_in_random_worlds_are_the_same(agent: EngineNode) -> None:
    """What nobody thought of: the share of the seeds that fits into a test run."""
    outcomes = [_equal_by_chance(agent, seed) for seed in range(60)]
    assert len({outcome.refused for outcome in outcomes}) > 10
    assert any(outcome.commands for outcome in outcomes)


@pytest.mark.campaign
@pytest.mark.parametrize("hundred", range(20))
def test_many_random_calls_are_the_same(agent: EngineNode, hundred: int) -> None:
    """The full count."""
    for seed in range(1000 + 100 * hundred, 1100 + 100 * hundred):
        _equal_by_chance(agent, seed)


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("ping", {}),
        ("nothing", {}),
        ("observe", {}),
        ("observe", {"clusterWide": "yes"}),
        ("moveRole", {"intent": "11111111-2222-4333-8444-555555555555"}),
        ("moveRole", {"intent": "11111111-2222-4333-8444-555555555555", **FENCE}),
        ("claimEpoch", {"epoch": 8}),
        ("claimEpoch", {"holder": FENCE["holder"]}),
    ],
)
def test_a_call_that_says_too_little_is_refused_alike(
    agent: EngineNode, operation: str, arguments: dict[str, Any]
) -> None:
    """A call that cannot be understood is a BadCall for both."""
    ours, theirs = both_ways(agent, CLUSTER, operation, arguments)
    assert ours == theirs
