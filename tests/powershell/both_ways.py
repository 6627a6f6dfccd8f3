"""One operation carried out twice on equal worlds: by the scripts in an engine, and in Python."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine_node import NODE, EngineNode

from controller.simulator.config import load_world
from controller.simulator.responder import respond
from controller.simulator.world import World

JOB_SECONDS = 90.0
"""Real seconds in which a job's engine has started and done its work, on a busy machine too."""
WORLD_JOB_SECONDS = 60.0
POLL_SECONDS = 0.1
Prepare = Callable[[World], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a call and its job brought about, and the world that it left."""

    ok: bool
    data: Any
    error: Any
    job: Any
    seen: Any
    truth: Any
    commands: Any

    @property
    def refused(self) -> str | None:
        """The condition that did not hold, or None."""
        return self.data.get("condition") if isinstance(self.data, dict) else None


def both_ways(
    agent: EngineNode,
    text: str,
    operation: str,
    arguments: dict[str, Any] | Callable[[World], dict[str, Any]],
    prepare: Prepare = lambda _: None,
) -> tuple[Outcome, Outcome]:
    """By the engine, and by the responder; both wait for the job if there is one."""
    worlds = load_world(text), load_world(text)
    for world in worlds:
        prepare(world)
    given = arguments if isinstance(arguments, dict) else arguments(worlds[0])
    intent = given.get("intent")

    agent.world = worlds[0]
    reply = agent.call(operation, **given)
    left = {key: reply[key] for key in ("ok", "data", "errors")}
    job = _job_in_engine(agent, operation, given) if _submitted(left) else None
    worlds[0].advance_to(worlds[0].now + WORLD_JOB_SECONDS)

    right = respond(worlds[1], NODE, operation, given)
    worlds[1].advance_to(worlds[1].now + WORLD_JOB_SECONDS)
    return _outcome(worlds[0], left, job), _outcome(
        worlds[1], right, _job_in_world(worlds[1], intent)
    )


def _submitted(reply: dict[str, Any]) -> bool:
    return isinstance(reply["data"], dict) and reply["data"].get("outcome") == "submitted"


def _job_in_engine(agent: EngineNode, operation: str, given: dict[str, Any]) -> Any:
    """The job's entry once it has ended; None for an operation without one."""
    if operation not in ("registerVm", "createVm"):
        return None
    deadline = time.monotonic() + JOB_SECONDS
    # A known intent is refused with its state before anything else is read: the cheapest question.
    while agent.call(operation, **given)["data"]["found"] == "Running":
        assert time.monotonic() < deadline, f"a job runs for {JOB_SECONDS} s"
        time.sleep(POLL_SECONDS)
    jobs = agent.call("observe", clusterWide=False, slowSeconds=300)["data"]["jobs"]
    return next(job for job in jobs if job["intent"] == given["intent"])


def _job_in_world(world: World, intent: str | None) -> Any:
    job = None if intent is None else world.jobs.find(NODE, intent)
    if job is None:
        return None
    return {
        "intent": job.intent,
        "operation": job.operation,
        "state": job.state,
        "step": job.step,
        "vmId": job.vm_id,
        "error": job.error,
    }


def _outcome(world: World, reply: dict[str, Any], job: Any) -> Outcome:
    (error,) = reply["errors"] or [None]
    if error and error["kind"] == "BadCall":
        error = "BadCall"
    data = reply["data"]
    if isinstance(data, dict) and "jobs" in data:
        data = {**data, "jobs": []}  # the agent serves many tests and remembers theirs
    if isinstance(data, dict) and "powershell" in data:
        data = {**data, "powershell": "any"}
    views = {}
    for node in world.cluster.nodes.values():
        if node.powered and node.cut_off_at is None:
            view = respond(world, node.name, "observe", {"clusterWide": True})
            if isinstance(view["data"], dict):
                view["data"]["jobs"] = []
            views[node.name] = view
    return Outcome(
        ok=reply["ok"],
        data=data,
        error=error,
        job=job,
        seen=views,
        truth=world.truth(),
        commands=[(c.node, c.cmdlet, c.error.fqid if c.error else None) for c in world.commands],
    )
