"""Registration and creation run in processes of their own, which the agent watches."""

import os
import signal
import time
import uuid
from pathlib import Path
from typing import Any

import psutil
import pytest
from engine_node import EngineNode
from stories import CLUSTER, FENCE, template_of

from controller.simulator.config import load_world
from controller.simulator.world import World

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]
JOB_SECONDS = 120.0
"""Only a job that hangs takes so long: two engines start in it, on a machine that may be busy."""
POLL_SECONDS = 0.1


def start_creation(agent: EngineNode, name: str = "new") -> dict[str, Any]:
    call = {
        "intent": str(uuid.uuid4()),
        **FENCE,
        "node": "HV01",
        "name": name,
        "template": template_of(name),
    }
    assert agent.call("createVm", **call)["data"] == {"outcome": "submitted"}
    return call


def job_of(agent: EngineNode, intent: str) -> dict[str, Any]:
    jobs = agent.call("observe", clusterWide=False, slowSeconds=300)["data"]["jobs"]
    found: dict[str, Any] = next(job for job in jobs if job["intent"] == intent)
    return found


def ended(agent: EngineNode, intent: str) -> dict[str, Any]:
    deadline = time.monotonic() + JOB_SECONDS
    while (job := job_of(agent, intent))["state"] == "Running":
        assert time.monotonic() < deadline, f"the job still runs after {JOB_SECONDS} s"
        time.sleep(POLL_SECONDS)  # a look costs the agent the time that the job's engine needs
    return job


def test_the_agent_answers_while_a_job_runs(agent: EngineNode) -> None:
    """A creation is submitted at once, shown as Running, and later with its step and VM."""
    agent.world = load_world(CLUSTER)
    call = start_creation(agent)
    assert job_of(agent, call["intent"])["state"] == "Running"
    job = ended(agent, call["intent"])
    assert (job["state"], job["step"], job["error"]) == ("Succeeded", "finish", None)
    vm = agent.world.vm(job["vmId"])
    assert (vm.name, vm.notes) == ("new", f"ownernode:{call['intent']}:created")


def test_two_creations_run_at_once(agent: EngineNode) -> None:
    """Each has its own process; neither waits for the other, neither mixes with it."""
    agent.world = load_world(CLUSTER)
    calls = [start_creation(agent, name) for name in ("one", "two")]
    jobs = [ended(agent, call["intent"]) for call in calls]
    assert [job["state"] for job in jobs] == ["Succeeded", "Succeeded"]
    assert [agent.world.vm(job["vmId"]).name for job in jobs] == ["one", "two"]


def test_a_name_taken_in_the_meantime_stops_a_creation(agent: EngineNode) -> None:
    """The job looks again before it acts: an administrator may have been quicker."""
    agent.world = load_world(CLUSTER)
    call = start_creation(agent)
    agent.world.add_vm("NEW", "HV01", memory_bytes=2**30)
    job = ended(agent, call["intent"])
    assert (job["state"], job["step"], job["vmId"]) == ("Failed", "newVm", None)
    assert job["error"].startswith("Refused: nameFree, found ")
    assert [command.cmdlet for command in agent.world.commands] == []


def test_a_vm_registered_in_the_meantime_is_left_alone(agent: EngineNode) -> None:
    """As above, for a registration."""
    agent.world = load_world(CLUSTER)
    vm_id, intent = agent.world.vm("bare").id, str(uuid.uuid4())
    agent.call("registerVm", **FENCE, intent=intent, vmId=vm_id, node="HV01")
    agent.world.register("bare")
    job = ended(agent, intent)
    assert (job["state"], job["error"]) == ("Failed", "Refused: notClustered, found clustered")


def test_a_superseded_controllers_creation_breaks_off_at_its_next_step(agent: EngineNode) -> None:
    """The epoch changes in the middle: no disk is made, and the VM is not said to be finished."""
    agent.world = load_world(CLUSTER)
    agent.after["Set-VMProcessor"] = claim_for_another
    call = start_creation(agent)
    job = ended(agent, call["intent"])
    assert (job["state"], job["error"]) == ("Failed", "Refused: epochCurrent, found epoch 8")
    assert job["step"] == "disks"
    assert agent.world.vm(job["vmId"]).notes == f"ownernode:{call['intent']}:creating"


def test_a_superseded_controllers_registration_is_not_carried_out(agent: EngineNode) -> None:
    """The epoch changes between the call and the job's only step."""
    agent.world = load_world(CLUSTER)
    vm_id, intent = agent.world.vm("bare").id, str(uuid.uuid4())
    agent.call("registerVm", **FENCE, intent=intent, vmId=vm_id, node="HV01")
    claim_for_another(agent.world)
    job = ended(agent, intent)
    assert (job["state"], job["error"]) == ("Failed", "Refused: epochCurrent, found epoch 8")
    assert not agent.world.truth_of("bare").is_clustered


def test_a_stop_keeps_a_job_from_beginning_but_not_from_ending(agent: EngineNode) -> None:
    """What is under way goes on: a VM without its disks would help nobody."""
    agent.world = load_world(CLUSTER)
    early = start_creation(agent, "early")
    set_parameter(agent.world, "OwnernodeStop", "change freeze")
    job = ended(agent, early["intent"])
    assert (job["step"], job["error"]) == ("newVm", "Refused: notStopped, found change freeze")
    agent.world = load_world(CLUSTER)
    agent.after["New-VHD"] = lambda world: set_parameter(world, "OwnernodeStop", "change freeze")
    late = start_creation(agent, "late")
    assert ended(agent, late["intent"])["state"] == "Succeeded"


def claim_for_another(world: World) -> None:
    """What a second controller's claim leaves in the cluster."""
    set_parameter(world, "OwnernodeEpoch", 8)
    set_parameter(world, "OwnernodeHolder", str(uuid.uuid4()))


def set_parameter(world: World, name: str, value: int | str) -> None:
    """A private property of the cluster, whose name has no case."""
    world.cluster.parameters[name.lower()] = (name, value)


def test_a_job_whose_process_dies_has_failed(agent: EngineNode) -> None:
    """Nobody knows what it did; the agent says so, and observation decides."""
    agent.world = load_world(CLUSTER)
    before = _children()
    call = start_creation(agent)
    (child,) = _children() - before
    os.kill(child, signal.SIGKILL)
    job = ended(agent, call["intent"])
    assert job["state"] == "Failed"
    assert job["error"].startswith("JobLost: ")


def test_a_job_gets_no_data_on_its_command_line(agent: EngineNode) -> None:
    """What a process list shows is switches and the bootstrap; the data went through stdin."""
    agent.world = load_world(CLUSTER)
    before = _children()
    call = start_creation(agent, "secret name")
    (child,) = _children() - before
    line = psutil.Process(child).cmdline()
    parent = psutil.Process(child).parent()
    assert parent is not None
    assert line[1:] == parent.cmdline()[1:]
    assert Path(line[0]).name == Path(parent.cmdline()[0]).name
    ended(agent, call["intent"])  # else it goes on in the world of the next test


def _children() -> set[int]:
    """The processes that the agents of this test run have started."""
    agents = psutil.Process().children()
    return {child.pid for agent in agents for child in agent.children()}
