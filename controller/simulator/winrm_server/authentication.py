"""Who is on a connection: Basic, a client certificate, NTLM or Kerberos under Negotiate, CredSSP.

The last three authenticate the connection, not the request: once a token has been accepted,
requests on the same connection carry no Authorization header, and on another one they are strangers
again ([MS-NTHT] 1.3).
"""

import base64
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import spnego
from spnego.channel_bindings import GssChannelBindings
from spnego.exceptions import NegotiateOptions, SpnegoError

from controller.simulator.winrm_server.http import Request, Response
from controller.simulator.winrm_server.settings import WinRMSettings

MUTUAL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
"""The Authorization header of a client that authenticates by its certificate."""

NO_BINDING = b"\x0a\x00\x10\x00" + bytes(16)
"""The pair MsvAvChannelBindings with a hash of zeros ([MS-NLMP] 2.2.2.1): what clients send that
know of bindings and have none. pyspnego lets it pass; CbtHardeningLevel Strict does not."""

KERBEROS = bytes.fromhex("06092a864886f712010202")
"""The object id with which a bare Kerberos token begins, after tag and length (RFC 4121, 4.1)."""
CHANNEL_BOUND = 0x800
"""GSS_C_CHANNEL_BOUND_FLAG: the initiator gave bindings, and they are ours."""

UNREADABLE = (SpnegoError, ValueError, LookupError, struct.error)
"""What pyspnego raises for a token that is refused, or that is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user as clients write it (`svc`, `CORP\\svc`, `svc@corp.example`), and the password."""

    user: str
    password: str = field(repr=False)


class Accounts:
    """The accounts of one site, and the files in which NTLM and Kerberos want to read them.

    pyspnego finds the acceptor's credentials only through environment variables of the process;
    they are set for the length of one step, so that two sites in one process do not meet.
    `keytab` holds the keys of the nodes' HTTP services; without it there is no Kerberos here.
    """

    def __init__(
        self, accounts: Sequence[Account], directory: Path, *, keytab: Path | None = None
    ) -> None:
        self.keytab = keytab
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
    def readable(self) -> Iterator[None]:
        """Point NTLM and Kerberos at these accounts; nothing may be awaited inside."""
        ours = {
            "NTLM_USER_FILE": str(self._ntlm_file),
            "KRB5_KTNAME": str(self.keytab or "/dev/null"),
            "KRB5RCACHENAME": "none:",  # no file of tickets seen, which is for real services
        }
        before = {name: os.environ.get(name) for name in ours}
        os.environ.update(ours)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


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
        self.proof: tuple[tuple[str, str], ...] = ()
        """The header by which the node proves itself, for the answer to a log-on by Kerberos."""
        self._accounts = accounts
        self._node = node
        self._peer = peer
        self._bindings = certificate_sha256 and GssChannelBindings(
            application_data=b"tls-server-end-point:" + certificate_sha256
        )

    def authenticate(self, request: Request, *, settings: WinRMSettings) -> Response | None:
        """Take a request's Authorization into account.

        Returns None if `user` may now be served, else the answer to give: a challenge, which keeps
        the connection, or a refusal, which ends it.
        """
        self.proof = ()
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        match scheme.lower():
            case "":
                return None if self.user else refusal(settings)
            case "basic" if settings.basic:
                self.context = None
                self.user = self._basic_user(value)
            case "negotiate" | "kerberos":
                if challenge := self._negotiate(value):
                    return challenge
            case "credssp" if settings.credssp:
                if challenge := self._credssp(value):
                    return challenge
            case other if other == MUTUAL and self._peer.certificate_subject:
                self.context = None
                known = self._accounts.knows(self._peer.certificate_subject)
                self.user = self._peer.certificate_subject if known else None
            case _:
                self.user = None
        return None if self.user else refusal(settings)

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
            with self._accounts.readable():
                self.context = self.context or self._new_context(token)
                answer = self.context.step(token)
        except UNREADABLE:
            self.context = None
            return None
        headers = (("WWW-Authenticate", "Negotiate " + base64.b64encode(answer or b"").decode()),)
        if not self.context.complete:
            return Response(status=401, headers=headers)
        user = self.context.client_principal
        if self.context.negotiated_protocol == "kerberos":
            # A ticket says who somebody is; that he may come in is for the node to know.
            self.proof = headers if answer else ()
            # pyspnego has no word for this flag, so its own property leaves it out.
            flags = getattr(self.context, "_context_attr", 0)
            bound = not self._bindings or flags & CHANNEL_BOUND
            user = user if user and bound and self._accounts.knows(user) else None
        self.user = user
        return None

    def _credssp(self, value: str) -> Response | None:
        """One step of [MS-CSSP] 3.1.5; sets `user` when the account's password has arrived."""
        if self.user or not self.context:
            self.user = None
            self.context = None
        try:
            with self._accounts.readable():
                self.context = self.context or self._new_credssp()
                answer = self.context.step(base64.b64decode(value, validate=True))
        except UNREADABLE:
            self.context = None
            return None
        if self.context.complete:
            given = self.context.get_extra_info("client_credential")
            user = f"{given.domain_name}\\{given.username}" if given.domain_name else given.username
            self.user = user if self._accounts.accepts(user, given.password) else None
            # Over TLS nothing is sealed besides.
            self.context = None
            return None
        refused = self.context.get_extra_info("auth_stage") == "Authentication failure"
        token = base64.b64encode(answer or b"").decode()
        headers = (("WWW-Authenticate", f"CredSSP {token}"),)
        return Response(status=401, headers=headers, close=refused)

    def _new_credssp(self) -> spnego.ContextProxy:
        """NTLM tokens inside, as they are; SPNEGO around them is not taken here."""
        inner = spnego.server(
            hostname=self._node,
            service="http",
            protocol="ntlm",
            options=NegotiateOptions.use_ntlm,
        )
        return spnego.server(
            hostname=self._node,
            service="http",
            protocol="credssp",
            credssp_negotiate_context=inner,
        )

    def _new_context(self, token: bytes) -> spnego.ContextProxy:
        """A bare NTLM or Kerberos token and one wrapped in SPNEGO need different acceptors."""
        protocol, options = "negotiate", NegotiateOptions.use_negotiate
        if token.startswith(b"NTLMSSP\0"):
            protocol, options = "ntlm", NegotiateOptions.use_ntlm
        elif KERBEROS in token[:16]:
            if self._accounts.keytab is None:
                raise ValueError("there is no Kerberos here")
            protocol, options = "kerberos", NegotiateOptions.none
        return spnego.server(
            hostname=self._node,
            service="http",
            channel_bindings=self._bindings or None,
            protocol=protocol,
            options=options,
        )


def refusal(settings: WinRMSettings) -> Response:
    """A 401 as Windows words it: one line a scheme, no body, and the connection ends."""
    schemes = ["Negotiate", "Kerberos"]
    schemes += ['Basic realm="WSMAN"'] if settings.basic else []
    schemes += ["CredSSP"] if settings.credssp else []
    headers = tuple(("WWW-Authenticate", scheme) for scheme in schemes)
    return Response(status=401, headers=headers, close=True)
