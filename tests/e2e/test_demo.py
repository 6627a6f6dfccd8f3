"""`make demo` as a stranger meets it: the real command, real WinRM on loopback, real time."""

import os
import pty
import re
import signal
import subprocess
import sys
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEMO = [sys.executable, "-m", "controller", "demo"]


def at(output: str, words: str) -> datetime:
    """When the first line with these words was said."""
    found = re.search(rf"^(\d\d:\d\d:\d\d) .*{re.escape(words)}", output, re.MULTILINE)
    assert found is not None, f"nobody said {words!r} in:\n{output}"
    return datetime.strptime(found[1], "%H:%M:%S")


@pytest.mark.timeout(300)
def test_the_demo_tells_its_whole_story_and_ends_converged() -> None:
    """Three misplaced VMs, a swap through a hop, each move in its three stages, registration,
    creation with a warning, an impossible wish, a failed preflight, and an administrator who is
    respected for 20 seconds and then undone. No line is said twice in a row.
    """
    done = subprocess.run(
        [*DEMO, "--once"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=280
    )
    said = done.stderr
    assert done.returncode == 0, said
    for move in (
        "Ordered to move BUILD01 from HV04 to HV03",
        "Ordered to move MON01 from HV03 to HV04",
        "Ordered to move LOG01 from HV04 to HV03",
        "Ordered to move SQL02 from HV02 to HV01",
        "Ordered to make PRINT01 highly available on HV04",
        "Ordered to make LEGACY01 highly available on HV04",
        "Ordered to create DEPLOY01 on HV04",
        "Ordered to start DEPLOY01 on HV04",
        r"High availability of DEPLOY01: warning, media C:\ISO\ws2025.iso; eject it",
        "DWH01 is on HV04 and can't be where it should; preflight fails: 60 GiB is more",
        "BUILD02 is on HV04 and can't be where it should; preflight fails: HV03 has no virtual",
        "SQL02: HV02 → HV01, stage 1 of 3, preflight and set-up",
        "SQL02: HV02 → HV01, stage 2 of 3, memory is copied: ",
        "SQL02: HV02 → HV01, stage 3 of 3, switch-over",
        "The move of SQL02 from HV02 to HV01 is done; its guest stood still for 0.4 s, as the node",
    ):
        at(said, move)
    assert len(re.findall(r"Ordered to move SQL0[12] ", said)) == 3
    assert not re.search("Ordered to move (DWH01|BUILD02)", said)
    assert not re.search("LAB0[123]", said), "a VM that no spec names was spoken of"
    lines = [line[9:] for line in said.splitlines()]
    assert [line for line, next_line in pairwise(lines) if line == next_line] == []
    noticed = at(said, "FILE01 was moved from HV03 to HV04 by somebody else")
    undone = at(said, "Ordered to move FILE01 from HV04 to HV03")
    assert 19 <= (undone - noticed).seconds <= 40
    assert at(said, "The cluster is as declared again.") > undone


@pytest.mark.timeout(60)
def test_ctrl_c_ends_the_demo_cleanly_on_a_terminal() -> None:
    """On a terminal it stays up until Ctrl-C, then it is gone within seconds, with its files."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    with subprocess.Popen(
        DEMO, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        screen = ""
        while "cycle 2" not in screen:
            screen += os.read(ours, 4096).decode(errors="replace")
        place = re.search(r"specs (/\S+)/specs", screen)
        process.send_signal(signal.SIGINT)
        while True:
            try:
                if not os.read(ours, 4096):
                    break
            except OSError:  # Linux' way to say that the other end of a terminal is closed
                break
        assert process.wait(timeout=10) == 0
    os.close(ours)
    assert place is not None
    assert not Path(place[1]).exists()
