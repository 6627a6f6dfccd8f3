"""`make demo SCENARIO=bad-commit`: a canary and a brake, and the README's second terminal.

What the README shows is typed here, word for word, and must answer as it says there: only times
differ, and the folder of the run.
"""

import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEMO = [sys.executable, "-m", "controller", "demo", "--scenario", "bad-commit"]
STORY = (ROOT / "README.md").read_text().partition("## Hold it")[2].partition("mode: Suggest")[0]


@pytest.mark.timeout(200)
def test_without_a_person_the_bad_commit_moves_nothing_and_the_demo_ends() -> None:
    """The canary goes first, then two, then the rest; twelve VMs at once wait, and stay."""
    done = subprocess.run(
        [*DEMO, "--once"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=180
    )
    said = done.stderr
    assert done.returncode == 0, said
    ordered = re.findall(r"^(\S+) Ordered to move (SQL0\d) ", said, re.MULTILINE)
    widths = [len([vm for at, vm in ordered if at == moment]) for moment in _in_order(ordered)]
    assert widths == [1, 2, 1]
    assert not re.search(r"Ordered to move (APP|WEB)", said)
    assert re.search(r"ApprovalNeeded holds them all\. .*\n.*ownernode approve [0-9a-f]{16}", said)
    assert said.rstrip().endswith("VMs that the bad commit moved: 0.")


@pytest.mark.timeout(240)
def test_the_second_terminal_answers_as_the_readme_says() -> None:
    """Pause, approve, stop, resume, history: each command of the README's story, in its order."""
    with _on_a_terminal() as screen:
        place = screen.until(r"OWNERNODE_TOKEN_FILE=(/\S+)/state/token", "orders")
        url = screen.until(r"OWNERNODE_URL=(http://127\.0\.0\.1:\d+)", "url")
        screen.until(r"ApprovalNeeded holds them all", "the brake")
        terminal = {
            **os.environ,
            "OWNERNODE_URL": url,
            "OWNERNODE_TOKEN_FILE": f"{place}/state/token",
            "LOGNAME": "anna",
        }
        for command, answer in _typed(STORY):
            if not command.startswith("export "):
                _answers(command, answer, terminal)
        screen.until(r"VMs that the bad commit moved: 1[12]\.", "the end")


def _in_order(ordered: list[tuple[str, str]]) -> list[str]:
    return sorted({at for at, _ in ordered})


def _typed(story: str) -> Iterator[tuple[str, str]]:
    """Each command of the story's blocks, with what the README says that it answers."""
    for block in re.findall(r"^```\n(\$ .*?)^```", story, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, answer = part.partition("\n")
            yield command, answer


def _answers(command: str, answer: str, terminal: dict[str, str]) -> None:
    """What only looks is asked again until it shows what the README shows."""
    words = command.replace(".venv/bin/ownernode", f"{sys.executable} -m controller")
    deadline = time.monotonic() + 60
    while True:
        done = subprocess.run(
            words, shell=True, cwd=ROOT, env=terminal, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        said = _plain(done.stdout)
        if _plain(answer.removeprefix("...\n")) in said:
            return
        looks = " status" in command or " history" in command
        again = looks and time.monotonic() < deadline
        assert again, f"$ {command}\n{said}\n- README:\n{answer}"
        time.sleep(0.5)


def _plain(text: str) -> str:
    """Without what differs from run to run: times, how long a move took, and columns' widths."""
    text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d", "TIME", text)
    text = re.sub(r"\b\d+ s\b", "SECONDS", text)
    return "\n".join(re.sub(r" +", " ", line).rstrip() for line in text.splitlines())


class _Screen:
    """What a demo wrote to its terminal so far."""

    def __init__(self, end: int) -> None:
        self._end = end
        self._text = ""
        self._more = threading.Event()
        threading.Thread(target=self._read, name="screen", daemon=True).start()

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self._end, 65536)
            except OSError:  # Linux' way to say that the other end of a terminal is closed
                return
            self._text += piece.decode(errors="replace")
            self._more.set()

    def until(self, pattern: str, what: str) -> str:
        """The first group of the pattern, or all of it, once it has been on the screen."""
        deadline = time.monotonic() + 120
        while (found := re.search(pattern, self._text)) is None:
            assert time.monotonic() < deadline, f"{what} was never on the screen"
            self._more.wait(1.0)
            self._more.clear()
        return found[1] if found.re.groups else found[0]


@contextmanager
def _on_a_terminal() -> Iterator[_Screen]:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "200", "LINES": "60"}
    with subprocess.Popen(
        DEMO, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        try:
            yield _Screen(ours)
        finally:
            process.send_signal(signal.SIGINT)
            status = process.wait(timeout=15)
    assert status == 0
