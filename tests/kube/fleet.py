"""A cluster with many VMs, a placement for each, and a replica that leads it: what it costs.

Counted is what the API server recorded of the controller's calls, but for those of the Lease, which
is renewed every other second whatever happens.
"""

import asyncio
import json
import re
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from controller.adapters.kube.api import MERGE_PATCH, connect
from controller.adapters.kube.kinds import OURS, PLACEMENT
from tests.kube.api_server import ADMIN, CONTROLLER, ApiServer
from tests.kube.story import placement, replica, simulated, team
from tests.support.ports import free_port

WHAT = OURS[PLACEMENT]
SPACE = "team-a"
AT_ONCE = 16
LOOK_SECONDS = 0.1
QUIET_CYCLES = 2
WRITES = frozenset({"create", "update", "patch", "delete"})


@dataclass
class Fleet:
    """The replica, watched from outside."""

    server: ApiServer
    process: psutil.Process
    url: str
    state: Path
    began: float = field(default_factory=time.monotonic)
    rss_bytes: int = 0
    """The most that was seen of it."""

    @property
    def listen(self) -> str:
        """Where it answers; another one may, after it."""
        return self.url.removeprefix("http://")

    def writes(self) -> Counter[str]:
        """`verb resource` -> how often the controller wrote so, Leases left out."""
        found: Counter[str] = Counter()
        for line in self.server.audit_log.read_text().splitlines():
            entry: dict[str, Any] = json.loads(line)
            at = entry.get("objectRef", {})
            if entry["user"]["username"] != CONTROLLER or entry["verb"] not in WRITES:
                continue
            if at["resource"] != "leases":
                sub = f"/{at['subresource']}" if "subresource" in at else ""
                found[f"{entry['verb']} {at['resource']}{sub}"] += 1
        return found

    def cycles(self) -> int:
        """Cycles so far."""
        page = self._ask("/metrics")
        found = re.search(r'^ownernode_cycle_seconds_count\{.*phase="observe"\} (\S+)$', page, re.M)
        return int(float(found[1])) if found is not None else 0

    def until_synced(self, seconds: float = 60) -> float:
        """Seconds from the process's start until every placement is listed, judged and kept."""
        kept = self.state / "kubernetes/others/last-good.json"
        self.until(kept.exists, "synced", seconds)
        return time.monotonic() - self.began

    def until_settled(self, vms: int, seconds: float = 300) -> float:
        """Seconds from the process's start until the status says that every VM is settled."""

        def is_settled() -> bool:
            status = self.server.get("fcl", "west").get("status", {})
            return bool(status.get("summary") == f"{vms}/{vms}")

        self.until(is_settled, "every VM is settled", seconds)
        return time.monotonic() - self.began

    def pass_cycles(self, count: int, seconds: float = 300) -> None:
        """Let so many whole cycles pass."""
        end = self.cycles() + count + 1
        self.until(lambda: self.cycles() >= end, f"{count} cycles", seconds)

    def until_quiet(self, seconds: float = 300) -> None:
        """Let what its start brought with it be written."""
        give_up = time.monotonic() + seconds
        before = None
        while before != (before := self.writes()):
            assert time.monotonic() < give_up, f"it writes on and on: {before}"
            self.pass_cycles(QUIET_CYCLES)

    def edit(self) -> float:
        """Let one VM have a second choice; seconds until its status is of that generation."""
        began = time.monotonic()
        body = {"spec": {"owners": {"preferred": ["HV01", "HV02"]}}}
        asyncio.run(_patch(str(self.server.kubeconfig(ADMIN)), body))

        def is_told() -> bool:
            item = self.server.get("vmp", _name(0), SPACE)
            return bool(item["status"]["observedGeneration"] == item["metadata"]["generation"])

        self.until(is_told, "the status is of the edit")
        return time.monotonic() - began

    def until(self, fits: Any, what: str, seconds: float = 60) -> None:
        """Look again and again, also at the memory."""
        give_up = time.monotonic() + seconds
        while not self._fits(fits):
            assert time.monotonic() < give_up, f"not within {seconds:g} s: {what}"
            if self.process.is_running():
                self.rss_bytes = max(self.rss_bytes, self.process.memory_info().rss)
            time.sleep(LOOK_SECONDS)

    def _fits(self, fits: Any) -> bool:
        try:
            return bool(fits())
        except OSError:  # not listening yet, or not ready
            return False

    def _ask(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return str(answer.read().decode())


@contextmanager
def fleet(
    server: ApiServer, folder: Path, *, nodes: int, vms: int, interval: str, lease: str = "15/10/2"
) -> Iterator[Fleet]:
    """A replica that begins to lead that many VMs, each where it belongs; ended at the end."""
    team(server, SPACE)
    with simulated(folder / "world", _world(nodes, vms)) as cluster:
        cluster["spec"]["interval"] = interval
        asyncio.run(_fill(str(server.kubeconfig(ADMIN)), nodes, vms))
        server.apply(cluster)
        port = free_port()
        listen = ("--listen", f"127.0.0.1:{port}")
        with replica(server, folder / "a", lease=lease, arguments=listen) as process:
            url = f"http://127.0.0.1:{port}"
            yield Fleet(server, psutil.Process(process.pid), url, folder / "a/state")


def _name(number: int) -> str:
    return f"vm{number:05}"


def _node(number: int, nodes: int) -> str:
    return f"HV{number % nodes + 1:02}"


def _world(nodes: int, vms: int) -> str:
    """A world.yaml in which every VM is where its placement wants it."""
    document = {
        "cluster": {"name": "west", "domain": "west.example"},
        "nodes": [{"name": _node(n, nodes), "memory": "1024Gi"} for n in range(nodes)],
        "volumes": [{"name": "Volume1", "size": "512Ti"}],
        "vms": [
            {"name": _name(n).upper(), "node": _node(n, nodes), "memory": "4Gi"} for n in range(vms)
        ],
    }
    return yaml.safe_dump(document)


async def _fill(kubeconfig: str, nodes: int, vms: int) -> None:
    api, gate = connect(kubeconfig), asyncio.Semaphore(AT_ONCE)

    async def create(number: int) -> None:
        document = placement(_name(number), _name(number).upper(), _node(number, nodes))
        async with gate:
            await api.create(WHAT, document, SPACE)

    await asyncio.gather(*map(create, range(vms)))
    await api.close()


async def _patch(kubeconfig: str, body: dict[str, Any]) -> None:
    api = connect(kubeconfig)
    await api.patch(WHAT, _name(0), body, SPACE, form=MERGE_PATCH)
    await api.close()
