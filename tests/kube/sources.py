"""Three ways in which a team keeps its placements: a folder, a Git repository, Kubernetes objects.

Each is written by the team's own means, followed by a real controller over WinRM, and complains
where the author of a bad edit looks.
"""

import json
import os
import subprocess
import sys
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.kube.api_server import ROOT, ApiServer, end_process
from tests.kube.story import condition, placement, replica, simulated, team
from tests.support.forge import Api
from tests.support.ports import free_port
from tests.support.repository import Repository

BAD = {
    "generation": 2,
    "memory": {"startup": "2Gi"},
    "processors": {"count": 1},
    "location": "C:\\ClusterStorage\\Volume1\\con",
    "disks": [{"path": "os.vhdx", "create": {"size": "1Gi"}}],
}
"""A template that a schema takes, and we don't: con is a device in Windows."""


class Source(ABC):
    """A simulated cluster west, and placements for it that are kept in one way."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.url = f"http://127.0.0.1:{free_port()}"

    @contextmanager
    def followed(self) -> Iterator[None]:
        """The cluster, and a controller that follows this source."""
        with simulated(self.place / "world") as cluster, self._controller(cluster):
            yield

    @abstractmethod
    def _controller(self, cluster: dict[str, Any]) -> Any:
        """A controller as a process, meanwhile."""

    @abstractmethod
    def put(self, vm: str, *preferred: str, template: dict[str, Any] | None = None) -> None:
        """Write a VM's placement, and return once the change is visible."""

    @abstractmethod
    def remove(self, vm: str) -> None:
        """Take a VM's placement away, the others staying."""

    @abstractmethod
    def complaint(self, vm: str) -> str:
        """What the author of a bad edit reads; empty while there is nothing to read."""

    def status(self) -> dict[str, Any]:
        """The cluster's report; empty until there is one."""
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/status", timeout=10) as answer:
                return dict(next(iter(json.load(answer)["clusters"]), {}))
        except OSError:
            return {}

    def settled(self) -> dict[str, str]:
        """VM -> node, of those that are where they belong."""
        vms = self.status().get("vms", ())
        return {vm["vm"]: vm["owner"] for vm in vms if vm["verdict"] == "Settled"}

    def faults(self) -> float:
        """What the metrics say of this source's faults."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        found = [line for line in lines if line.startswith("ownernode_spec_findings{")]
        return sum(float(line.rpartition(" ")[2]) for line in found)

    def moves(self, vm: str) -> list[dict[str, Any]]:
        """Every move of ours that the journal has of the VM, oldest first."""
        with urllib.request.urlopen(f"{self.url}/api/v1/history/{vm}", timeout=10) as answer:
            entries = json.load(answer)["history"]
        return [entry for entry in entries if entry["what"] == "Move"]


class Folder(Source):
    """Files, written beside and renamed."""

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self.folder = place / "specs"
        self.folder.mkdir()

    @contextmanager
    def _controller(self, cluster: dict[str, Any]) -> Iterator[None]:
        config = self.place / "config.yaml"
        own = {**cluster["spec"]}
        del own["allowedNamespaces"]
        config.write_text(yaml.safe_dump({**cluster, "spec": own}))
        command = [sys.executable, "-m", "controller", "run", "--config", str(config)]
        command += ["--specs", self.address(), "--state", str(self.place / "state")]
        command += ["--listen", self.url.removeprefix("http://")]
        with (self.place / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        try:
            yield
        finally:
            end_process(process)

    def address(self) -> str:
        """As `--specs` takes it."""
        return str(self.folder)

    def put(self, vm: str, *preferred: str, template: dict[str, Any] | None = None) -> None:
        fresh = self.folder / f"{vm}.new"
        fresh.write_text(file_of(vm, preferred, template))
        os.replace(fresh, self.folder / f"{vm.lower()}.yaml")

    def remove(self, vm: str) -> None:
        (self.folder / f"{vm.lower()}.yaml").unlink()

    def complaint(self, vm: str) -> str:
        """In the terminal: `ownernode status`."""
        command = [sys.executable, "-m", "controller", "status", "--url", self.url]
        said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
        return said if f"{vm.lower()}.yaml:" in said else ""


class Commits(Folder):
    """A commit each; the forge hears what became of it."""

    def __init__(self, place: Path, api: Api) -> None:
        super().__init__(place)
        self.api = api
        self.repository = Repository(place / "team")
        (place / "token").write_text("a token of the forge")

    def address(self) -> str:
        status = f"{self.api.url}/repos/corp/team/statuses"
        return (
            f"{self.repository.address}?interval=1s&status={status}&status-token={self.place}/token"
        )

    def put(self, vm: str, *preferred: str, template: dict[str, Any] | None = None) -> None:
        self.repository.commit({f"{vm.lower()}.yaml": file_of(vm, preferred, template)})

    def remove(self, vm: str) -> None:
        self.repository.commit({f"{vm.lower()}.yaml": None})

    def complaint(self, vm: str) -> str:
        """In the log, and at the commit as a failed status."""
        commit = self.repository.head()
        told = any(
            path.endswith(commit) and body["state"] == "failure"
            for path, _, body in list(self.api.asked.queue)
        )
        said = (self.place / "log").read_text()
        return said if told and f"main@sha1:{commit[:12]} is not taken" in said else ""


class Objects(Source):
    """Custom resources of team-a, applied with kubectl."""

    def __init__(self, place: Path, server: ApiServer) -> None:
        super().__init__(place)
        self.server = server
        team(server, "team-a")

    @contextmanager
    def _controller(self, cluster: dict[str, Any]) -> Iterator[None]:
        listen = ("--listen", self.url.removeprefix("http://"))
        with replica(self.server, self.place / "a", arguments=listen):
            self.server.apply(cluster)
            yield

    def put(self, vm: str, *preferred: str, template: dict[str, Any] | None = None) -> None:
        document = placement(vm.lower(), vm, *preferred)
        if template is not None:
            document["spec"]["template"] = template
        self.server.apply(document)

    def remove(self, vm: str) -> None:
        self.server.kubectl("delete", f"vmp/{vm.lower()}", "-n", "team-a")

    def complaint(self, vm: str) -> str:
        """In the object's conditions, and as a Warning among its Events."""
        stalled = condition(self.server.get("vmp", vm.lower(), "team-a"), "Stalled")
        if stalled.get("reason") != "SpecRefused":
            return ""
        told = {(e["reason"], e["type"]) for e in self.events(vm)}
        return str(stalled["message"]) if ("SpecRefused", "Warning") in told else ""

    def events(self, vm: str) -> list[dict[str, Any]]:
        """What `kubectl describe` shows of a placement."""
        found = self.server.kubectl("get", "events.events.k8s.io", "-n", "team-a", "-o", "json")
        items: list[dict[str, Any]] = json.loads(found.stdout)["items"]
        return [item for item in items if item["regarding"]["name"] == vm.lower()]


def file_of(vm: str, preferred: tuple[str, ...], template: dict[str, Any] | None) -> str:
    """A placement as a file."""
    document = placement(vm.lower(), vm, *preferred)
    del document["metadata"]["namespace"]
    if template is not None:
        document["spec"]["template"] = template
    return yaml.safe_dump(document)
