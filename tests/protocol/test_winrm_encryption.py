"""Sealed messages over plain HTTP: what is on the wire, and what happens when it is touched."""

import base64
import struct
from pathlib import Path
from typing import cast

import pytest
import requests
import spnego
from spnego import WinRMWrapResult
from spnego.exceptions import NegotiateOptions
from winrm_node import PASSWORD, USER, Serve, run, shell

from controller.simulator.winrm_server.authentication import Account, Accounts
from controller.simulator.winrm_server.encryption import SealBroken, seal, unseal

SPNEGO = "application/HTTP-SPNEGO-session-encrypted"
ENVELOPE = b"<s:Envelope/>"


def test_nothing_readable_is_on_the_wire(serve: Serve) -> None:
    """Requests, answers and faults are sealed; only their lengths and types can be seen."""
    client = serve().client()
    wire: list[bytes] = []
    with shell(client) as shell_id:
        assert client.transport.session is not None

        def keep(answer: requests.Response, **_: object) -> None:
            body = answer.request.body or b""
            wire.extend((body if isinstance(body, bytes) else body.encode(), answer.content))

        client.transport.session.hooks["response"].append(keep)
        assert run(client, shell_id, "echo", "plain text")[0] == "plain text\r\n"
    echoed = base64.b64encode(b"plain text\r\n")
    for body in wire:
        assert body.startswith(b"--Encrypted Boundary\r\n\tContent-Type: " + SPNEGO.encode())
        assert body.endswith(b"--Encrypted Boundary--\r\n")
        assert not any(word in body for word in (b"Envelope", b"plain text", echoed))


def test_seal_opens_with_the_other_end_of_the_context(accounts: Accounts) -> None:
    """Either direction, in order, and the announced length is that of the clear text."""
    client, server = contexts(accounts)
    for clear in (ENVELOPE, b"", "ž".encode() * 100_000):
        content_type, body = seal(clear, client, SPNEGO)
        assert content_type == (
            f'multipart/encrypted;protocol="{SPNEGO}";boundary="Encrypted Boundary"'
        )
        assert f"charset=UTF-8;Length={len(clear)}\r\n".encode() in body
        assert unseal(body, server) == clear
        assert unseal(seal(clear, server, SPNEGO)[1], client) == clear


class Identity:
    """A context that neither seals nor opens, so that a test can choose the cipher text."""

    def wrap_winrm(self, data: bytes) -> WinRMWrapResult:
        return WinRMWrapResult(header=bytes(16), data=data, padding_length=0)

    def unwrap_winrm(self, header: bytes, data: bytes) -> bytes:
        return data


def test_cipher_text_may_contain_the_boundary() -> None:
    """The parts are found by their place, never by a search in bytes that can be anything."""
    context = cast("spnego.ContextProxy", Identity())
    cipher = b"--Encrypted Boundary\r\n--Encrypted Boundary--\r\n" * 3
    assert unseal(seal(cipher, context, SPNEGO)[1], context) == cipher


@pytest.mark.parametrize("touched", ["signature", "cipher", "length", "layout", "number"])
def test_touched_body_does_not_open(accounts: Accounts, touched: str) -> None:
    """One bit anywhere, a wrong length, or a layout that MS-WSMV does not know."""
    client, server = contexts(accounts)
    body = seal(ENVELOPE, client, SPNEGO)[1]
    start = body.index(b"octet-stream\r\n") + len(b"octet-stream\r\n")
    match touched:
        case "signature":
            body = flip(body, start + 4 + 5)
        case "cipher":
            body = flip(body, start + 4 + 16)
        case "length":
            body = body.replace(b"Length=13", b"Length=14")
        case "layout":
            body = body.replace(b"OriginalContent", b"Original")
        case "number":
            body = body[:start] + struct.pack("<i", -5) + body[start + 4 :]
    with pytest.raises(SealBroken):
        unseal(body, server)


def test_replayed_message_does_not_open(accounts: Accounts) -> None:
    """The key stream has moved on: a recorded message is worth nothing, even to its own server."""
    client, server = contexts(accounts)
    body = seal(ENVELOPE, client, SPNEGO)[1]
    assert unseal(body, server) == ENVELOPE
    with pytest.raises(SealBroken):
        unseal(body, server)


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    return Accounts((Account(user=USER, password=PASSWORD),), tmp_path)


def contexts(accounts: Accounts) -> tuple[spnego.ContextProxy, spnego.ContextProxy]:
    """Both ends of one log-on."""
    client = spnego.client(USER, PASSWORD, protocol="ntlm")
    with accounts.readable():
        server = spnego.server(protocol="ntlm", options=NegotiateOptions.use_ntlm)
        server.step(client.step(server.step(client.step())))
    return client, server


def flip(body: bytes, place: int) -> bytes:
    return body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
