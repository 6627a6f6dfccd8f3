"""What several modules share: two realms, and the table of ways to log on."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.winrm import kerberos
from tests.contract.logon_table import ROW, USERS, lines
from tests.support.kdc import CannotHave, Kdc, kdc

NODES_MAX = 64


@pytest.fixture(scope="session")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kdc]:
    """A KDC that knows our account and the nodes."""
    yield from _served(tmp_path_factory.mktemp("kdc"), None)


@pytest.fixture(scope="session")
def late_centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kdc]:
    """Another one, whose clock is two days late."""
    yield from _served(tmp_path_factory.mktemp("late"), "-2d")


def _served(folder: Path, date: str | None) -> Iterator[Kdc]:
    """A KDC with everybody in it, or a skip that says why not."""
    if kerberos.krb5 is None:
        pytest.skip("ownernode[kerberos] could not be built here")
    try:
        with kdc(folder, date=date) as centre:
            user, password = USERS["Kerberos"]
            centre.add(user, password=password)
            nodes = [f"HTTP/hv{number:02}.corp.example" for number in range(1, NODES_MAX + 1)]
            centre.keytab("nodes.keytab", nodes)
            yield centre
    except CannotHave as reason:
        pytest.skip(str(reason))


@pytest.fixture
def in_realm(centre: Kdc, monkeypatch: pytest.MonkeyPatch) -> Kdc:
    """This process, joined to the realm."""
    monkeypatch.setenv("KRB5_CONFIG", str(centre.config))
    return centre


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table of ways to log on, whichever worker played which cell."""
    cells: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == ROW:
                way, case, outcome = value
                cells[tuple(way)][case] = outcome
    if cells:
        terminalreporter.section("every way to log on, and what comes of it")
        for line in lines(cells):
            terminalreporter.write_line(line)
