"""The agent answers frames as docs/protocol.md says, whatever comes in."""

import base64
import hashlib
import json
import random
import uuid
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from engine_node import NODE, EngineNode, document, frame
from stories import CLUSTER, FENCE

from controller.simulator.agent_process import shipped_scripts
from controller.simulator.config import load_world
from controller.simulator.states import VmState
from controller.simulator.world import World

pytestmark = pytest.mark.engine
SCHEMA = json.loads(
    (Path(__file__).parents[2] / "docs" / "protocol.schema.json").read_text(encoding="utf-8")
)
PAYLOAD_CHARACTERS_MAX = 49_152
# U+2018-201B and U+201C-201E are quotes to PowerShell, U+2013-2015 dashes, U+00A0 a blank.
NAMES = (
    "web[1]",
    "*",
    "?",
    "it's",
    "\u2018x\u2019; Stop-VM \u201cy\u201d",
    "$(exit)",
    "`n",
    "a\u00adb",
    "\u00dcmlaut \u4e2d\u6587 \U0001f600",
    "trailing blank ",
    "-Force",
    "\u2014Force",
    "a\u00a0b",
    "/Date(0)/",
    "2026-01-05T08:00:00Z",
)


def holds_to_schema(part: str, value: Any) -> None:
    jsonschema.validate(value, {"$ref": f"#/$defs/{part}", "$defs": SCHEMA["$defs"]})


def world_of(*names: str) -> World:
    """HV01 with running, clustered VMs of these names."""
    vms = [{"name": f"vm{i}", "node": "HV01"} for i, _ in enumerate(names)]
    held = {"OwnernodeEpoch": FENCE["epoch"], "OwnernodeHolder": FENCE["holder"]}
    nodes = [{"name": "HV01"}, {"name": "HV02"}]
    document = {"cluster": {"parameters": held}, "nodes": nodes, "vms": vms}
    world = load_world(json.dumps(document))
    for i, name in enumerate(names):
        world.rename_role(f"vm{i}", name)
        world.rename_vm(f"vm{i}", name)
    return world


def new_id() -> str:
    return f"test-{uuid.uuid4()}"


def test_it_says_who_it_is(agent: EngineNode) -> None:
    """`ready` carries the hash of the text that runs, by which an old agent is told."""
    holds_to_schema("ready", agent.ready)
    assert agent.ready["node"] == NODE
    assert agent.ready["agent"] == hashlib.sha256(shipped_scripts().agent.encode()).hexdigest()


@pytest.mark.parametrize("cluster_wide", [True, False])
def test_an_observation_holds_to_the_schema(agent: EngineNode, cluster_wide: bool) -> None:
    """Every field is there, of its type, and there is no other."""
    agent.world = load_world(CLUSTER)
    reply = agent.call("observe", clusterWide=cluster_wide)
    holds_to_schema("reply", reply)
    holds_to_schema("observe.data", reply["data"])


def test_a_repeated_id_is_answered_from_memory(agent: EngineNode) -> None:
    """A call sent twice, because its answer was lost, gets the same lines and runs once."""
    agent.world = load_world(CLUSTER)
    call = {
        "operation": "moveRole",
        "arguments": {
            "intent": str(uuid.uuid4()),
            **FENCE,
            "vmId": agent.world.vm("sql").id,
            "source": "HV01",
            "target": "HV02",
        },
    }
    call_id = new_id()
    agent.send(frame(call_id, call) + frame(call_id, call))
    first, second = agent.lines_of(call_id), agent.lines_of(call_id)
    assert first == second
    assert document(first)["data"] == {"outcome": "submitted"}
    assert len(agent.world.commands) == 1


@pytest.mark.parametrize(
    "payload",
    [
        b"!!!",
        b"",
        base64.b64encode(b"{"),
        base64.b64encode(b"\xff\xfe"),
        base64.b64encode(b"null"),
        base64.b64encode(b"[1]"),
        base64.b64encode(b'{"operation": "ping"}'),
        base64.b64encode(b'{"operation": "ping", "arguments": null}'),
    ],
)
def test_an_unreadable_call_is_answered(agent: EngineNode, payload: bytes) -> None:
    """Whoever sends nonsense learns so, and the agent lives on."""
    call_id = new_id()
    agent.send(b"HV1 %s call %s\n" % (call_id.encode(), payload))
    reply = document(agent.lines_of(call_id))
    holds_to_schema("reply", reply)
    assert [error["kind"] for error in reply["errors"]] == ["BadCall"]
    assert agent.call("ping")["ok"]


def test_noise_is_passed_over(agent: EngineNode) -> None:
    """Lines that are no calls, or have no proper id, get no answer."""
    agent.send(b"\nWARNING: x\nHV1 0 call e30=\nHV1 a b\nHV1 a part e30=\nHV1 a_b call e30=\n")
    assert agent.call("ping")["data"]["node"] == NODE


def test_a_big_reply_comes_in_parts(agent: EngineNode) -> None:
    """No line's payload is above 49,152 characters; the last piece is `done`."""
    chance = random.Random(1)  # random names do not pack well
    names = [chance.randbytes(400).hex() for _ in range(200)]
    world = world_of()
    for name in names:
        world.add_vm(name, "HV01", memory_bytes=2**20)
    agent.world = world
    call_id = new_id()
    agent.send(frame(call_id, {"operation": "observe", "arguments": {"clusterWide": False}}))
    lines = agent.lines_of(call_id)
    kinds = [line.split(b" ")[2] for line in lines]
    assert len(kinds) > 1
    assert kinds == [b"part"] * (len(kinds) - 1) + [b"done"]
    assert all(len(line.split(b" ")[3]) <= PAYLOAD_CHARACTERS_MAX for line in lines)
    assert {vm["name"] for vm in document(lines)["data"]["vms"]} == set(names)


def test_a_list_of_one_is_a_list(agent: EngineNode) -> None:
    """Windows PowerShell likes to unwrap them; an empty one is a list too."""
    agent.world = load_world(
        '{"nodes": [{"name": "HV01"}], "vms": [{"name": "a", "node": "HV01"}]}'
    )
    data = agent.call("observe", clusterWide=True)["data"]
    assert [len(data[key]) for key in ("nodes", "vms", "roles")] == [1, 1, 1]
    (vm,) = data["vms"]
    assert len(vm["status"]) == 1
    assert [len(vm["equipment"][key]) for key in ("disks", "adapters")] == [1, 1]
    assert vm["equipment"]["media"] == []
    assert data["roles"][0]["possibleOwners"] == {"machine": ["HV01"], "configuration": ["HV01"]}
    agent.world = load_world('{"nodes": [{"name": "HV01"}], "volumes": []}')
    data = agent.call("observe", clusterWide=True)["data"]
    assert data["vms"] == data["roles"] == data["lists"]["roles"] == data["lists"]["volumes"] == []


def test_names_arrive_as_they_are(agent: EngineNode) -> None:
    """Every character of a name comes through, sorted by ordinal value."""
    agent.world = world_of(*NAMES)
    data = agent.call("observe", clusterWide=True)["data"]
    assert {vm["name"] for vm in data["vms"]} == set(NAMES)
    ordinal = sorted(NAMES, key=lambda name: name.encode("utf-16-be"))
    assert [role["name"] for role in data["roles"]] == ordinal
    assert [role["name"] for role in data["lists"]["roles"]] == ordinal


@pytest.mark.parametrize("name", NAMES)
def test_a_name_selects_nothing(agent: EngineNode, name: str) -> None:
    """A VM called like a pattern or a command is moved, and no other with it."""
    agent.world = world_of(name, "web1", "x")
    reply = agent.call(
        "moveRole",
        **FENCE,
        intent=str(uuid.uuid4()),
        vmId=agent.world.vm(name).id,
        source="HV01",
        target="HV02",
    )
    assert reply["data"] == {"outcome": "submitted"}
    assert [vm.name for vm in agent.world.truth() if vm.in_flight] == [name]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_starts_nothing_else(agent: EngineNode, name: str) -> None:
    """Start-ClusterGroup gets the role itself, not a name that may be a pattern."""
    world = world_of(name, "web1", "x")
    for vm in (name, "web1", "x"):
        world.stop_vm(vm)
    agent.world = world
    vm_id = world.vm(name).id
    reply = agent.call("startRole", **FENCE, intent=str(uuid.uuid4()), vmId=vm_id, node="HV01")
    assert reply["data"] == {"outcome": "submitted"}
    assert [vm.name for vm in world.truth() if vm.state is not VmState.Off] == [name]
