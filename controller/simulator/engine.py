"""Runs the node's real PowerShell scripts in a real PowerShell engine, on simulated nodes.

An engine is any program that takes powershell.exe's arguments: `pwsh`, or what the variable
OWNERNODE_POWERSHELL names. It sees the simulated cluster through stub modules.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PureWindowsPath

from controller.simulator.engine_bridge import EngineBridge, Run
from controller.simulator.processes import CommandNotFound, Output, Process

ENGINES_MAX = 4
"""An engine takes some 100 MB; larger fleets are answered by the simulator itself."""
_STUBS = Path(__file__).parent / "stubs"
_MODULES = ("Bridge", "FailoverClusters", "Hyper-V", "Windows")
# Put before the command that the client sent, so that every engine imports the stubs alike. A job
# starts as a copy of its agent's command line and so finds them too.
_IMPORT = (
    "foreach ($stub in $env:OWNERNODE_STUBS.Split([IO.Path]::PathSeparator)) "
    "{ Import-Module -Name $stub -Global -DisableNameChecking }\n"
)
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR")
_READ_BYTES = 64 * 1024


class TooManyEngines(Exception):
    """ENGINES_MAX engines are running."""


def find_engine() -> Path | None:
    """The engine that OWNERNODE_POWERSHELL names, else `pwsh` on PATH, else None."""
    named = os.environ.get("OWNERNODE_POWERSHELL")
    found = shutil.which(named) if named else shutil.which("pwsh")
    if named and found is None:
        raise FileNotFoundError(f"OWNERNODE_POWERSHELL names no program: {named!r}")
    return None if found is None else Path(found)


class EngineHost:
    """A ProcessHost for powershell.exe; the world is reached through `run`."""

    def __init__(self, engine: Path, run: Run) -> None:
        self._engine = engine
        self._bridge = EngineBridge(run)
        self._running: set[EngineProcess] = set()

    async def start(
        self,
        node: str,
        command: str,
        arguments: tuple[str, ...],
        environment: Mapping[str, str],
    ) -> Process:
        """Start the engine on a node. Raises CommandNotFound for any other program."""
        if PureWindowsPath(command).stem.lower() != "powershell":
            raise CommandNotFound(command)
        self._running = {process for process in self._running if not process.has_ended}
        if len(self._running) >= ENGINES_MAX:
            raise TooManyEngines(f"no more than {ENGINES_MAX} engines run at once")
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        child = await asyncio.create_subprocess_exec(
            self._engine,
            *_with_stubs(" ".join(arguments).split()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # its jobs end with it
            env={
                **inherited,
                **environment,
                "COMPUTERNAME": node,
                "OWNERNODE_BRIDGE": await self._bridge.admit(node),
                "OWNERNODE_STUBS": os.pathsep.join(str(_STUBS / f"{m}.psm1") for m in _MODULES),
                "PSENGINE_CODEPAGE": "65001",
            },
        )
        process = EngineProcess(child)
        self._running.add(process)
        return process

    async def close(self) -> None:
        """End every engine, and the bridge."""
        for process in self._running:
            await process.kill()
        await self._bridge.close()


class EngineProcess:
    """One engine, seen through its pipes."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._child = child
        self._outputs: asyncio.Queue[Output | None] = asyncio.Queue(maxsize=16)
        assert child.stdout is not None
        assert child.stderr is not None
        self._pumps = (
            asyncio.create_task(self._pump_out(child.stdout), name=f"engine {child.pid} stdout"),
            asyncio.create_task(self._pump_err(child.stderr), name=f"engine {child.pid} stderr"),
        )
        self._open_pipes = len(self._pumps)

    @property
    def has_ended(self) -> bool:
        return self._child.returncode is not None

    async def write(self, data: bytes, *, end: bool) -> None:
        pipe = self._child.stdin
        assert pipe is not None
        if pipe.is_closing() or self.has_ended:
            raise BrokenPipeError("the engine reads no more")
        pipe.write(data)
        await pipe.drain()
        if end:
            pipe.close()

    async def read(self) -> Output:
        while self._open_pipes:
            output = await self._outputs.get()
            if output is not None:
                return output
            self._open_pipes -= 1
        return Output(exit_code=await self._child.wait())

    async def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        for pump in self._pumps:
            pump.cancel()
        while not self._outputs.empty():
            self._outputs.get_nowait()
        for _ in range(self._open_pipes):
            self._outputs.put_nowait(None)
        await self._child.wait()

    async def _pump_out(self, pipe: asyncio.StreamReader) -> None:
        while data := await pipe.read(_READ_BYTES):
            await self._outputs.put(Output(stdout=data))
        await self._outputs.put(None)

    async def _pump_err(self, pipe: asyncio.StreamReader) -> None:
        while data := await pipe.read(_READ_BYTES):
            await self._outputs.put(Output(stderr=data))
        await self._outputs.put(None)


def _with_stubs(arguments: list[str]) -> list[str]:
    """The arguments with the import of the stubs put before an encoded command."""
    lowered = [argument.lower() for argument in arguments]
    if "-encodedcommand" not in lowered:
        return arguments
    at = lowered.index("-encodedcommand") + 1
    try:
        text = base64.b64decode(arguments[at], validate=True).decode("utf-16-le")
    except (IndexError, binascii.Error, UnicodeDecodeError):
        return arguments  # the engine itself says what is wrong with it
    encoded = base64.b64encode((_IMPORT + text).encode("utf-16-le")).decode("ascii")
    return [*arguments[:at], encoded, *arguments[at + 1 :]]
