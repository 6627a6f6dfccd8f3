"""Message encryption over plain HTTP, as [MS-WSMV] 2.2.9.1 lays it out.

A sealed body is two MIME parts: what the clear text was, and signature plus cipher text. The
key stream advances with each message, so a message that does not open leaves the connection's
context useless for good; Windows answers HTTP 400 from then on, and so does this server.
"""

import re
import struct

from spnego import ContextProxy
from spnego.exceptions import SpnegoError

BOUNDARY = b"--Encrypted Boundary"
PROTOCOLS = (
    "application/HTTP-SPNEGO-session-encrypted",
    "application/HTTP-Kerberos-session-encrypted",
)
_HEAD = re.compile(
    rb"--Encrypted Boundary\r\n"
    rb"\s*Content-Type: [^\r\n]+\r\n"
    rb"\s*OriginalContent: type=application/soap\+xml;charset=UTF-8;Length=(\d+)\r\n"
    rb"--Encrypted Boundary\r\n"
    rb"\s*Content-Type: application/octet-stream\r\n"
)


class SealBroken(Exception):
    """The body does not open with the keys of this connection, or is not laid out as agreed."""


def sealing_protocol(content_type: str) -> str | None:
    """Which protocol a request's Content-Type says its body is sealed with; None for clear text."""
    if not content_type.lower().startswith("multipart/encrypted"):
        return None
    return next((protocol for protocol in PROTOCOLS if protocol in content_type), None)


def unseal(body: bytes, context: ContextProxy) -> bytes:
    """Open a sealed body and check its signature and the length it claims."""
    head = _HEAD.match(body)
    if not head or not body.endswith(BOUNDARY + b"--\r\n"):
        raise SealBroken("the parts are not laid out as MS-WSMV wants them")
    sealed = body[head.end() : -len(BOUNDARY) - 4]
    try:
        (signature_length,) = struct.unpack_from("<i", sealed)
        signature = sealed[4 : 4 + signature_length]
        clear = context.unwrap_winrm(signature, sealed[4 + signature_length :])
    except (SpnegoError, struct.error, ValueError) as problem:
        raise SealBroken(f"the body does not open: {problem}") from problem
    if len(clear) != int(head[1]):
        raise SealBroken(f"{len(clear)} bytes came out where {int(head[1])} were announced")
    return clear


def seal(clear: bytes, context: ContextProxy, protocol: str) -> tuple[str, bytes]:
    """Seal an answer; returns its Content-Type and body. Leading tabs are part of the format."""
    wrapped = context.wrap_winrm(clear)
    length = len(clear) + wrapped.padding_length
    body = b"".join(
        (
            BOUNDARY,
            f"\r\n\tContent-Type: {protocol}\r\n".encode(),
            b"\tOriginalContent: type=application/soap+xml;charset=UTF-8;",
            f"Length={length}\r\n".encode(),
            BOUNDARY,
            b"\r\n\tContent-Type: application/octet-stream\r\n",
            struct.pack("<i", len(wrapped.header)),
            wrapped.header,
            wrapped.data,
            BOUNDARY,
            b"--\r\n",
        )
    )
    return f'multipart/encrypted;protocol="{protocol}";boundary="Encrypted Boundary"', body
