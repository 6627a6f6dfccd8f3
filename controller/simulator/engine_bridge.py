"""Lets stub cmdlets in a PowerShell process call into the simulated world.

A loopback TCP server on a port of its own. A process says its token first, which tells the node
that it runs on; then each line is a call and each answer a line: JSON, of the forms written below.
The other side is `stubs/Bridge.psm1`.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from controller.simulator.cmdlet_errors import NodeUnreachable
from controller.simulator.values import CmdletError, EnumValue, PSObject, Value

Run: TypeAlias = Callable[[str, str, Mapping[str, Value]], Awaitable[list[Value]]]
"""Runs a cmdlet on a node: `invoke` bound to a world, and to whatever moves that world's time."""

_LINE_BYTES_MAX = 16 * 1024 * 1024  # an answer about a thousand VMs takes some 4 MB
_TICKS_PER_MICROSECOND = 10


class EngineBridge:
    """Answers the stub cmdlets of any number of processes."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._nodes: dict[str, str] = {}
        self._server: asyncio.Server | None = None

    async def admit(self, node: str) -> str:
        """What a process on this node, and those that it starts, need to find their way here."""
        if self._server is None:
            self._server = await asyncio.start_server(
                self._serve, "127.0.0.1", 0, limit=_LINE_BYTES_MAX
            )
        token = secrets.token_hex(16)
        self._nodes[token] = node
        address, port = self._server.sockets[0].getsockname()[:2]
        return f"{address} {port} {token}"

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            node = self._nodes.get((await reader.readline()).decode().strip())
            while node is not None and (line := await reader.readline()):
                writer.write(await self._answer(node, json.loads(line)) + b"\n")
                await writer.drain()
        except (NodeUnreachable, ConnectionError, asyncio.CancelledError):
            pass  # a node without power answers nothing; the stub then ends its process
        finally:
            writer.close()

    async def _answer(self, node: str, call: Mapping[str, Any]) -> bytes:
        parameters = {name: from_wire(value) for name, value in call["parameters"].items()}
        try:
            found = await self._run(node, call["cmdlet"], parameters)
            answer: dict[str, Any] = {"objects": [to_wire(value) for value in found]}
        except CmdletError as error:
            answer = {
                "error": {
                    "fqid": error.fqid,
                    "category": error.category,
                    "type": error.exception_type,
                    "message": error.message,
                    "hresult": error.hresult,
                }
            }
        return json.dumps(answer).encode()


def to_wire(value: Value) -> Any:
    """A value of the world as JSON that keeps its type."""
    match value:
        case EnumValue(type_name=name, number=number):
            return {"kind": "enum", "type": name, "number": number}
        case PSObject(type_name=name, properties=properties):
            wired = {key: to_wire(item) for key, item in properties.items()}
            return {"kind": "object", "type": name, "properties": wired}
        case datetime():
            return {"kind": "time", "value": value.isoformat()}
        case timedelta():
            microseconds = value // timedelta(microseconds=1)
            return {"kind": "span", "value": microseconds * _TICKS_PER_MICROSECOND}
        case list():
            return [to_wire(item) for item in value]
        case None | bool() | int() | float() | str():
            return value
        case _:
            raise TypeError(f"no cmdlet gives a {type(value).__name__}")


def from_wire(value: Any) -> Value:
    """An argument as the stub sent it; an object comes with its plain properties only."""
    match value:
        case {"kind": "enum", "type": name, "name": member, "number": number}:
            return EnumValue(name, member, number)
        case {"kind": "object", "type": name, "properties": properties}:
            return PSObject(name, {key: from_wire(item) for key, item in properties.items()})
        case {"kind": "table", "entries": entries}:
            return {key: from_wire(item) for key, item in entries.items()}
        case {"kind": "time", "value": text}:
            return datetime.fromisoformat(text)
        case list():
            return [from_wire(item) for item in value]
        case None | bool() | int() | float() | str():
            return value
        case _:
            raise TypeError(f"no cmdlet takes {value!r}")
