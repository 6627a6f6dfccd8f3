"""The lines of docs/protocol.md, made and read; no I/O.

`HV1 <id> <kind> <base64>` and a line feed, ASCII only, so that no code page, byte order mark or
CLIXML is ever in question. Everything that a node can make us hold is bounded here.
"""

import base64
import gzip
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.errors import ProtocolBroken

PROTOCOL = 1
READY_ID = "0"
REPLY_BYTES_MAX = 32 * 1024 * 1024
"""Unpacked. A node of 1,000 VMs says about 1 MB; more than this is not a reply but an attack."""
LINE_BYTES_MAX = 64 * 1024
"""The agent writes at most 49,152 characters of payload a line; the rest is head and margin."""
VALUES_MAX = 1_500_000
"""Commas and brackets in a reply. `[],[],...` would take twenty times its own size in memory."""
TELLINGS_MAX = 4
"""Of one reply, tried for a whole one from the last backwards."""
PACKED_CHARACTERS_MAX = REPLY_BYTES_MAX * 4 // 3

_GZIP_BEGINS = b"H4sI"
"""Base64 of the first three bytes of every gzip stream."""

_UNSHOWABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters and halves of characters, which no encoder and no terminal should meet."""
_FRAME = re.compile(rb"HV1 ([A-Za-z0-9-]{1,64}) (ready|part|done) ([A-Za-z0-9+/]*={0,2})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """What an agent says of itself when it has started."""

    protocol: int
    agent: str
    """Lower-case SHA-256 of the agent text that it runs."""
    node: str
    powershell: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One reply as it came, its outer shape checked."""

    id: str
    operation: str
    ok: bool
    data: Mapping[str, Any]
    errors: tuple[Mapping[str, Any], ...]


def shown(text: str) -> str:
    """A node's text as a person may be shown it, whatever the node put into it."""
    if text.isprintable():  # nearly always, and much faster found out
        return text
    return _UNSHOWABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def encode_agent(text: str) -> bytes:
    """The one line by which the bootstrap is given the agent's text."""
    return base64.b64encode(gzip.compress(text.encode("utf-8"), mtime=0)) + b"\n"


def encode_call(call_id: str, operation: str, arguments: Mapping[str, Any]) -> bytes:
    """The line of one call. Data travels as JSON only; nothing is ever spliced into a script."""
    body = json.dumps({"operation": operation, "arguments": arguments}, ensure_ascii=True)
    return b"HV1 %s call %s\n" % (call_id.encode("ascii"), base64.b64encode(body.encode("ascii")))


class FrameReader:
    """Puts one call's reply together from the bytes of a node's standard output.

    A lost exchange may lose bytes for good. The call is then sent again and the agent says its
    whole reply once more; until that has arrived, the torn remains of the first telling are
    recognised by gzip's own checksum and dropped. Without a repeat a torn reply is an error.
    """

    def __init__(self) -> None:
        self.noise_lines = 0
        self._line = bytearray()
        self._skipping = False
        self._pieces: list[bytes] = []
        self._packed_characters = 0
        self._call_id = READY_ID
        self._repeated = False

    def expect(self, call_id: str) -> None:
        """Begin to wait for the reply to that call, or for `ready` with id 0."""
        self._call_id = call_id
        self._repeated = False
        self._drop_pieces()

    def lost(self) -> None:
        """Bytes may be missing here: the call is about to be sent again."""
        self._line.clear()
        self._skipping = False
        self._repeated = True
        self._drop_pieces()

    def feed(self, data: bytes) -> Ready | Reply | None:
        """Take the next bytes; give what was waited for once it is whole.

        Bytes after it stay for the next call. Raises ProtocolBroken for what no repeat explains.
        """
        found: Ready | Reply | None = None
        for piece in data.splitlines(keepends=True):
            ended = piece.endswith((b"\n", b"\r"))
            self._take(piece)
            if not ended:
                continue
            line = b"" if self._skipping else bytes(self._line).strip()
            self._skipping = False
            self._line.clear()
            if line:
                found = self._read(line) or found
        return found

    def _take(self, piece: bytes) -> None:
        if len(self._line) + len(piece) > LINE_BYTES_MAX:
            self._line.clear()
            self._skipping = True
            self.noise_lines += 1
        if not self._skipping:
            self._line += piece

    def _read(self, line: bytes) -> Ready | Reply | None:
        match = _FRAME.fullmatch(line)
        if match is None:
            self.noise_lines += 1
            return None
        call_id, kind, payload = match[1].decode("ascii"), match[2], match[3]
        if call_id != self._call_id:
            return None  # the second telling of an earlier reply
        self._packed_characters += len(payload)
        if self._packed_characters > PACKED_CHARACTERS_MAX:
            raise ProtocolBroken(f"the reply to {call_id} is above {REPLY_BYTES_MAX} bytes")
        self._pieces.append(payload)
        if kind == b"part":
            return None
        pieces = self._pieces
        self._drop_pieces()
        return self._assemble(kind, pieces)

    def _assemble(self, kind: bytes, pieces: list[bytes]) -> Ready | Reply | None:
        starts = [0]
        if self._repeated:  # the rest of a torn telling may lie before the whole one
            starts = [n for n, p in enumerate(pieces) if p.startswith(_GZIP_BEGINS)][-TELLINGS_MAX:]
        for start in reversed(starts):
            try:
                document = _load(unpack(_joined(pieces[start:])))
            except (zlib.error, ValueError, RecursionError) as e:
                if not self._repeated:
                    raise ProtocolBroken(f"no reply to {self._call_id}, but {e}") from e
                continue
            if kind == b"ready":
                return parse_ready(document)
            return parse_reply(document, self._call_id)
        return None

    def _drop_pieces(self) -> None:
        self._pieces = []
        self._packed_characters = 0


def _joined(pieces: list[bytes]) -> bytes:
    return b"".join(base64.b64decode(piece, validate=True) for piece in pieces)


def read_reply(text: str, call_id: str) -> Reply:
    """The reply that an endpoint's function returns as one text; raises ProtocolBroken."""
    if len(text) > PACKED_CHARACTERS_MAX:
        raise ProtocolBroken(f"the reply to {call_id} is above {REPLY_BYTES_MAX} bytes")
    try:
        document = _load(unpack(base64.b64decode(text, validate=True)))
    except (zlib.error, ValueError, RecursionError) as e:
        raise ProtocolBroken(f"no reply to {call_id}, but {e}") from e
    return parse_reply(document, call_id)


def unpack(packed: bytes) -> bytes:
    """The bytes behind gzip, never more than REPLY_BYTES_MAX of them; zlib.error when torn."""
    unzip = zlib.decompressobj(wbits=31)
    plain = unzip.decompress(packed, REPLY_BYTES_MAX)
    if unzip.unconsumed_tail:
        raise ProtocolBroken(f"a reply unpacks to more than {REPLY_BYTES_MAX} bytes")
    if not unzip.eof or unzip.unused_data:
        raise zlib.error("not one whole gzip stream")
    return plain


def _load(plain: bytes) -> Any:
    if sum(plain.count(mark) for mark in (b",", b"[", b"{")) > VALUES_MAX:
        raise ProtocolBroken(f"a reply holds more than {VALUES_MAX} values")
    return json.loads(plain)


def parse_ready(document: Any) -> Ready:
    """Check the shape of a `ready` payload; raises ProtocolBroken."""
    match document:
        case {
            "protocol": int(protocol),
            "agent": str(agent),
            "node": str(node),
            "powershell": str(powershell),
        }:
            return Ready(protocol=protocol, agent=agent, node=node, powershell=powershell)
    raise ProtocolBroken(f"no ready frame: {str(document)[:200]}")


def parse_reply(document: Any, call_id: str) -> Reply:
    """Check the outer shape of a reply and that it answers this call; raises ProtocolBroken."""
    match document:
        case {
            "schema": "ownernode.io/reply/v1",
            "id": str(reply_id),
            "operation": str(operation),
            "ok": True,
            "data": dict(data),
            "errors": [],
        }:
            reply = Reply(id=reply_id, operation=operation, ok=True, data=data, errors=())
        case {
            "schema": "ownernode.io/reply/v1",
            "id": str(reply_id),
            "operation": str() | None as operation,
            "ok": False,
            "data": None,
            "errors": [dict(first), *others],
        }:
            errors = (first, *(other for other in others[:15] if isinstance(other, dict)))
            reply = Reply(id=reply_id, operation=operation or "", ok=False, data={}, errors=errors)
        case _:
            raise ProtocolBroken(f"the reply to {call_id} is no reply: {str(document)[:200]}")
    if reply.id != call_id:
        raise ProtocolBroken(f"asked {call_id}, was answered {reply.id[:64]}")
    return reply
