"""git over HTTPS as companies have it: a private authority, a log-on, a proxy, and no luck."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from controller.adapters.specs.git.address import Address, parse_address
from controller.adapters.specs.git.program import Limits
from controller.adapters.specs.git.source import GitSource
from controller.ports import SpecReading
from tests.support.git_server import PASSWORD, USER, GitServer, Proxy
from tests.support.repository import Repository
from tests.unit.specs.writing import small

Look = Callable[..., SpecReading]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "srv" / "placements")
    made.commit({"prod/vm0.yaml": small("vm0")})
    return made


@pytest.fixture
def server(repository: Repository, tmp_path: Path) -> Iterator[GitServer]:
    (tmp_path / "tls").mkdir()
    with GitServer(tmp_path / "srv", tmp_path / "tls").serving() as serving:
        yield serving


@pytest.fixture
def account(tmp_path: Path) -> Path:
    path = tmp_path / "account"
    path.write_text(f"username={USER}\npassword={PASSWORD}\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def look(server: GitServer, tmp_path: Path) -> Look:
    """Read once with these options of the address."""

    def read(*options: str, path: str = "/placements") -> SpecReading:
        address = f"git+{server.url}{path}?" + "&".join(options)
        source = GitSource(parse_address(address), tmp_path / "state")
        return source.read_now()

    return read


def why(reading: SpecReading) -> str:
    assert reading.documents == ()
    assert reading.state is not None
    return reading.state.why


def test_a_private_authority_and_a_log_on_from_a_file(
    look: Look, server: GitServer, repository: Repository, account: Path, tmp_path: Path
) -> None:
    """And a token that was changed in the file is taken up at the next fetch."""
    options = (f"ca={server.ca}", f"credentials={account}")
    reading = look(*options)
    assert reading.revision == f"main@sha1:{repository.head()}", reading.findings
    account.write_text(f"username={USER}\npassword=old\n")
    state = look(*options).state
    assert state is not None
    assert "refuses the log-on" in state.why
    assert PASSWORD not in "".join(p.read_text() for p in tmp_path.glob("state/*/*.json"))


def test_without_the_authority_nothing_is_sent(
    look: Look, server: GitServer, account: Path
) -> None:
    """The certificate comes first, and the log-on is not told to a stranger."""
    assert "is not trusted; give the authority's file" in why(look(f"credentials={account}"))
    assert server.log_ons == []


def test_without_a_log_on_nobody_is_asked(look: Look, server: GitServer) -> None:
    """No terminal, no askpass, no helper of the machine."""
    assert "refuses the log-on" in why(look(f"ca={server.ca}"))


def test_a_redirection_is_not_followed(look: Look, server: GitServer, account: Path) -> None:
    """Else whoever answers for one host could have the log-on sent to another."""
    server.redirect = "https://127.0.0.1:9"
    assert "sends elsewhere" in why(look(f"ca={server.ca}", f"credentials={account}"))


def test_a_repository_that_is_not_there(look: Look, server: GitServer, account: Path) -> None:
    """Named by its URL."""
    options = (f"ca={server.ca}", f"credentials={account}")
    assert "there is no repository at" in why(look(*options, path="/other"))


def test_a_proxy_is_used_and_never_sees_the_log_on(
    look: Look, server: GitServer, repository: Repository, account: Path
) -> None:
    """TLS goes through it to the server."""
    with Proxy().serving() as proxy:
        options = (f"ca={server.ca}", f"credentials={account}", f"proxy={proxy.url}")
        assert look(*options).revision == f"main@sha1:{repository.head()}"
        assert proxy.heads
        assert not any(b"uthorization" in head for head in proxy.heads)


def test_a_server_that_is_away(look: Look, server: GitServer, account: Path) -> None:
    """A refused connection is said as one."""
    source = GitSource(
        parse_address("git+https://127.0.0.1:9/placements"), account.parent / "other"
    )
    assert "can't be reached" in why(source.read_now())


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def address_of(server: socket.socket) -> Address:
    return parse_address(f"git+https://127.0.0.1:{server.getsockname()[1]}/placements")


def test_a_silent_server_is_left_when_the_time_is_over(
    silent: socket.socket, tmp_path: Path
) -> None:
    """git and all that it started is ended, and that is what is said."""
    source = GitSource(address_of(silent), tmp_path, limits=Limits(fetch_seconds=0.5))
    assert "it took longer than allowed" in why(source.read_now())


def test_a_silent_server_does_not_hold_up_the_end(silent: socket.socket, tmp_path: Path) -> None:
    """Closing ends a fetch that runs, and none begins after it."""
    source = GitSource(address_of(silent), tmp_path)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(source.read_now)
        connection, _ = silent.accept()  # now git waits for its answer
        source.close()
        assert reading.result(timeout=20).documents == ()
        connection.close()
    assert source.read_now().documents == ()
