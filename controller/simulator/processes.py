"""What the WinRM server may expect of the processes behind it.

A process is seen as winrshost sees it: a pipe in, two pipes out, an exit code. Whether a Python
coroutine or a real program is at the other end is the host's affair.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One write of a process, or its end: with `exit_code` set nothing follows."""

    stdout: bytes = b""
    stderr: bytes = b""
    exit_code: int | None = None


class CommandNotFound(Exception):
    """The node has no such program. Whoever started it decides what that looks like."""


class Process(Protocol):
    """One running process; reads are made one at a time, writes in order."""

    async def write(self, data: bytes, *, end: bool) -> None:
        """Put bytes on standard input; `end` closes it. BrokenPipeError once nobody reads it."""

    async def read(self) -> Output:
        """Wait for the next chunk of output; not called again after an exit code."""

    async def kill(self) -> None:
        """End the process at once; without effect on one that has ended."""


class ProcessHost(Protocol):
    """Starts processes on simulated nodes."""

    async def start(
        self,
        node: str,
        command: str,
        arguments: tuple[str, ...],
        environment: Mapping[str, str],
    ) -> Process:
        """Start a command; raises CommandNotFound.

        `node` is the cluster's name of the node; `arguments` are as they came, unsplit.
        """


class RemotingPool(Protocol):
    """A runspace pool of PowerShell remoting: its own messages, and pipelines, each a process."""

    @property
    def stream(self) -> Process:
        """The pool's own messages."""

    def pipeline(self, pipeline_id: str) -> Process:
        """A new pipeline; ValueError if that is no id."""


Endpoints = Mapping[str, Callable[[str], RemotingPool]]
"""Session configurations by name: each makes a pool on a node."""


class EndedProcess:
    """A process that had said everything it had to say when it was started."""

    def __init__(self, *outputs: Output, exit_code: int = 0) -> None:
        self._left = [*outputs, Output(exit_code=exit_code)]

    async def write(self, data: bytes, *, end: bool) -> None:
        raise BrokenPipeError("the process has ended")

    async def read(self) -> Output:
        return self._left.pop(0)

    async def kill(self) -> None:
        del self._left[:-1]
