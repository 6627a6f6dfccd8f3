"""How a process is told to run, and how it tells what happens."""

import json
import logging
from collections.abc import Iterator

import pytest

from controller.errors import SpecError
from controller.settings import Listen, LogForm, configure_logging, parse_listen


def test_listen_takes_names_and_addresses_of_both_families() -> None:
    """Host and port, IPv6 in brackets; the URL is what one types into a browser."""
    assert parse_listen("127.0.0.1:9464") == Listen(host="127.0.0.1", port=9464)
    assert parse_listen("[::1]:0").url == "http://[::1]:0"


@pytest.mark.parametrize("text", ["", "9464", ":9464", "localhost:", "localhost:http", "a:65536"])
def test_listen_refuses_what_is_not_host_and_port(text: str) -> None:
    """A typo is told with the form that was expected."""
    with pytest.raises(SpecError, match=r"expected host:port such as 127\.0\.0\.1:9464"):
        parse_listen(text)


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Handlers are the process's: give it back the ones that it had."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def logged(form: LogForm, capsys: pytest.CaptureFixture[str]) -> str:
    """One entry with values that could break a line."""
    configure_logging(form)
    extra = {"cluster": "demo", "events": ("SQL01 moved.", 'a "quote"\nand a break'), "cycle": 7}
    logging.getLogger("controller.test").info("The cluster changed", extra=extra)
    return capsys.readouterr().err


def test_a_text_entry_is_one_line_of_key_and_value(capsys: pytest.CaptureFixture[str]) -> None:
    """`grep` finds the entry, and a VM's name can't forge another one."""
    line = logged(LogForm.TEXT, capsys)
    assert line.count("\n") == 1
    assert "INFO The cluster changed cluster=demo events=" in line
    assert line.endswith(" cycle=7\n")


def test_a_json_entry_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    """Programs get the values with their types."""
    entry = json.loads(logged(LogForm.JSON, capsys))
    assert (entry["message"], entry["cluster"], entry["cycle"]) == (
        "The cluster changed", "demo", 7,
    )  # fmt: skip
    assert entry["events"][0] == "SQL01 moved."


def test_libraries_are_heard_only_when_they_warn(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody wants each connection of an HTTP library in the log."""
    configure_logging(LogForm.TEXT)
    logging.getLogger("urllib3").info("new connection")
    logging.getLogger("urllib3").warning("pool is full")
    assert "new connection" not in (said := capsys.readouterr().err)
    assert "pool is full" in said
