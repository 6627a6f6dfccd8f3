"""The guard against locking an account, by itself and against real threads."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from controller.adapters.winrm.credentials import CredentialSource
from controller.adapters.winrm.logons import WINDOW_SECONDS, LogonGate
from controller.errors import LogonRefused, Unreachable


class Hands:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "credentials"
    file.write_text("username=svc\npassword=one\n")
    return file


@pytest.fixture
def gate(file: Path, hands: Hands) -> LogonGate:
    return LogonGate(CredentialSource(file=str(file)), seconds=hands)


def log_on(gate: LogonGate, node: str, answer: bool | None) -> None:
    with gate.turn(node, deadline=gate._seconds() + 5) as turn:
        turn.accepted = answer


def test_third_try_is_not_made(gate: LogonGate) -> None:
    """Two refusals on any nodes, and no node is tried any more."""
    log_on(gate, "n1", False)
    log_on(gate, "n2", False)
    with pytest.raises(LogonRefused, match="30 minutes"):
        log_on(gate, "n3", True)
    assert gate.refusals_total == 2


def test_tries_are_allowed_again_after_half_an_hour(gate: LogonGate, hands: Hands) -> None:
    """The account's own observation window has passed by then."""
    log_on(gate, "n1", False)
    log_on(gate, "n2", False)
    hands.seconds += WINDOW_SECONDS
    log_on(gate, "n1", True)


def test_success_elsewhere_does_not_forgive_a_refusal(gate: LogonGate) -> None:
    """A node that refuses now and then would otherwise lock the account in small steps."""
    for answer, node in ((False, "n1"), (True, "n2"), (False, "n3")):
        log_on(gate, node, answer)
    with pytest.raises(LogonRefused):
        log_on(gate, "n2", True)


def test_node_that_refused_is_left_out_while_others_go_on(gate: LogonGate) -> None:
    """One misconfigured node costs one try, not the whole cluster's."""
    log_on(gate, "N1", False)
    with pytest.raises(LogonRefused):
        log_on(gate, "n1", True)
    log_on(gate, "n2", True)


def test_new_credentials_have_a_clean_record(gate: LogonGate, file: Path) -> None:
    """Whoever mends the file need not wait."""
    log_on(gate, "n1", False)
    log_on(gate, "n2", False)
    file.write_text("username=svc\npassword=two\n")
    log_on(gate, "n1", True)


def test_no_answer_counts_neither_way(gate: LogonGate) -> None:
    """A connection that was cut says nothing about the password."""
    for _ in range(10):
        log_on(gate, "n1", None)
    assert not gate.is_proven()
    log_on(gate, "n1", True)
    assert gate.is_proven()


@pytest.mark.parametrize("nodes", [4, 64])
def test_wrong_password_on_many_nodes_at_once_is_tried_twice(file: Path, nodes: int) -> None:
    """All threads start together; still only two of them ever ask a node."""
    gate = LogonGate(CredentialSource(file=str(file)))
    together = threading.Barrier(nodes)
    tried: list[str] = []

    def attempt(node: str) -> None:
        together.wait()
        with gate.turn(node, deadline=gate._seconds() + 30) as turn:
            tried.append(node)
            turn.accepted = False

    results = in_threads(nodes, attempt)
    assert len(tried) == 2
    assert results.count(LogonRefused) == nodes - 2


def test_first_log_on_goes_alone_and_later_ones_two_at_a_time(file: Path) -> None:
    """Never more log-ons are under way than may still go wrong."""
    gate = LogonGate(CredentialSource(file=str(file)))
    lock = threading.Lock()
    under_way, most, proven = 0, {False: 0, True: 0}, False

    def attempt(node: str) -> None:
        nonlocal under_way, proven
        with gate.turn(node, deadline=gate._seconds() + 30) as turn:
            with lock:
                under_way += 1
                most[proven] = max(most[proven], under_way)
            threading.Event().wait(0.002)
            with lock:
                under_way -= 1
                proven = True
            turn.accepted = True

    assert in_threads(40, attempt) == []
    assert most[False] == 1
    assert most[True] == 2


def test_turn_that_does_not_come_is_nothing_sent(file: Path) -> None:
    """A node that hangs in its log-on keeps the others waiting no longer than their own time."""
    gate = LogonGate(CredentialSource(file=str(file)))
    with (
        gate.turn("n1", deadline=gate._seconds() + 5),
        pytest.raises(Unreachable, match="no turn"),
        gate.turn("n2", deadline=gate._seconds() + 0.05),
    ):
        pass


def in_threads(count: int, work: Callable[[str], None]) -> list[type[BaseException]]:
    """Run in so many threads at once; the errors that came out."""
    with ThreadPoolExecutor(count) as threads:
        futures = [threads.submit(work, f"n{number}") for number in range(count)]
        errors = [future.exception() for future in futures]
    return [type(error) for error in errors if error is not None]
