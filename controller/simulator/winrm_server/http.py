"""HTTP/1.1 as far as WinRM clients speak it: POST with a length, kept-alive connections.

A framework would hide the connection, and the connection is what NTLM authenticates and what
tests want to cut; so requests are read from the stream by hand.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate

HEAD_BYTES_MAX = 64 * 1024
"""A request head may carry a Kerberos ticket of 48 KB and little else."""

SOAP_TYPE = "application/soap+xml;charset=UTF-8"


class BadRequest(Exception):
    """What came is not a request that HTTP.sys would accept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; header names in lower case. `body` is None if it was longer than allowed."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One answer; `close` ends the connection after it."""

    status: int
    body: bytes = b""
    content_type: str = SOAP_TYPE
    headers: tuple[tuple[str, str], ...] = field(default=())
    close: bool = False

    def render(self) -> bytes:
        """The bytes on the wire, headed as HTTP.sys heads them: no reason phrase, always a type."""
        lines = [
            f"HTTP/1.1 {self.status} ",
            f"Content-Type: {self.content_type}",
            "Server: Microsoft-HTTPAPI/2.0",
            *(f"{name}: {value}" for name, value in self.headers),
            f"Date: {formatdate(usegmt=True)}",
            *(("Connection: close",) if self.close else ()),
            f"Content-Length: {len(self.body)}",
        ]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + self.body


async def read_request(reader: asyncio.StreamReader, *, body_bytes_max: int) -> Request | None:
    """Read the next request, or None where the client has closed the connection.

    A body above the limit is read to its end and dropped, so that the client, which reads only
    after it has written, does get to see the 413.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as problem:
        if not problem.partial:
            return None
        raise BadRequest("the connection ended inside a request head") from problem
    except asyncio.LimitOverrunError as problem:
        raise BadRequest("the request head is too long") from problem
    method, path, headers = _parse_head(head)
    length = _length(headers)
    if length > body_bytes_max:
        await _drop(reader, length)
        body = None
    else:
        body = await reader.readexactly(length)
    return Request(method=method, path=path, headers=headers, body=body)


def _parse_head(head: bytes) -> tuple[str, str, dict[str, str]]:
    lines = head[:-4].decode("latin-1").split("\r\n")
    match lines[0].split(" "):
        case [method, path, version] if version.startswith("HTTP/1."):
            pass
        case _:
            raise BadRequest(f"no request line: {lines[0][:80]!r}")
    headers = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon:
            raise BadRequest(f"no header: {line[:80]!r}")
        headers[name.strip().lower()] = value.strip()
    return method, path, headers


def _length(headers: Mapping[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise BadRequest("chunked bodies are not spoken here")
    length = headers.get("content-length", "0")
    if not length.isascii() or not length.isdigit():
        raise BadRequest(f"no length: {length[:80]!r}")
    return int(length)


async def _drop(reader: asyncio.StreamReader, length: int) -> None:
    while length > 0:
        piece = await reader.read(min(length, 65536))
        if not piece:
            return
        length -= len(piece)
