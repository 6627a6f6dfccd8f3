"""What an agent remembers: registrations and creations that it started, and what it has read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from controller.model.names import fold

_KEPT_MAX = 256  # finished ones beyond it are forgotten, the oldest first


@dataclass(slots=True, kw_only=True)
class Job:
    """One process of its own on a node; `step` is the last one that it entered."""

    intent: str
    operation: str
    state: str = "Running"
    step: str | None = None
    vm_id: str | None = None
    error: str | None = None
    killed: bool = False


class JobBook:
    """What the agents of all nodes know. An agent that ends forgets; its jobs run on unseen."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Job]] = {}
        self._running: dict[str, list[Job]] = {}
        self._kept: dict[str, dict[str, Any]] = {}

    def kept(self, node: str) -> dict[str, Any]:
        """What this node's agent read and keeps for a while."""
        return self._kept.setdefault(fold(node), {})

    def start(self, node: str, intent: str, operation: str) -> Job:
        job = Job(intent=intent, operation=operation)
        known = self._known.setdefault(fold(node), {})
        for old in tuple(known.values()):
            if len(known) >= _KEPT_MAX and old.state != "Running":
                del known[old.intent]
        known[intent] = job
        running = self._running.setdefault(fold(node), [])
        running[:] = [other for other in running if other.state == "Running"]
        running.append(job)
        return job

    def known(self, node: str) -> list[Job]:
        """The jobs that this node's agent remembers, by intent."""
        jobs = self._known.get(fold(node), {})
        return [jobs[intent] for intent in sorted(jobs)]

    def find(self, node: str, intent: str) -> Job | None:
        return self._known.get(fold(node), {}).get(intent)

    def forget(self, node: str) -> None:
        """The agent of this node has ended, and a new one knows nothing."""
        self._known.pop(fold(node), None)
        self._kept.pop(fold(node), None)

    def end_all(self, node: str) -> None:
        """The node has died, and every process on it."""
        for job in self._running.pop(fold(node), []):
            job.killed = True
        self.forget(node)
