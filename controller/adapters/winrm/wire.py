"""The HTTP below pywinrm: one connection to one node, watched, bounded, and cut on demand.

pywinrm leaves the connection to requests, which would connect and log on again whenever it sees
fit, follow redirects, read answers of any size, and wait on a socket that nobody else can reach.
"""

import socket
import threading
import weakref
from typing import Any, Literal

import requests
import requests.adapters
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError
from winrm.encryption import Encryption
from winrm.exceptions import InvalidCredentialsError, WinRMTransportError
from winrm.transport import Transport

from controller.adapters.winrm.credentials import Credentials
from controller.adapters.winrm.credssp import CredSSPAuth
from controller.adapters.winrm.endpoints import SEALED, Endpoint
from controller.adapters.winrm.kerberos import KerberosAuth, NoTicket, Tickets
from controller.errors import SpecError

MUTUAL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
"""What a client says that proves itself by its certificate (WS-Management, C.3.6)."""
ANSWER_BYTES_MAX = 2 * 1024 * 1024
"""Windows sends at most 500 KiB an answer; sealing and headers add little."""
REFUSAL_BYTES_MAX = 64 * 1024
_METHODS: dict[str, Literal["basic", "ntlm"]] = {
    "Basic": "basic",
    "NTLM": "ntlm",
    # pywinrm prepares the session as for these, and the log-on is put in afterwards.
    "Kerberos": "ntlm",
    "CredSSP": "ntlm",
    "Certificate": "basic",
}


class LogonDue(requests.ConnectionError):
    """A new connection or log-on would be needed, and it is not this exchange's turn for one."""


class Wire(requests.adapters.HTTPAdapter):
    """Carries the exchanges with one node.

    `may_log_on`: whether this exchange has the turn to log on. `touched`: whether any byte of a
    request has left since it was last set to False; if not, nothing can have been executed.
    `turned_away`: whether a new connection was wanted out of turn.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.may_log_on = False
        self.touched = False
        self.turned_away = False
        self.peer_certificate: list[bytes] = []
        """The certificate of the present connection, if it has one."""
        self._endpoint = endpoint
        self._connections: weakref.WeakSet[HTTPConnection] = weakref.WeakSet()
        self._lock = threading.Lock()
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Verify certificates against the node's own name, whatever address it is reached by."""
        if self._endpoint.tls:
            kwargs["assert_hostname"] = self._endpoint.certificate_name
            kwargs["server_hostname"] = self._endpoint.certificate_name
        if self._endpoint.pin:
            kwargs["assert_fingerprint"] = self._endpoint.pin
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _watched_pools(self)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        """One HTTP exchange; a demand to log on is passed on only when it is our turn."""
        self.turned_away = False
        try:
            response = super().send(request, **kwargs)
        except requests.ConnectionError as error:
            if self.turned_away:
                raise LogonDue("the connection to the node is gone") from error
            raise
        if response.status_code == 401:
            # A handshake on an old connection would be a log-on that nobody counts. Basic has no
            # handshake: its 401 is the refusal itself, and must be seen as such.
            if not self.may_log_on and "Authorization" not in request.headers:
                response.close()
                raise LogonDue("the node asks for a new log-on")
            length = response.headers.get("Content-Length", "")
            if not length.isdecimal() or int(length) > REFUSAL_BYTES_MAX:
                response.close()
                raise requests.ConnectionError("a refusal of unreasonable size")
        return response

    def watch(self, connection: HTTPConnection) -> None:
        """Remember a connection that is about to be made."""
        with self._lock:
            self._connections.add(connection)

    def cut(self) -> None:
        """End whatever is under way, from any thread: a blocked read returns at once."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            sock = connection.sock
            if sock is None:
                continue
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # closed already, or in its TLS handshake, which ends by itself


class NodeTransport(Transport):
    """pywinrm's transport on a Wire: certificates always checked, no proxy, no redirect."""

    def __init__(
        self, endpoint: Endpoint, authentication: str, ca_file: str | None, tickets: Tickets | None
    ) -> None:
        """`tickets` are given with Kerberos. Raises SpecError for what is never spoken."""
        if not endpoint.tls and authentication not in SEALED:
            raise SpecError(f"{authentication} to {endpoint.node} without TLS is never spoken")
        super().__init__(
            endpoint=endpoint.url,
            username="-",
            password="",
            auth_method=_METHODS[authentication],
            ca_trust_path=ca_file,  # type: ignore[arg-type]  # None: only the machine's own
            # A pinned certificate is compared as a whole, and its signer is of no account.
            server_cert_validation="ignore" if endpoint.pin else "validate",
            message_encryption="never" if endpoint.tls else "always",
            proxy=None,
        )
        self._endpoint = endpoint
        self._authentication = authentication
        self._tickets = tickets
        self.wire = Wire(endpoint)
        self.credentials: Credentials | None = None

    def use(self, credentials: Credentials) -> None:
        """Log on as this account from now on. Raises NoTicket if they are for another kind."""
        if credentials == self.credentials:
            return
        try:
            credentials.check(self._authentication)
        except SpecError as error:
            raise NoTicket(f"no log-on was tried: {error}") from error
        self.close_session()
        self.credentials = credentials
        self.username = credentials.username
        self.password = credentials.password.reveal()
        if self.auth_method == "basic":
            # requests would encode these as Latin-1, and fail with part of a password in its text.
            self.username = self.username.encode("utf-8")  # type: ignore[assignment]
            self.password = self.password.encode("utf-8")  # type: ignore[assignment]

    def build_session(self) -> requests.Session:
        """The session, whole or not at all.

        pywinrm keeps a session whose handshake failed, and would then speak on it in clear text.
        """
        fresh = self.session is None
        built = False
        try:
            session: requests.Session = super().build_session()
            built = True
        finally:
            if not built:
                self.close_session()
        if fresh:
            self._prepare(session)
        return session

    def setup_encryption(self, session: requests.Session) -> None:
        """Log on over plain HTTP; everything after is sealed."""
        self._prepare(session)
        super().setup_encryption(session)
        if self._authentication == "Kerberos":
            self.encryption = Encryption(session, "kerberos")

    def close_session(self) -> None:
        """Forget connection and security context; the next exchange logs on."""
        super().close_session()
        self.encryption = None

    def _prepare(self, session: requests.Session) -> None:
        session.trust_env = False  # no proxy, no netrc, no CA bundle from the environment
        session.max_redirects = 0
        session.mount("https://", self.wire)
        session.mount("http://", self.wire)
        assert self.credentials is not None, "there is no session before a log-on"
        if self._authentication == "Kerberos" and not isinstance(session.auth, KerberosAuth):
            assert self._tickets is not None
            cache = self._tickets.cache_of(self.credentials)
            session.auth = KerberosAuth(self._endpoint, cache, self.wire.peer_certificate)
        elif self._authentication == "CredSSP" and not isinstance(session.auth, CredSSPAuth):
            session.auth = CredSSPAuth(self._endpoint, self.credentials)
        elif self._authentication == "Certificate":
            session.auth = None
            session.cert = (self.credentials.certificate, self.credentials.key)
            session.headers["Authorization"] = MUTUAL

    def _send_message_request(
        self, session: requests.Session, prepared_request: requests.PreparedRequest
    ) -> requests.Response:
        """As pywinrm's, but no redirect is followed and the answer is read up to a bound."""
        response = session.send(
            prepared_request, timeout=self.read_timeout_sec, stream=True, allow_redirects=False
        )
        _read_bounded(response)
        if response.status_code == 401:
            raise InvalidCredentialsError("refused")
        if response.status_code != 200:
            text = self._get_message_response_text(response) if response.content else b""
            raise WinRMTransportError("http", response.status_code, text.decode("utf-8", "replace"))
        return response


def _read_bounded(response: requests.Response) -> None:
    pieces: list[bytes] = []
    size_bytes = 0
    for piece in response.iter_content(64 * 1024):
        size_bytes += len(piece)
        if size_bytes > ANSWER_BYTES_MAX:
            response.close()
            raise requests.ConnectionError(f"an answer above {ANSWER_BYTES_MAX} bytes")
        pieces.append(piece)
    # What `Response.content` would have set, had it read the stream itself.
    response._content = b"".join(pieces)


class _Watched:
    """A connection that is made only when its wire has the turn to log on."""

    wire: Wire
    sock: socket.socket | None

    def connect(self) -> None:
        assert isinstance(self, HTTPConnection)
        if not self.wire.may_log_on:
            self.wire.turned_away = True
            raise NewConnectionError(self, "not our turn to connect")
        self.wire.watch(self)
        super().connect()  # type: ignore[misc]
        shown = getattr(self.sock, "getpeercert", lambda binary_form: None)(binary_form=True)
        self.wire.peer_certificate[:] = [shown] if shown else []

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        self.wire.touched = True
        super().send(data)  # type: ignore[misc]


def _watched_pools(its_wire: Wire) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(_Watched, HTTPConnection):
        wire = its_wire

    class Sealed(_Watched, HTTPSConnection):
        wire = its_wire

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SealedPool(HTTPSConnectionPool):
        ConnectionCls = Sealed

    return {"http": PlainPool, "https": SealedPool}
