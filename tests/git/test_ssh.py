"""git over a real sshd: a key from a file, a host that must be known, and nothing of the user's."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.adapters.specs.git.address import parse_address
from controller.adapters.specs.git.source import GitSource
from controller.ports import SpecReading
from tests.support.repository import Repository
from tests.support.ssh_server import SshServer, ssh_server
from tests.unit.specs.writing import small


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with ssh_server(tmp_path_factory.mktemp("keys")) as serving:
        repository = Repository(serving.folder / "placements")
        repository.commit({"prod/vm0.yaml": small("vm0")})
        serving.give(repository.folder)
        yield serving


def look(server: SshServer, state: Path, *, key: Path, known_hosts: Path) -> SpecReading:
    url = f"git+ssh://git@localhost:{server.port}{server.folder}/placements"
    address = parse_address(f"{url}?ssh-key={key}&known-hosts={known_hosts}")
    return GitSource(address, state).read_now()


def why(reading: SpecReading) -> str:
    assert reading.documents == ()
    assert reading.state is not None
    return reading.state.why


def test_a_key_and_a_known_host(server: SshServer, tmp_path: Path) -> None:
    """What is committed there comes into force."""
    reading = look(server, tmp_path, key=server.key, known_hosts=server.known_hosts)
    assert [document.name for document in reading.documents] == ["vm0"], reading.findings


def test_an_unknown_host_is_never_trusted(server: SshServer, tmp_path: Path) -> None:
    """Neither a host that is not listed nor one with another key."""
    empty, other = tmp_path / "empty", tmp_path / "other"
    empty.write_text("")
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "k"], check=True
    )
    other.write_text(f"[localhost]:{server.port} {(tmp_path / 'k.pub').read_text()}")
    for hosts in (empty, other):
        reading = look(server, tmp_path / "state", key=server.key, known_hosts=hosts)
        assert "the host key of localhost" in why(reading)
    assert empty.read_text() == ""


def test_a_key_that_is_not_accepted(server: SshServer, tmp_path: Path) -> None:
    """No other key of the machine is tried, nor a password asked for."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "k"], check=True
    )
    reading = look(server, tmp_path, key=tmp_path / "k", known_hosts=server.known_hosts)
    assert "refuses the ssh key" in why(reading)
