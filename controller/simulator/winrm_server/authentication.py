"""Who is on a connection: Basic, a client certificate, or NTLM under the Negotiate scheme.

NTLM authenticates the connection, not the request: once type 3 has been accepted, requests on the
same connection carry no Authorization header, and on another one they are strangers again
([MS-NTHT] 1.3).
"""

import base64
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import spnego
from spnego.channel_bindings import GssChannelBindings
from spnego.exceptions import NegotiateOptions, SpnegoError

from controller.simulator.winrm_server.http import Request, Response

MUTUAL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
"""The Authorization header of a client that authenticates by its certificate."""

NO_BINDING = b"\x0a\x00\x10\x00" + bytes(16)
"""The pair MsvAvChannelBindings with a hash of zeros ([MS-NLMP] 2.2.2.1): what clients send that
know of bindings and have none. pyspnego lets it pass; CbtHardeningLevel Strict does not."""

UNREADABLE = (SpnegoError, ValueError, LookupError, struct.error)
"""What pyspnego raises for a token that is refused, or that is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user as clients write it (`svc`, `CORP\\svc`, `svc@corp.example`), and the password."""

    user: str
    password: str = field(repr=False)


class Accounts:
    """The accounts of one site, and the file in which NTLM wants to read them.

    pyspnego finds the acceptor's credentials only through an environment variable of the process;
    it is set for the length of one step, so that two sites in one process do not meet.
    """

    def __init__(self, accounts: Sequence[Account], directory: Path) -> None:
        self._passwords = {account.user.casefold(): account.password for account in accounts}
        lines = []
        for account in accounts:
            written = account.user + account.password
            if ":" in written or not written.isprintable():
                raise ValueError("NTLM's credential file has no way to write ':' or control codes")
            domain, _, user = account.user.rpartition("\\")
            lines.append(f"{domain}:{user}:{account.password}\n")
        self._ntlm_file = directory / "ntlm-users"
        self._ntlm_file.touch(mode=0o600)
        self._ntlm_file.write_text("".join(lines), encoding="utf-8")

    def knows(self, user: str) -> bool:
        return user.casefold() in self._passwords

    def accepts(self, user: str, password: str) -> bool:
        return self._passwords.get(user.casefold()) == password

    @contextmanager
    def readable_by_ntlm(self) -> Iterator[None]:
        """Point NTLM at these accounts; nothing may be awaited inside."""
        before = os.environ.get("NTLM_USER_FILE")
        os.environ["NTLM_USER_FILE"] = str(self._ntlm_file)
        try:
            yield
        finally:
            if before is None:
                del os.environ["NTLM_USER_FILE"]
            else:
                os.environ["NTLM_USER_FILE"] = before


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """What a connection says about its other end before anything is read from it."""

    address: str
    certificate_subject: str | None


class Logon:
    """One connection's way from stranger to user."""

    def __init__(
        self, accounts: Accounts, *, node: str, peer: Peer, certificate_sha256: bytes | None
    ) -> None:
        self.user: str | None = None
        self.context: spnego.ContextProxy | None = None
        """The keys for sealed messages; None where the user came by Basic or certificate."""
        self._accounts = accounts
        self._node = node
        self._peer = peer
        self._bindings = certificate_sha256 and GssChannelBindings(
            application_data=b"tls-server-end-point:" + certificate_sha256
        )

    def authenticate(self, request: Request, *, basic: bool) -> Response | None:
        """Take a request's Authorization into account.

        Returns None if `user` may now be served, else the answer to give: a challenge, which keeps
        the connection, or a refusal, which ends it.
        """
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        match scheme.lower():
            case "":
                return None if self.user else refusal(basic=basic)
            case "basic" if basic:
                self.context = None
                self.user = self._basic_user(value)
            case "negotiate":
                if challenge := self._negotiate(value):
                    return challenge
            case other if other == MUTUAL and self._peer.certificate_subject:
                self.context = None
                known = self._accounts.knows(self._peer.certificate_subject)
                self.user = self._peer.certificate_subject if known else None
            case _:
                self.user = None
        return None if self.user else refusal(basic=basic)

    def _basic_user(self, value: str) -> str | None:
        try:
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except ValueError:
            return None
        return user if self._accounts.accepts(user, password) else None

    def _negotiate(self, value: str) -> Response | None:
        """One step of the handshake; sets `user` at its end, and returns the challenge before."""
        if self.user or not self.context:
            self.user = None
            self.context = None
        try:
            token = base64.b64decode(value, validate=True)
            if self._bindings and NO_BINDING in token:
                raise ValueError("the client declares that its log-on is bound to no channel")
            with self._accounts.readable_by_ntlm():
                self.context = self.context or self._new_context(token)
                answer = self.context.step(token)
        except UNREADABLE:
            self.context = None
            return None
        if self.context.complete:
            self.user = self.context.client_principal
            return None
        headers = (("WWW-Authenticate", "Negotiate " + base64.b64encode(answer or b"").decode()),)
        return Response(status=401, headers=headers)

    def _new_context(self, token: bytes) -> spnego.ContextProxy:
        """A bare NTLM token and one wrapped in SPNEGO need different acceptors."""
        bare = token.startswith(b"NTLMSSP\0")
        options: Mapping[str, Any] = {
            "protocol": "ntlm" if bare else "negotiate",
            "options": NegotiateOptions.use_ntlm if bare else NegotiateOptions.use_negotiate,
        }
        return spnego.server(
            hostname=self._node, service="http", channel_bindings=self._bindings or None, **options
        )


def refusal(*, basic: bool) -> Response:
    """A 401 as Windows words it: one line a scheme, no body, and the connection ends."""
    schemes = ("Negotiate", "Kerberos", *(('Basic realm="WSMAN"',) if basic else ()))
    headers = tuple(("WWW-Authenticate", scheme) for scheme in schemes)
    return Response(status=401, headers=headers, close=True)
