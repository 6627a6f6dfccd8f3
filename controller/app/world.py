"""A simulated cluster on the network, and the files that a client needs to reach it."""

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from controller.adapters.specs.once import bytes_of
from controller.errors import SpecError
from controller.model.spec import API_VERSION
from controller.model.transcript import TRANSCRIPT, read_transcript
from controller.simulator.config import load_world
from controller.simulator.replay import ReplayedSite
from controller.simulator.serve import SimulatedSite

SIMULATOR_USER = "demo"
SEEDS = 2
"""Nodes that a simulated cluster's configuration names; the others are to be discovered."""


@asynccontextmanager
async def serve_world(
    world_file: Path,
    directory: Path,
    *,
    declared: Path | None = None,
    port: int = 0,
    speed: float = 1.0,
) -> AsyncIterator[SimulatedSite]:
    """Serve a world.yaml, or what `record` wrote, behind WinRM.

    Written into `directory` is what a client needs: `account` (user name and password), `ca.pem`
    (the authority that signed the nodes' certificates) and `config.yaml`, a FailoverCluster
    document: that of `declared` with its connection filled in, or one in mode Observe.
    Raises SpecError for a world that can't be read or served.
    """
    password = secrets.token_urlsafe(18)
    options = {"user": SIMULATOR_USER, "password": password, "port": port, "speed": speed}
    site = _site_of(world_file, options)
    account = _write_account(directory, password)
    async with site:
        ca_file = directory / "ca.pem"
        ca_file.write_bytes(site.ca_file.read_bytes())
        document = (
            yaml.safe_load(bytes_of(declared)) if declared else _observing(site.world.cluster.name)
        )
        document["spec"]["connection"] = _connection_to(site, account, ca_file)
        config = yaml.safe_dump(document, sort_keys=False)
        (directory / "config.yaml").write_text(config, encoding="utf-8")
        yield site


def _site_of(file: Path, options: Mapping[str, Any]) -> SimulatedSite:
    text = bytes_of(file).decode()
    if text.startswith("{") and f'"{TRANSCRIPT}"' in text[:200]:
        return ReplayedSite(read_transcript(text, str(file)), **options)
    try:
        return SimulatedSite(load_world(text, started=datetime.now(UTC)), **options)
    except ValidationError as error:
        faults = ("{}: {}".format(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors())
        raise SpecError("\n".join(f"{file}: {fault}" for fault in faults)) from None
    except ValueError as error:
        raise SpecError(f"{file}: {error}") from error


def _write_account(directory: Path, password: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    account = directory / "account"
    account.touch(mode=0o600)
    account.write_text(f"username={SIMULATOR_USER}\npassword={password}\n", encoding="utf-8")
    return account


def _observing(cluster: str) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "FailoverCluster",
        "metadata": {"name": cluster.lower()},
        "spec": {},
    }


def _connection_to(site: SimulatedSite, account: Path, ca_file: Path) -> dict[str, Any]:
    nodes = sorted(site.addresses)
    return {
        "nodes": nodes[:SEEDS],
        "addresses": {node.split(".")[0]: site.addresses[node] for node in nodes},
        "authentication": "NTLM",
        "credentials": {"file": str(account.resolve())},
        "tls": {"ca": str(ca_file.resolve())},
    }
