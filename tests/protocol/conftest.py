"""Nodes to talk to: served on loopback, called by their full names."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from winrm_node import (
    ADDRESS,
    FULL_NAME,
    NODE,
    OTHER_PASSWORD,
    OTHER_USER,
    PASSWORD,
    USER,
    LoopThread,
    Node,
    Programs,
    Serve,
)

from controller.simulator.processes import ProcessHost
from controller.simulator.winrm_server.authentication import Account, Accounts
from controller.simulator.winrm_server.certificates import CertificateAuthority
from controller.simulator.winrm_server.server import NodeServer, Security, bind_listeners
from controller.simulator.winrm_server.settings import WinRMSettings


@pytest.fixture(scope="session")
def loop() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.close()


@pytest.fixture(scope="session")
def site_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="session")
def authority(site_directory: Path) -> CertificateAuthority:
    return CertificateAuthority(site_directory)


@pytest.fixture(scope="session")
def security(site_directory: Path, authority: CertificateAuthority) -> Security:
    accounts = (
        Account(user=USER, password=PASSWORD),
        Account(user=OTHER_USER, password=OTHER_PASSWORD),
    )
    return Security(accounts=Accounts(accounts, site_directory), ca_file=authority.ca_file)


@pytest.fixture
def serve(
    loop: LoopThread,
    security: Security,
    authority: CertificateAuthority,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Serve]:
    """Serves nodes; `certified_for` is the name on the certificate where it is not the node's."""
    servers: list[NodeServer] = []

    def start(
        host: ProcessHost | None = None, *, certified_for: str = FULL_NAME, **settings: Any
    ) -> Node:
        winrm = WinRMSettings(**settings)
        server = NodeServer(
            NODE,
            bind_listeners([ADDRESS], 0)[0],
            host or Programs(),
            security,
            settings=winrm,
            certificate=authority.issue_for_node(certified_for) if winrm.https else None,
        )
        servers.append(server)
        loop.run(server.start())
        return Node(loop, server, authority)

    resolve = socket.getaddrinfo

    def resolve_node(host: Any, *rest: Any, **more: Any) -> Any:
        return resolve(ADDRESS if host == FULL_NAME else host, *rest, **more)

    # What a line in the hosts file would do: the node is called by its name, as its certificate is.
    monkeypatch.setattr(socket, "getaddrinfo", resolve_node)
    yield start
    for server in servers:
        loop.run(server.close())


@pytest.fixture(scope="session")
def protocol_schema() -> Any:
    page = Path(__file__).parents[2] / "docs" / "protocol.schema.json"
    return json.loads(page.read_text(encoding="utf-8"))
