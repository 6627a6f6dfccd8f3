"""What a person reads of a failed exchange: the cause, not the libraries it went through."""

import socket
import ssl

import pytest
import requests
import urllib3.exceptions
from winrm.exceptions import WinRMTransportError

from controller.adapters.winrm.failures import remote_error, sentence_of
from controller.adapters.winrm.frames import Reply


def wrapped(cause: Exception) -> Exception:
    """As requests raises what urllib3 raised of it."""
    pool = object()
    outer = urllib3.exceptions.MaxRetryError(pool, "/wsman", cause)  # type: ignore[arg-type]
    return requests.ConnectionError(outer)


def expired() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = 10, "certificate has expired"
    return error


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (wrapped(expired()), "its certificate has expired"),
        (wrapped(ConnectionRefusedError(111, "Connection refused")), "connection refused"),
        (wrapped(urllib3.exceptions.ReadTimeoutError(None, "", "x")), "timed out"),  # type: ignore[arg-type]
        (wrapped(socket.gaierror(-2, "Name or service not known")), "its name cannot be resolved"),
        (wrapped(ConnectionResetError(104, "reset")), "the connection broke off"),
        (OSError(113, "No route to host"), "no route to host"),
        (WinRMTransportError("http", 503, "<html>"), "it answered with HTTP status 503"),
        (requests.ConnectionError("an answer above 7 bytes"), "an answer above 7 bytes"),
        (KeyError("x\x1b"), "it does not answer as WinRM does (KeyError: 'x\\x1b')"),
    ],
)
def test_the_cause_is_said_in_a_few_words(error: Exception, sentence: str) -> None:
    """`SSLError: HTTPSConnectionPool(host=..., port=5986): Max retries ...` helps nobody."""
    assert sentence_of(error) == sentence


def test_an_error_text_of_a_node_holds_no_control_characters() -> None:
    """It goes to terminals, logs and the page."""
    said = {"kind": "X", "message": "\x1b[2J\x1b]0;title\x07", "hresult": None}
    reply = Reply(id="1", operation="observe", ok=False, data={}, errors=(said,))
    assert str(remote_error(reply, "HV01")) == "HV01: �[2J�]0;title�"
