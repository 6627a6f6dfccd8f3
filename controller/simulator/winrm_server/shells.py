"""Shells and the commands in them: who owns them, how many there may be, and how they end.

A shell belongs to a user, not to a connection: whoever logs on as the same user may read from it,
or kill it. WinRS gives the slot of a command back only with its shell, so that an old shell runs
into MaxConcurrentOperationsPerUser (WinRb issue 197).
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from controller.model.names import same_name
from controller.simulator.processes import (
    CommandNotFound,
    EndedProcess,
    Output,
    Process,
    ProcessHost,
    RemotingPool,
)
from controller.simulator.winrm_server import faults
from controller.simulator.winrm_server.soap import CMD, new_id

COMMAND_LINE_CHARACTERS_MAX = 8191
"""What cmd.exe takes (Microsoft docs, "Command prompt line string limitation")."""

PIPE_BYTES_MAX = 1024 * 1024
"""Output that waits for a Receive before the process is made to wait."""

NOT_RECOGNIZED = (
    "'{}' is not recognized as an internal or external command,\r\n"
    "operable program or batch file.\r\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Output of one stream, in the order in which the process wrote."""

    stream: str
    data: bytes


class Command:
    """One process in a shell, with the output that nobody has received yet."""

    def __init__(
        self, process: Process, *, element_bytes: int, command_id: str | None = None
    ) -> None:
        self.id = new_id() if command_id is None else command_id
        self.exit_code: int | None = None
        self._process = process
        self._element_bytes = element_bytes
        self._chunks: deque[Chunk] = deque()
        self._waiting_bytes = 0
        self._changed = asyncio.Event()
        self._drained = asyncio.Event()
        self._writing = asyncio.Lock()
        self._writes: set[asyncio.Task[None]] = set()
        self._killed = False
        self._pump = asyncio.create_task(self._read(), name=f"output of command {self.id}")

    async def send(self, data: bytes, *, end: bool) -> None:
        """Write to standard input; fault 232 if nobody reads it any more.

        A caller that gives up waiting takes nothing back: the bytes go on their way.
        """
        write = asyncio.create_task(self._write(data, end=end), name=f"input of {self.id}")
        self._writes.add(write)
        write.add_done_callback(self._writes.discard)
        await asyncio.shield(write)

    async def receive(self, bytes_max: int) -> tuple[list[Chunk], bool]:
        """Wait for output or the end; returns what fits, and whether the process has ended.

        `bytes_max` is the room in the answer, elements and their tags as base64. Raises fault 995
        if the command is killed while waiting.
        """
        while not self._chunks and self.exit_code is None:
            if self._killed:
                raise faults.aborted()
            if self._pump.done():
                self._pump.result()
            self._changed.clear()
            await self._changed.wait()
        taken = self._take(bytes_max)
        return taken, self.exit_code is not None and not self._chunks

    async def kill(self) -> None:
        """End the process; a Receive that waits is told."""
        self._killed = True
        for task in (self._pump, *self._writes):
            task.cancel()
        await self._process.kill()
        self._changed.set()

    def _take(self, bytes_max: int) -> list[Chunk]:
        taken: list[Chunk] = []
        while self._chunks:
            chunk = self._chunks[0]
            room = (bytes_max - 160) // 4 * 3
            if len(chunk.data) > room:
                if taken or room <= 0:
                    break
                self._chunks[0] = Chunk(stream=chunk.stream, data=chunk.data[room:])
                taken.append(Chunk(stream=chunk.stream, data=chunk.data[:room]))
                break
            taken.append(self._chunks.popleft())
            bytes_max -= 160 + (len(chunk.data) + 2) // 3 * 4
        self._waiting_bytes -= sum(len(chunk.data) for chunk in taken)
        self._drained.set()
        return taken

    async def _write(self, data: bytes, *, end: bool) -> None:
        try:
            async with self._writing:
                await self._process.write(data, end=end)
        except BrokenPipeError as problem:
            raise faults.from_shell_plugin(232) from problem

    async def _read(self) -> None:
        try:
            while self.exit_code is None:
                output = await self._process.read()
                self._keep("stdout", output.stdout)
                self._keep("stderr", output.stderr)
                self.exit_code = output.exit_code
                self._changed.set()
                while self._waiting_bytes > PIPE_BYTES_MAX:
                    self._drained.clear()
                    await self._drained.wait()
        finally:
            self._changed.set()

    def _keep(self, stream: str, data: bytes) -> None:
        for start in range(0, len(data), self._element_bytes):
            piece = data[start : start + self._element_bytes]
            self._chunks.append(Chunk(stream=stream, data=piece))
            self._waiting_bytes += len(piece)


class Shell:
    """A shell of one user, which dies when nobody has used it for its idle time."""

    def __init__(
        self,
        *,
        user: str,
        environment: Mapping[str, str],
        idle_seconds: float,
        streams: str,
        resource_uri: str = CMD,
        shell_id: str | None = None,
    ) -> None:
        self.id = shell_id or new_id()
        self.resource_uri = resource_uri
        self.user = user
        self.environment = environment
        self.idle_seconds = idle_seconds
        self.output_streams = streams
        self.operations = 0
        self.commands: dict[str, Command] = {}
        self.pool: RemotingPool | None = None
        """Where PowerShell is behind the shell; its own messages are of the command without id."""

    def command(self, command_id: str) -> Command:
        try:
            return self.commands[command_id.upper()]
        except KeyError:
            raise faults.command_unknown() from None


class ShellTable:
    """All shells of one node."""

    def __init__(
        self,
        node: str,
        host: ProcessHost,
        *,
        shells_per_user_max: int,
        operations_per_user_max: int,
        element_bytes: int,
    ) -> None:
        self._node = node
        self._host = host
        self._shells_per_user_max = shells_per_user_max
        self._operations_per_user_max = operations_per_user_max
        self._element_bytes = element_bytes
        self._shells: dict[str, Shell] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._dying: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._shells)

    def add(self, shell: Shell) -> None:
        """Take in a new shell; fault 2150859173 if its user has too many."""
        if len(self._of(shell.user)) >= self._shells_per_user_max:
            raise faults.too_many_shells(self._shells_per_user_max)
        self._shells[shell.id] = shell
        self._keep_alive(shell)

    def find(self, shell_id: str | None, user: str) -> Shell:
        """The shell of this id, kept alive by being asked for."""
        shell = self._shells.get((shell_id or "").upper())
        if shell is None:
            raise faults.shell_unknown(shell_id or "")
        if not same_name(shell.user, user):
            raise faults.access_denied()
        self._keep_alive(shell)
        return shell

    async def start(self, shell: Shell, line: tuple[str, ...], *, skip_cmd_shell: bool) -> Command:
        """Start a command, through cmd.exe or directly.

        What cmd.exe itself refuses is no fault: it complains on stderr and ends with code 1.
        """
        if sum(s.operations for s in self._of(shell.user)) >= self._operations_per_user_max:
            raise faults.too_many_operations(self._operations_per_user_max)
        shell.operations += 1
        process = await self._start(shell, line, skip_cmd_shell=skip_cmd_shell)
        if shell.id not in self._shells:
            await process.kill()
            raise faults.aborted()
        command = Command(process, element_bytes=self._element_bytes)
        shell.commands[command.id] = command
        return command

    def adopt(self, shell: Shell, process: Process, command_id: str) -> Command:
        """Count what a shell's plugin runs itself as a command of the shell's."""
        command = Command(process, element_bytes=self._element_bytes, command_id=command_id)
        shell.commands[command.id] = command
        return command

    async def remove(self, shell: Shell) -> None:
        """End a shell and all that runs in it, to the end even if the caller is interrupted."""
        await asyncio.shield(self._end(shell))

    async def remove_all(self) -> None:
        for shell in list(self._shells.values()):
            self._end(shell)
        await asyncio.gather(*self._dying)

    async def _start(self, shell: Shell, line: tuple[str, ...], *, skip_cmd_shell: bool) -> Process:
        if not skip_cmd_shell and len(" ".join(line)) > COMMAND_LINE_CHARACTERS_MAX:
            return _complaint("The command line is too long.\r\n")
        try:
            return await self._host.start(self._node, line[0], line[1:], shell.environment)
        except CommandNotFound as problem:
            if skip_cmd_shell:
                raise faults.from_shell_plugin(2147942402) from problem
            return _complaint(NOT_RECOGNIZED.format(line[0].split(" ")[0]))

    def _of(self, user: str) -> list[Shell]:
        return [shell for shell in self._shells.values() if same_name(shell.user, user)]

    def _keep_alive(self, shell: Shell) -> None:
        if timer := self._timers.get(shell.id):
            timer.cancel()
        loop = asyncio.get_running_loop()
        self._timers[shell.id] = loop.call_later(shell.idle_seconds, self._end, shell)

    def _end(self, shell: Shell) -> asyncio.Task[None]:
        """Forget a shell at once; the task ends with the last of its processes."""
        self._shells.pop(shell.id, None)
        if timer := self._timers.pop(shell.id, None):
            timer.cancel()
        task = asyncio.create_task(_kill(shell), name=f"end of shell {shell.id}")
        self._dying.add(task)
        task.add_done_callback(self._dying.discard)
        return task


async def _kill(shell: Shell) -> None:
    for command in tuple(shell.commands.values()):
        await command.kill()


def _complaint(text: str) -> EndedProcess:
    return EndedProcess(Output(stderr=text.encode()), exit_code=1)
