"""A process that was asked to end is gone in ten seconds, whatever still runs in it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
END_SECONDS = 10.0
# A thread of the loop's own pool: asyncio.run waits for it at the end, for ever.
STUCK = """
import asyncio, threading
from controller.cli.process import run_until_stopped

async def work():
    asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)
    print("ready", flush=True)
    await asyncio.Event().wait()

raise SystemExit(run_until_stopped(work(), when_stopped=3))
"""


@pytest.mark.timeout(60)
def test_a_thread_that_never_returns_does_not_hold_up_the_end() -> None:
    """After a first signal the process ends by force, with the status of an orderly end."""
    with _stuck() as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=END_SECONDS) == 3


@pytest.mark.timeout(60)
def test_who_insists_is_obeyed_at_once() -> None:
    """A second signal ends it as a shell's Ctrl-C does."""
    with _stuck() as process:
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1.0)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=2.0) == 130


def _stuck() -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", STUCK], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process
