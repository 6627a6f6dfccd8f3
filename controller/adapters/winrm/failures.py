"""What can go wrong in one exchange with a node, by what is to be done about it.

pywinrm lets through whatever its parts raise; here each of those gets one of a few names.
"""

import http.client
import re
import socket
import ssl
import struct
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager

import requests
import spnego.exceptions
import urllib3.exceptions
from urllib3.util.ssl_match_hostname import CertificateError
from winrm.exceptions import (
    InvalidCredentialsError,
    WinRMError,
    WinRMOperationTimeoutError,
    WinRMTransportError,
    WSManFaultError,
)

from controller.adapters.winrm.frames import Reply, shown
from controller.adapters.winrm.wire import LogonDue, Wire
from controller.errors import LogonRefused, RemoteFailed

_TEXT_CHARACTERS_MAX = 256
_GONE = frozenset({2150858843, 995, 232})
"""Shell or command unknown, aborted with its service, pipe closing (MS-WSMV; recorded faults)."""
_OPERATION_QUOTA = 2150859174
"""Windows counts a shell's commands until the shell goes, so a new shell is the remedy."""
_SHELL_QUOTA = 2150859173
_BUSY = 170
_ACCESS_DENIED = 5


class Lost(Exception):
    """The exchange failed on its way.

    `touched`: bytes of it had left, so the node may have acted on it. `unreached`: the node could
    not be connected to, so that an immediate repeat is of no use.
    """

    def __init__(self, message: str, *, touched: bool, unreached: bool = False) -> None:
        super().__init__(message)
        self.touched = touched
        self.unreached = unreached


class ShellGone(Exception):
    """There is no agent any more."""


class NoRoom(Exception):
    """The node has no room for the exchange and did nothing."""


class StillRunning(Exception):
    """The node held the exchange for its full time and has nothing to say yet."""


class Ended(Exception):
    """Time is up, or whoever waited has ended the work."""


class NoRight(LogonRefused):
    """The account is right and has no right here; a repeat locks nothing."""


FAILURES = (Lost, ShellGone, NoRoom, StillRunning, Ended, LogonRefused)

# What comes out of pywinrm, requests and spnego when an exchange fails or its answer is not what
# WinRM would say: asserts on message ids, missing elements, torn XML, broken seals.
_EXCHANGE_ERRORS = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    WinRMTransportError,
    WinRMError,
    spnego.exceptions.SpnegoError,
    ET.ParseError,
    struct.error,
    AssertionError,
    AttributeError,
    LookupError,
    OSError,
    StopIteration,
    ValueError,
)

_CAUSES_MAX = 64
_UNTRUSTED = "its certificate is signed by no authority that is trusted here; check tls.ca"
_ANOTHER_NAME = "its certificate is for another name"
# OpenSSL's X509_V_ERR_* (x509_vfy.h).
_CERTIFICATES = {
    9: "its certificate is not valid yet",
    10: "its certificate has expired",
    **dict.fromkeys((18, 19, 20, 21), _UNTRUSTED),
    **dict.fromkeys((62, 64), _ANOTHER_NAME),
}
_NOT_PINNED = "its certificate is not the one that is pinned in tls.pins"
_SENTENCES: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((UnicodeDecodeError,), "its answer is no text"),
    ((socket.gaierror, UnicodeError), "its name cannot be resolved"),
    ((ConnectionRefusedError,), "connection refused"),
    ((TimeoutError, requests.Timeout, urllib3.exceptions.TimeoutError), "timed out"),
    ((ConnectionError, http.client.HTTPException), "the connection broke off"),
)


@contextmanager
def translated(node: str, wire: Wire) -> Iterator[None]:
    """Give every failure of the exchange inside the name under which it is handled."""
    try:
        yield
    except WinRMOperationTimeoutError as error:
        raise StillRunning from error
    except InvalidCredentialsError as error:
        raise LogonRefused(
            f"{node} refused the log-on; check user name and password, that the account may use"
            " WinRM there, and that the node offers the configured authentication"
        ) from error
    except WSManFaultError as error:
        raise _of_fault(node, error) from error
    except _EXCHANGE_ERRORS as error:
        due = isinstance(error, LogonDue)
        text = sentence_of(error)
        touched = wire.touched and not due
        raise Lost(text, touched=touched, unreached=not wire.touched and not due) from error


def sentence_of(error: Exception) -> str:
    """What went wrong on the way, in words of the one who has to mend it.

    Libraries wrap the cause in errors of their own, whose texts are dumps of their objects.
    """
    causes = tuple(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError) and cause.verify_code:
            return _CERTIFICATES.get(
                cause.verify_code, f"its certificate is refused: {cause.verify_message}"
            )
        if isinstance(cause, urllib3.exceptions.SSLError) and "Fingerprints" in str(cause):
            return _NOT_PINNED
        if isinstance(cause, CertificateError):
            return shown(f"{_ANOTHER_NAME}: {cause}"[:_TEXT_CHARACTERS_MAX])
    for kinds, sentence in _SENTENCES:
        if any(isinstance(cause, kinds) for cause in causes):
            return sentence
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            return f"no TLS connection came about: {cause.reason or 'it broke off'}"
        if isinstance(cause, WinRMTransportError):
            return f"it answered with HTTP status {cause.code}"
        if isinstance(cause, OSError) and cause.strerror:
            return shown(cause.strerror.lower())
    if isinstance(error, requests.RequestException | OSError):
        return shown(str(error)[:_TEXT_CHARACTERS_MAX])
    text = f"it does not answer as WinRM does ({type(error).__name__}: {error}"
    return shown(text[: _TEXT_CHARACTERS_MAX - 1]) + ")"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it was made of, outermost first."""
    waiting: list[object] = [error]
    for _ in range(_CAUSES_MAX):
        if not waiting:
            return
        one = waiting.pop(0)
        if isinstance(one, BaseException):
            yield one
            waiting += [*one.args, getattr(one, "reason", None), one.__cause__]


def _of_fault(node: str, fault: WSManFaultError) -> Exception:
    code = fault.wsman_fault_code or fault.wmierror_code
    text = shown(f"WS-Management fault {code}: {fault.reason}"[:_TEXT_CHARACTERS_MAX])
    if code in _GONE or code == _OPERATION_QUOTA:
        return ShellGone(text)
    if code in (_SHELL_QUOTA, _BUSY):
        return NoRoom(text)
    if code == _ACCESS_DENIED:
        return NoRight(f"{node} accepts the account and denies it access; {text}")
    return Lost(text, touched=True)


def remote_error(reply: Reply, node: str) -> RemoteFailed:
    """The first error of a reply that says `ok: false`."""
    first = reply.errors[0]
    kind, message, hresult = (first.get(name) for name in ("kind", "message", "hresult"))
    return RemoteFailed(
        shown(f"{node}: {message}"),
        kind=kind[:_TEXT_CHARACTERS_MAX] if isinstance(kind, str) else "",
        hresult=hresult if isinstance(hresult, int) else None,
    )


def readable_stderr(data: bytes) -> str:
    """The beginning of what a process wrote to stderr, also where PowerShell made CLIXML of it."""
    text = data[: 64 * 1024].decode("utf-8", "replace")
    if text.startswith("#< CLIXML"):
        text = " ".join(re.findall(r'<S S="Error">([^<]*)</S>', text)).replace(
            "_x000D__x000A_", " "
        )
    return shown(" ".join(text.split())[:_TEXT_CHARACTERS_MAX])
