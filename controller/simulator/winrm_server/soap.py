"""SOAP envelopes of WS-Management: what a request asks, and the frame around an answer."""

import re
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape

from controller.simulator.winrm_server.faults import FaultShape, bad_header, schema_violation

SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
CMD = f"{SHELL}/cmd"
CONFIG = "http://schemas.microsoft.com/wbem/wsman/1/config"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"

NAMESPACES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "w": "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
    "p": "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd",
    "rsp": SHELL,
}
_READ = {**NAMESPACES, "ps": "http://schemas.microsoft.com/powershell"}
"""What a request may hold besides."""
_OPENING = (
    '<s:Envelope xml:lang="en-US" '
    + " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
    + f' xmlns:x="{TRANSFER}">'
)
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")

ENVELOPE_BYTES_DEFAULT = 153600
"""What a client gets that does not say how much it can take ([MS-WSMV] 2.2.4.22)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WsmanRequest:
    """One request, as far as the shell protocol looks at it.

    `operation_timeout_seconds` is None where the client left it to the server.
    """

    action: str
    message_id: str
    resource_uri: str
    operation_timeout_seconds: float | None
    envelope_bytes_max: int
    shell_id: str | None
    options: Mapping[str, str]
    body: ET.Element

    def find(self, path: str) -> ET.Element | None:
        """The first element at this path below the body, with prefixes of _READ."""
        return self.body.find(path, _READ)

    def find_all(self, path: str) -> list[ET.Element]:
        return self.body.findall(path, NAMESPACES)

    def require(self, path: str) -> ET.Element:
        """The same, where its absence is a schema violation."""
        element = self.find(path)
        if element is None:
            raise schema_violation()
        return element

    def text(self, path: str) -> str | None:
        element = self.find(path)
        return None if element is None else (element.text or "")

    def switched_on(self, option: str) -> bool:
        """Whether a boolean option of the OptionSet says TRUE; clients differ in its case."""
        return self.options.get(option, "").upper() in ("TRUE", "1")


def parse_request(data: bytes) -> WsmanRequest:
    """Read an envelope; raises WSManFault for what WinRM would not accept."""
    if b"<!DOCTYPE" in data:
        raise schema_violation()
    try:
        root = ET.fromstring(data)  # noqa: S314 - no DOCTYPE, so no entities of the sender's own
    except ET.ParseError as problem:
        raise schema_violation() from problem
    header = root.find("s:Header", NAMESPACES)
    body = root.find("s:Body", NAMESPACES)
    if header is None or body is None:
        raise schema_violation()

    def text(path: str) -> str:
        return (header.findtext(path, "", NAMESPACES) if header is not None else "").strip()

    timeout = text("w:OperationTimeout")
    timeout_seconds = duration_seconds(timeout) if timeout else None
    if timeout and timeout_seconds is None:
        raise bad_header(timeout)
    size = text("w:MaxEnvelopeSize")
    return WsmanRequest(
        action=text("a:Action"),
        message_id=text("a:MessageID"),
        resource_uri=text("w:ResourceURI"),
        operation_timeout_seconds=timeout_seconds,
        envelope_bytes_max=int(size) if size.isdigit() else ENVELOPE_BYTES_DEFAULT,
        shell_id=_named(header, "w:SelectorSet/w:Selector").get("ShellId"),
        options=_named(header, "w:OptionSet/w:Option"),
        body=body,
    )


def _named(header: ET.Element, path: str) -> dict[str, str]:
    return {e.get("Name", ""): (e.text or "").strip() for e in header.findall(path, NAMESPACES)}


def duration_seconds(text: str) -> float | None:
    """Seconds of an xs:duration of days and less, such as PT20S; None if it is not one."""
    found = _DURATION.fullmatch(text.strip())
    if not found or not any(found.groups()):
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def render_reply(request: WsmanRequest, body: str) -> bytes:
    """The answer to a request; its action is the request's with `Response` behind it."""
    return _envelope(f"{request.action}Response", request.message_id, body)


def render_fault(message_id: str, shape: FaultShape, *, machine: str) -> bytes:
    """A fault in answer to the request of this id; an unreadable request had none."""
    return _envelope(shape.action, message_id, shape.render(machine=machine))


def new_id() -> str:
    """A GUID as WinRM writes it."""
    return str(uuid.uuid4()).upper()


def _envelope(action: str, relates_to: str, body: str) -> bytes:
    # pypsrp compares RelatesTo with its MessageID to the letter, case included.
    related = f"<a:RelatesTo>{escape(relates_to)}</a:RelatesTo>" if relates_to else ""
    return (
        f"{_OPENING}<s:Header><a:Action>{escape(action)}</a:Action>"
        f"<a:MessageID>uuid:{new_id()}</a:MessageID>"
        f"<a:To>{NAMESPACES['a']}/role/anonymous</a:To>{related}</s:Header>"
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()
