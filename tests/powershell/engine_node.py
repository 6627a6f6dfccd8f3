"""A node whose agent runs in a real engine, for tests to talk to frame by frame."""

import asyncio
import base64
import gzip
import json
import threading
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

from controller.simulator.agent_process import shipped_scripts
from controller.simulator.engine import EngineHost
from controller.simulator.invoke import invoke
from controller.simulator.processes import Process
from controller.simulator.values import Value
from controller.simulator.world import World

T = TypeVar("T")
NODE = "HV01"
ANSWER_SECONDS = 60.0
SWITCHES = "-NoLogo -NoProfile -NonInteractive -InputFormat None -OutputFormat Text -EncodedCommand"


class EngineNode:
    """One agent process on node HV01; the world behind it may be changed between calls."""

    def __init__(self, engine: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="engine node", daemon=True
        )
        self._thread.start()
        self._host = EngineHost(engine, self._run)
        self._calls = 0
        self._rest = b""
        self.world: World | None = None
        self.cmdlets: list[str] = []
        self.after: dict[str, Callable[[World], None]] = {}
        """What befalls the world once, right after a cmdlet of that name was run."""
        self.process = self._await(self._start())
        self.ready = self._ready()

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """The reply to one call, under an id of its own."""
        self._calls += 1
        call_id = f"call-{self._calls}"
        self.send(frame(call_id, {"operation": operation, "arguments": arguments}))
        return document(self.lines_of(call_id))

    def send(self, data: bytes) -> None:
        self._await(self.process.write(data, end=False))

    def lines_of(self, call_id: str) -> list[bytes]:
        """The frames of the next reply, which must be to this id; anything else fails."""
        lines: list[bytes] = []
        while not lines or not lines[-1].startswith(f"HV1 {call_id} done ".encode()):
            line = self.line()
            assert line.startswith(f"HV1 {call_id} ".encode()), line[:200]
            lines.append(line)
        return lines

    def line(self) -> bytes:
        while b"\n" not in self._rest:
            output = self._await(self.process.read())
            assert output.exit_code is None, f"the agent ended with {output.exit_code}"
            assert not output.stderr, output.stderr.decode()
            self._rest += output.stdout
        line, self._rest = self._rest.split(b"\n", 1)
        return line

    def close(self) -> None:
        self._await(self._host.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _run(self, node: str, cmdlet: str, parameters: Mapping[str, Value]) -> list[Value]:
        self.cmdlets.append(cmdlet)
        assert self.world is not None
        said = invoke(self.world, node, cmdlet, parameters)
        if (befalls := self.after.pop(cmdlet, None)) is not None:
            befalls(self.world)
        return said

    async def _start(self) -> Process:
        scripts = shipped_scripts()
        encoded = base64.b64encode(scripts.bootstrap.encode("utf-16-le")).decode()
        process = await self._host.start(NODE, "powershell.exe", (f"{SWITCHES} {encoded}",), {})
        packed = base64.b64encode(gzip.compress(scripts.agent.encode()))
        await process.write(packed + b"\n", end=False)
        return process

    def _ready(self) -> dict[str, Any]:
        line = self.line()
        assert line.startswith(b"HV1 0 ready ")
        return document([line])

    def _await(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(ANSWER_SECONDS)


def frame(call_id: str, call: Any) -> bytes:
    return f"HV1 {call_id} call ".encode() + base64.b64encode(json.dumps(call).encode()) + b"\n"


def document(lines: list[bytes]) -> dict[str, Any]:
    packed = b"".join(base64.b64decode(line.split(b" ")[3]) for line in lines)
    found: dict[str, Any] = json.loads(gzip.decompress(packed))
    return found
