"""The agent's operations, answered from the simulated world as docs/protocol.md says."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from simulated_worlds import GIB
from simulated_worlds import world as any_world

from controller.simulator.cmdlet_errors import NodeUnreachable
from controller.simulator.invoke import invoke
from controller.simulator.responder import respond
from controller.simulator.states import Stage, VmOperationalStatus, VmState
from controller.simulator.world import World

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "protocol.schema.json").read_text())
SQL = "name: SQL01, node: HV01, memory: 8Gi"
FENCE = {"epoch": 7, "holder": "aaaaaaaa-0000-4000-8000-000000000007"}
HELD = f"cluster: {{parameters: {{OwnernodeEpoch: 7, OwnernodeHolder: {FENCE['holder']}}}}}"
OTHER = "bbbbbbbb-0000-4000-8000-000000000008"
INTENT = "00000000-0000-4000-8000-000000000001"
ROOT = "C:\\ClusterStorage\\Volume1"
TEMPLATE: Mapping[str, Any] = {
    "generation": 2,
    "memoryStartupBytes": 2 * GIB,
    "memoryMinimumBytes": GIB,
    "memoryMaximumBytes": 4 * GIB,
    "processors": 4,
    "location": ROOT,
    "disks": [{"path": f"{ROOT}\\NEW\\os.vhdx", "createBytes": 80 * GIB, "controller": "SCSI"}],
    "secureBootTemplate": "MicrosoftWindows",
    "switch": "prod",
    "vlan": 20,
    "iso": None,
    "physicalDrive": None,
    "processorCompatibility": False,
    "networkBoot": False,
    "stopAction": None,
}


def world(*vms: str, more: str = "") -> World:
    """A cluster whose holder is `FENCE`."""
    return any_world(*vms, more=f"{HELD}\n{more}")


def ask(sim: World, where: str, operation: str, /, **arguments: object) -> Any:
    """The data of a reply that conforms to the schema."""
    reply = respond(sim, where, operation, arguments)
    assert (reply["ok"], reply["errors"]) == (True, [])
    root = {"$ref": f"#/$defs/{operation}.data", "$defs": SCHEMA["$defs"]}
    jsonschema.validate(reply["data"], root)
    return json.loads(json.dumps(reply["data"]))


def claim(sim: World, node: str, epoch: int, holder: object) -> Any:
    return ask(sim, node, "claimEpoch", epoch=epoch, holder=holder)


def move(sim: World, node: str = "HV01", target: str = "HV02", source: str = "HV01") -> Any:
    vm_id = sim.vm("SQL01").id
    return ask(
        sim, node, "moveRole", **FENCE, intent=INTENT, vmId=vm_id, source=source, target=target
    )


def create(sim: World, name: str = "NEW", **changes: object) -> Any:
    return ask(
        sim,
        "HV02",
        "createVm",
        **FENCE,
        intent=INTENT,
        node="HV02",
        name=name,
        template={**TEMPLATE, **changes},
    )


def test_an_observation_shows_what_the_node_owns() -> None:
    """VMs, roles, volumes and lists of all roles, each sorted; lists only when asked for."""
    sim = world(SQL, "name: WEB01, node: HV02", "name: LOOSE, node: HV01, clustered: false")
    seen = ask(sim, "HV01", "observe", clusterWide=True)
    assert seen["node"] == "HV01"
    assert sorted(vm["name"] for vm in seen["vms"]) == ["LOOSE", "SQL01"]
    assert [role["name"] for role in seen["roles"]] == ["SQL01"]
    assert [role["name"] for role in seen["lists"]["roles"]] == ["SQL01", "WEB01"]
    assert [volume["path"] for volume in seen["lists"]["volumes"]] == [ROOT]
    assert seen["roles"][0]["vmId"] == sim.vm("SQL01").id
    assert seen["self"]["memoryAvailableBytes"] == 20 * GIB
    assert ask(sim, "HV02", "observe", clusterWide=False)["lists"] is None


@pytest.mark.parametrize("links", ["objects", "text"])
def test_a_role_in_flight_shows_its_migration(links: str) -> None:
    """Read for queued, pending and migrating roles only."""
    sim = world(SQL, more=f"doubts: {{resourceLinks: {links}}}")
    assert ask(sim, "HV01", "observe", clusterWide=False)["roles"][0]["migration"] is None
    assert move(sim) == {"outcome": "submitted"}
    sim.advance_to(5)
    seen = ask(sim, "HV01", "observe", clusterWide=False)
    assert seen["roles"][0]["migration"] == {"state": 2, "progress": 29, "failureReason": 0}
    assert seen["vms"][0]["status"] == [11, 32774]
    sim.advance_to(60)
    assert ask(sim, "HV01", "observe", clusterWide=False)["roles"] == []
    assert ask(sim, "HV02", "observe", clusterWide=False)["roles"][0]["owner"] == "HV02"


@pytest.mark.parametrize(
    ("prepare", "condition", "found"),
    [
        (lambda sim: sim.stop_controllers("change freeze"), "notStopped", "change freeze"),
        (lambda sim: claim(sim, "HV03", 9, OTHER), "epochCurrent", "epoch 9"),
        (lambda sim: sim.cluster.parameters.clear(), "epochCurrent", "none"),
        (lambda sim: sim.move_live("SQL01", "HV03"), "noMigration", "32774"),
        (lambda sim: sim.pause_vm("SQL01"), "vmRunning", "9"),
        (lambda sim: sim.lock_role("SQL01"), "notLocked", "locked"),
        (
            lambda sim: sim.begin_work("SQL01", VmOperationalStatus.MergingDisks),
            "notBusy",
            "32772",
        ),
        (lambda sim: (sim.crash_node("HV02"), sim.advance_to(11)), "targetUp", "1"),
        (lambda sim: sim.pause_node("HV02", drain_roles=False), "targetUp", "2"),
        (lambda sim: sim.avoid_node("HV02"), "targetNotAvoided", "avoided"),
        (lambda sim: sim.set_possible_owners("SQL01", ["HV01"]), "targetPossible", "machine"),
        (lambda sim: sim.unregister("SQL01"), "roleExists", "absent"),
    ],
)
def test_a_move_is_refused_by_the_first_condition_that_fails(
    prepare: Any, condition: str, found: str
) -> None:
    """Nothing reaches the cluster."""
    sim = world(SQL)
    prepare(sim)
    before = len(sim.commands)
    assert move(sim) == {"outcome": "refused", "condition": condition, "found": found}
    assert len(sim.commands) == before


def test_who_claims_later_with_a_higher_epoch_holds_the_cluster() -> None:
    """Never the same epoch twice, nor an older one; every node shows the holder at once."""
    sim = any_world(SQL)
    assert move(sim)["condition"] == "epochCurrent"
    assert claim(sim, "HV02", 7, FENCE["holder"]) == {"outcome": "submitted"}
    for epoch in (7, 6):
        refused = {"outcome": "refused", "condition": "epochOlder", "found": "epoch 7"}
        assert claim(sim, "HV01", epoch, OTHER) == refused
    assert claim(sim, "HV01", 8, OTHER.upper()) == {"outcome": "submitted"}
    for node in ("HV01", "HV02", "HV03"):
        shown = ask(sim, node, "observe", clusterWide=False)["cluster"]
        assert (shown["epoch"], shown["holder"], shown["stop"]) == (8, OTHER, None)
    assert move(sim)["found"] == "epoch 8"


def test_nobody_claims_a_stopped_cluster_or_from_its_smaller_side() -> None:
    """The flag comes first; a node without the majority writes nothing and shows what it knew."""
    sim = world(SQL, more="doubts: {cut_off_node_answers: old}")
    sim.stop_controllers("freeze")
    assert claim(sim, "HV01", 8, OTHER)["condition"] == "notStopped"
    sim.allow_controllers()
    sim.cut_off("HV01")
    arguments = {"epoch": 8, "holder": OTHER}
    assert not respond(sim, "HV01", "claimEpoch", arguments)["ok"]
    assert claim(sim, "HV02", 9, OTHER) == {"outcome": "submitted"}
    assert ask(sim, "HV01", "observe", clusterWide=False)["cluster"]["epoch"] == 7
    assert ask(sim, "HV03", "observe", clusterWide=False)["cluster"]["epoch"] == 9


def test_a_queued_role_is_told_from_a_moving_one() -> None:
    """notQueued comes first, with the flags as found."""
    sim = world(SQL, "name: WEB01, node: HV01")
    sim.move_live("WEB01", "HV03")
    sim.move_live("SQL01", "HV03")
    assert move(sim)["condition"] == "notQueued"


def test_a_move_must_be_asked_of_the_owner() -> None:
    """The node named as source, and the node that is asked."""
    sim = world(SQL)
    assert move(sim, node="HV02")["condition"] == "vmHere"
    answer = move(sim, source="HV03")
    assert (answer["condition"], answer["found"]) == ("owner", "HV01")


def test_registration_and_start() -> None:
    """A job registers the VM; then its role can be started on its node."""
    sim = world("name: LOOSE, node: HV02, clustered: false, state: Off")
    vm_id = sim.vm("LOOSE").id
    asked = {**FENCE, "intent": INTENT, "vmId": vm_id, "node": "HV02"}
    assert ask(sim, "HV02", "startRole", **asked)["condition"] == "roleExists"
    assert ask(sim, "HV02", "registerVm", **asked) == {"outcome": "submitted"}
    assert ask(sim, "HV02", "registerVm", **asked) == {
        "outcome": "refused",
        "condition": "intentNew",
        "found": "Running",
    }
    sim.advance_to(5)
    (job,) = ask(sim, "HV02", "observe", clusterWide=False)["jobs"]
    assert (job["state"], job["vmId"], job["error"]) == ("Succeeded", vm_id, None)
    assert ask(sim, "HV02", "startRole", **asked) == {"outcome": "submitted"}
    sim.advance_to(15)
    assert sim.truth_of("LOOSE").state is VmState.Running
    other = {**asked, "intent": INTENT[:-1] + "2"}
    assert ask(sim, "HV02", "registerVm", **other)["condition"] == "notClustered"


def test_a_creation_runs_in_steps_and_leaves_its_mark() -> None:
    """From `creating` to `created`; off, not clustered, as the template says."""
    sim = world()
    assert create(sim) == {"outcome": "submitted"}
    marks = []
    for tenth in range(100):
        sim.advance_to(tenth / 10)
        marks += [vm["mark"] for vm in ask(sim, "HV02", "observe", clusterWide=False)["vms"]]
    assert list(dict.fromkeys(marks)) == [None, f"{INTENT}:creating", f"{INTENT}:created"]
    (job,) = ask(sim, "HV02", "observe", clusterWide=False)["jobs"]
    assert (job["state"], job["step"], job["vmId"]) == ("Succeeded", "finish", sim.vm("NEW").id)
    vm = sim.vm("NEW")
    assert (vm.processors, vm.memory_dynamic, vm.adapters[0].vlan) == (4, True, 20)
    assert [disk.path for disk in vm.disks] == [f"{ROOT}\\NEW\\os.vhdx"]
    assert (vm.state, sim.truth_of("NEW").is_clustered) == (VmState.Off, False)


@pytest.mark.parametrize(
    ("changes", "condition"),
    [
        ({"name": "sql01"}, "roleNameFree"),
        ({"name": "web01"}, "nameFree"),
        ({"location": "C:\\ClusterStorage", "name": "Volume1"}, "folderFree"),
        ({"disks": [{"path": f"{ROOT}\\SQL01\\os.vhdx", "createBytes": GIB}]}, "disksFree"),
        ({"disks": [{"path": f"{ROOT}\\none.vhdx", "createBytes": None}]}, "disksExist"),
        ({"iso": f"{ROOT}\\none.iso"}, "mediaExists"),
        ({"physicalDrive": "E:"}, "driveExists"),
        ({"switch": "Nowhere"}, "switchExists"),
        ({"disks": [{"path": f"{ROOT}\\a.vhdx", "createBytes": 2**60}]}, "volumeHasRoom"),
        ({"disks": [{"path": "D:\\a.vhdx", "createBytes": GIB}]}, "volumeHasRoom"),
    ],
)
def test_a_creation_is_refused_before_anything_is_made(
    changes: dict[str, Any], condition: str
) -> None:
    """Each condition by itself; no VM, no folder, no job."""
    sim = world(SQL, "name: WEB01, node: HV02, clustered: false")
    name = changes.pop("name", "NEW")
    assert create(sim, name, **changes)["condition"] == condition
    sim.advance_to(60)
    assert [t.name for t in sim.truth()] == ["SQL01", "WEB01"]
    assert sim.commands == []


def test_a_failing_step_ends_the_job_and_removes_nothing() -> None:
    """Somebody takes the disk's path meanwhile."""
    sim = world()
    create(sim)
    sim.advance_to(2)
    taken = {"Path": f"{ROOT}\\NEW\\os.vhdx", "SizeBytes": GIB, "Dynamic": True}
    invoke(sim, "HV01", "New-VHD", taken)
    sim.advance_to(30)
    (job,) = ask(sim, "HV02", "observe", clusterWide=False)["jobs"]
    assert (job["state"], job["step"]) == ("Failed", "disks")
    assert job["error"].startswith("OperationFailed,Microsoft.HyperV.PowerShell.Commands.NewVHD")
    assert sim.truth_of("NEW").state is VmState.Off


def test_what_changes_before_a_job_begins_is_seen_by_it() -> None:
    """The job checks the name again."""
    sim = world()
    create(sim)
    sim.add_vm("new", "HV02", memory_bytes=GIB)
    sim.advance_to(30)
    (job,) = ask(sim, "HV02", "observe", clusterWide=False)["jobs"]
    assert (job["state"], job["step"]) == ("Failed", "newVm")
    assert job["error"].startswith("Refused: nameFree")


def test_a_newer_epoch_breaks_a_creation_off_at_its_next_step() -> None:
    """The job asks in front of each step whether its caller still holds the cluster."""
    sim = world()
    create(sim)
    sim.advance_to(2)
    sim.cluster.parameters["ownernodeepoch"] = ("OwnernodeEpoch", 8)
    sim.advance_to(30)
    (job,) = ask(sim, "HV02", "observe", clusterWide=False)["jobs"]
    assert (job["state"], job["error"]) == ("Failed", "Refused: epochCurrent, found epoch 8")
    assert sim.vm("NEW").notes.endswith(":creating")


def test_a_stop_keeps_a_job_from_beginning_but_not_from_ending() -> None:
    """What is under way goes on; what has not begun does not begin."""
    flag = {"ownernodestop": ("OwnernodeStop", "change freeze")}
    late, early = world(), world()
    create(late)
    late.advance_to(2)
    late.cluster.parameters |= flag
    late.advance_to(30)
    assert late.vm("NEW").notes.endswith(":created")
    create(early)
    early.cluster.parameters |= flag
    early.advance_to(30)
    (job,) = ask(early, "HV02", "observe", clusterWide=False)["jobs"]
    assert (job["step"], job["error"]) == ("newVm", "Refused: notStopped, found change freeze")


def test_a_lost_agent_forgets_its_jobs_and_they_go_on() -> None:
    """Only observation can tell then; a dead node ends them."""
    sim = world()
    create(sim)
    sim.jobs.forget("HV02")
    sim.advance_to(30)
    assert ask(sim, "HV02", "observe", clusterWide=False)["jobs"] == []
    assert sim.vm("NEW").notes.endswith(":created")
    dead = world()
    create(dead)
    dead.advance_to(2)
    dead.crash_node("HV02")
    dead.advance_to(30)
    assert dead.vm("NEW").notes.endswith(":creating")
    assert dead.vm("NEW").disks == []


def test_errors_and_silence_are_told_apart() -> None:
    """A cluster service that is down, a call that makes no sense, a node that is off."""
    sim = world(SQL)
    sim.cut_off("HV01")
    sim.advance_to(60)
    reply = respond(sim, "HV01", "observe", {"clusterWide": False})
    assert (reply["ok"], reply["data"]) == (False, None)
    errors = reply["errors"]
    assert isinstance(errors, list)
    jsonschema.validate(errors[0], {"$ref": "#/$defs/error", "$defs": SCHEMA["$defs"]})
    assert errors[0]["kind"].startswith("ClusterEndpointNotRegistered,")
    for operation, arguments in (("stopVm", {}), ("observe", {}), ("moveRole", {"vmId": 3})):
        bad = respond(sim, "HV02", operation, arguments)["errors"]
        assert isinstance(bad, list)
        assert bad[0]["kind"] == "BadCall"
    sim.crash_node("HV02")
    with pytest.raises(NodeUnreachable):
        respond(sim, "HV02", "ping", {})


def test_the_stages_are_those_of_the_world() -> None:
    """A switch-over shows the role pending on its target, which does not list the VM yet."""
    sim = world(SQL)
    move(sim)
    while sim.cluster.migrations[sim.vm("SQL01").id].stage is not Stage.SWITCH_OVER:
        sim.advance_to(sim.now + 0.25)
    source = ask(sim, "HV01", "observe", clusterWide=False)
    target = ask(sim, "HV02", "observe", clusterWide=False)
    assert ([vm["name"] for vm in source["vms"]], source["roles"]) == (["SQL01"], [])
    assert (target["vms"], target["roles"][0]["state"]) == ([], 4)
    assert target["roles"][0]["migration"]["state"] == 3


def equipment(sim: World, seconds: int = 300) -> Any:
    (vm,) = ask(sim, "HV01", "observe", clusterWide=False, slowSeconds=seconds)["vms"]
    return vm["equipment"]


def test_equipment_is_read_seldom_and_shown_with_its_age() -> None:
    """What nobody can see from outside shows at the next reading; what changed to all appearance at
    once; and an agent that starts has kept nothing."""
    sim = any_world("name: A, node: HV01")
    assert (equipment(sim)["ageSeconds"], equipment(sim)["media"]) == (0, [])
    sim.insert_iso("A", "C:\\iso\\a.iso")
    sim.advance_to(100)
    assert (equipment(sim)["ageSeconds"], equipment(sim)["media"]) == (100, [])
    assert equipment(sim, 100)["media"] != []
    sim.eject_media("A")
    assert equipment(sim)["media"] != []
    sim.rename_vm("A", "B")
    assert equipment(sim)["media"] == []
    sim.insert_iso("B", "C:\\iso\\b.iso")
    sim.jobs.forget("HV01")
    assert equipment(sim)["media"] != []


def test_only_so_many_vms_are_read_in_one_call() -> None:
    """The first looks at a full node show the rest as not read yet, never as empty."""
    sim = any_world(*(f"name: V{number}, node: HV01, memory: 256Mi" for number in range(40)))
    look = {"clusterWide": False, "slowSeconds": 300}
    first = ask(sim, "HV01", "observe", **look)["vms"]
    assert sum(vm["equipment"] is None for vm in first) == 8
    second = ask(sim, "HV01", "observe", **look)["vms"]
    assert all(vm["equipment"] is not None for vm in second)
