"""The controller's agent without a PowerShell engine: same start, same frames, Python behind it.

What starts it must be exactly what would start it on Windows. The bootstrap and the agent text
that arrive are compared with the ones that are shipped, so that encoding, packing, length limits
and framing are exercised; only the execution is left out. docs/protocol.md is the contract.
"""

import asyncio
import base64
import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from controller.simulator.processes import CommandNotFound, EndedProcess, Output, Process

Respond = Callable[[str, str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Carries out an operation on a node: (node, operation, arguments) to `ok`, `data`, `errors`."""

PAYLOAD_CHARACTERS_MAX = 49_152
BOOTSTRAP, AGENT = "bootstrap.ps1", "agent.ps1"
SWITCHES = [
    "-nologo",
    "-noprofile",
    "-noninteractive",
    "-inputformat",
    "none",
    "-outputformat",
    "text",
    "-encodedcommand",
]
NOISE = b"WARNING: The names of some imported commands include unapproved verbs.\r\n"
UNREADABLE: Mapping[str, Any] = {
    "ok": False,
    "data": None,
    "errors": [
        {
            "kind": "BadCall",
            "category": None,
            "type": None,
            "hresult": None,
            "message": "The call cannot be read.",
        }
    ],
}
_CALL = re.compile(rb"HV1 ([A-Za-z0-9-]{1,64}) call ([^ ]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippedScripts:
    """The texts that a node may be asked to run."""

    bootstrap: str
    agent: str


def shipped_scripts() -> ShippedScripts:
    """Read them from the installed package."""
    folder = resources.files("controller") / "adapters" / "winrm" / "scripts"
    texts = {
        script.name: script.read_text(encoding="utf-8")
        for script in folder.iterdir()
        if script.name.endswith(".ps1")
    }
    bootstrap, agent = texts.pop(BOOTSTRAP), texts.pop(AGENT)
    parts = [texts[name] for name in sorted(texts)]
    return ShippedScripts(bootstrap=bootstrap, agent="\n".join((*parts, agent)))


class AgentHost:
    """A ProcessHost on which powershell.exe runs the shipped agent and nothing else.

    `started` is told the node of each agent that begins its work: a new agent knows nothing of
    what one before it had begun. `startup_seconds` is the time until an agent is ready; `noise`
    makes it print a line that is no frame before each reply.
    """

    def __init__(
        self,
        respond: Respond,
        scripts: ShippedScripts,
        *,
        started: Callable[[str], None] = lambda node: None,
        startup_seconds: float = 0.0,
        noise: bool = False,
    ) -> None:
        self._respond = respond
        self._scripts = scripts
        self._started = started
        self._startup_seconds = startup_seconds
        self._noise = NOISE if noise else b""

    async def start(
        self,
        node: str,
        command: str,
        arguments: tuple[str, ...],
        environment: Mapping[str, str],
    ) -> Process:
        words = " ".join((command, *arguments)).split()
        if words[0].lower() not in ("powershell", "powershell.exe"):
            raise CommandNotFound(command)
        if complaint := self._complaint(words[1:]):
            return EndedProcess(Output(stderr=complaint.encode()), exit_code=1)
        self._started(node)
        return AgentProcess(
            node,
            self._respond,
            self._scripts,
            startup_seconds=self._startup_seconds,
            noise=self._noise,
        )

    def _complaint(self, words: list[str]) -> str | None:
        """What is wrong with the start, or None; a real engine would just run it."""
        if [word.lower() for word in words[:-1]] != SWITCHES:
            return "No PowerShell here: the agent is started as docs/protocol.md says, or not.\r\n"
        try:
            bootstrap = base64.b64decode(words[-1], validate=True).decode("utf-16-le")
        except ValueError:
            return "The encoded command is not base64 of UTF-16LE.\r\n"
        if bootstrap != self._scripts.bootstrap:
            return "The encoded command is not the shipped bootstrap.\r\n"
        return None


class AgentProcess:
    """One agent: reads its own text, says it is ready, then answers calls one after another."""

    def __init__(
        self,
        node: str,
        respond: Respond,
        scripts: ShippedScripts,
        *,
        startup_seconds: float,
        noise: bytes,
    ) -> None:
        self._node = node
        self._respond = respond
        self._scripts = scripts
        self._startup_seconds = startup_seconds
        self._noise = noise
        self._torn = b""
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._outputs: asyncio.Queue[Output | None] = asyncio.Queue()
        self._work = asyncio.create_task(self._run(), name=f"agent on {node}")

    async def write(self, data: bytes, *, end: bool) -> None:
        if self._work.done():
            raise BrokenPipeError("the agent has ended")
        *lines, self._torn = (self._torn + data).split(b"\n")
        for line in lines:
            self._lines.put_nowait(line.removesuffix(b"\r"))
        if end:
            self._lines.put_nowait(None)

    async def read(self) -> Output:
        output = await self._outputs.get()
        if output is not None:
            return output
        await asyncio.wait({self._work})
        return Output(exit_code=1 if self._work.cancelled() else self._work.result())

    async def kill(self) -> None:
        self._work.cancel()

    async def _run(self) -> int:
        """The life of the agent; its exit code."""
        try:
            return await self._start_and_answer()
        finally:
            self._outputs.put_nowait(None)

    async def _start_and_answer(self) -> int:
        line = await self._lines.get()
        await asyncio.sleep(self._startup_seconds)
        agent = _unpack(line or b"")
        if agent != self._scripts.agent:
            what = "cannot be unpacked" if agent is None else "is not the shipped one"
            self._outputs.put_nowait(Output(stderr=f"The agent's text {what}.\r\n".encode()))
            return 1
        self._say(await self._ready(agent))
        last_id, last_reply = b"", b""
        while (line := await self._lines.get()) is not None:
            call = _CALL.fullmatch(line)
            if not call or call[1] == b"0":
                continue
            if call[1] != last_id:
                last_id, last_reply = call[1], await self._answer(call[1].decode(), call[2])
            self._say(last_reply)
        return 0

    async def _ready(self, agent: str) -> bytes:
        answer = await self._respond(self._node, "ping", {})
        saying = {
            "protocol": 1,
            "agent": hashlib.sha256(agent.encode()).hexdigest(),
            **answer["data"],
        }
        return b"HV1 0 ready " + base64.b64encode(_pack(saying)) + b"\n"

    async def _answer(self, call_id: str, payload: bytes) -> bytes:
        """Execute one call; the lines of its reply."""
        if call := _read_call(payload):
            operation, arguments = call
            answer = await self._respond(self._node, operation, arguments)
            reply = _reply(call_id, operation, answer)
        else:
            reply = _reply(call_id, None, UNREADABLE)
        return b"".join(_frames(call_id, _pack(reply)))

    def _say(self, lines: bytes) -> None:
        self._outputs.put_nowait(Output(stdout=self._noise + lines))


def _read_call(payload: bytes) -> tuple[str, Mapping[str, Any]] | None:
    try:
        match json.loads(base64.b64decode(payload, validate=True)):
            case {"operation": str(operation), "arguments": dict(arguments)}:
                return operation, arguments
    except ValueError:
        pass
    return None


def _reply(call_id: str, operation: str | None, answer: Mapping[str, Any]) -> Mapping[str, Any]:
    head = {"schema": "ownernode.io/reply/v1", "id": call_id, "operation": operation}
    return {**head, **answer}


def _frames(call_id: str, packed: bytes) -> Iterator[bytes]:
    piece_bytes = PAYLOAD_CHARACTERS_MAX // 4 * 3
    for start in range(0, len(packed), piece_bytes):
        kind = "part" if start + piece_bytes < len(packed) else "done"
        piece = base64.b64encode(packed[start : start + piece_bytes])
        yield f"HV1 {call_id} {kind} ".encode() + piece + b"\n"


def _pack(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return gzip.compress(text.encode(), compresslevel=6, mtime=0)


def _unpack(line: bytes) -> str | None:
    try:
        return gzip.decompress(base64.b64decode(line, validate=True)).decode()
    except (ValueError, OSError, EOFError, zlib.error):
        return None
