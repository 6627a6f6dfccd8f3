"""Simulated clusters and replicas of the controller, as processes, for the tests of this folder."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.kube.api_server import CONTROLLER, NAMESPACE, ROOT, ApiServer, end_process

WORLD = """
cluster: {name: west, domain: west.example, migrationsParallelMax: 1}
timing: {bandwidthBytesPerSecond: 8.0e+9}
nodes:
  - {name: HV01, memory: 64Gi, reserve: 2Gi}
  - {name: HV02, memory: 64Gi, reserve: 2Gi}
  - {name: HV03, memory: 64Gi, reserve: 2Gi}
volumes:
  - {name: Volume1, size: 8Ti}
vms:
  - {name: SQL01, node: HV01, memory: 4Gi}
  - {name: WEB01, node: HV01, memory: 2Gi}
  - {name: WEB02, node: HV02, memory: 2Gi}
"""
LIMITS = {
    "mode": "Enforce",
    "interval": "1s",
    "brakes": {"cooldown": "1s"},
    "foreignMoves": {"respect": "1s"},
    "timing": {"settle": "2s", "nodeStable": "2s", "failurePause": "10s"},
    "allowedNamespaces": ["team-a"],
}
LEASE = "3/2/0.5"


@contextmanager
def simulated(folder: Path, world: str = WORLD) -> Iterator[dict[str, Any]]:
    """A simulated cluster behind WinRM; gives a FailoverCluster document that reaches it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "world.yaml").write_text(world)
    command = [sys.executable, "-m", "controller", "simulate", "--config"]
    command += [str(folder / "world.yaml"), "--dir", str(folder / "site")]
    with (folder / "simulator.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log)
    try:
        assert process.stdout is not None
        assert process.stdout.readline(), (folder / "simulator.log").read_text()
        document: dict[str, Any] = yaml.safe_load((folder / "site/config.yaml").read_text())
        document["metadata"]["name"] = "west"
        document["spec"] |= LIMITS
        yield document
    finally:
        end_process(process)


@contextmanager
def replica(
    server: ApiServer,
    folder: Path,
    *,
    port: int | None = None,
    lease: str = LEASE,
    arguments: tuple[str, ...] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """One replica of the controller, with a state folder of its own; its log is `log` there."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "controller", "run", "--kubernetes", "--listen", "127.0.0.1:0"]
    command += ["--state", str(folder / "state"), "--lease-seconds", lease, *arguments]
    environment = {
        **os.environ,
        "KUBECONFIG": str(server.kubeconfig(CONTROLLER, port=port)),
        "HOSTNAME": folder.name,
    }
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        end_process(process)


def by_secret(cluster: dict[str, Any], world: Path) -> dict[str, Any]:
    """Let the cluster's document name a Secret for the account of the simulated world; give it."""
    account = (world / "site/account").read_text()
    cluster["spec"]["connection"]["credentials"] = {"secretRef": {"name": "hv"}}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "hv", "namespace": NAMESPACE},
        "stringData": dict(line.split("=", 1) for line in account.splitlines()),
    }


def team(server: ApiServer, name: str) -> None:
    """A namespace."""
    server.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


def placement(name: str, vm: str, *preferred: str, namespace: str = "team-a") -> dict[str, Any]:
    """A VirtualMachinePlacement."""
    return {
        "apiVersion": "ownernode.io/v1alpha1",
        "kind": "VirtualMachinePlacement",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"cluster": "west", "vm": {"name": vm}, "owners": {"preferred": list(preferred)}},
    }


def holder(server: ApiServer) -> str:
    """The replica that the Lease names."""
    found = server.kubectl(
        "get", "lease", "ownernode", "-n", NAMESPACE, "-o", "json", "--ignore-not-found"
    )
    spec: dict[str, Any] = json.loads(found.stdout or "{}").get("spec", {})
    return str(spec.get("holderIdentity") or "").partition("_")[0]


def condition(item: dict[str, Any], kind: str) -> dict[str, Any]:
    """One condition of an object; empty where it has none of that type."""
    found = item.get("status", {}).get("conditions", [])
    return next((c for c in found if c["type"] == kind), {})


def until(fits: Callable[[], Any], what: str, seconds: float = 40) -> Any:
    """Ask again and again; give what fits."""
    give_up = time.monotonic() + seconds
    while True:
        found = fits()
        if found:
            return found
        assert time.monotonic() < give_up, f"not within {seconds} s: {what}"
        time.sleep(0.2)
