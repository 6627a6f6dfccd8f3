"""Logging on by Kerberos: the tickets of one account, and the handshake on one connection.

pywinrm's own Kerberos stands on pykerberos, whose tickets come from the environment of the process;
here the account is the cluster's own, and the tickets lie in memory.
"""

import base64
import threading
import time
from typing import Any

import requests
import requests.auth
import spnego
import spnego.exceptions
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from spnego import ContextProxy, KerberosCCache
from spnego.channel_bindings import GssChannelBindings

from controller.adapters.winrm.credentials import Credentials
from controller.adapters.winrm.endpoints import Endpoint
from controller.adapters.winrm.frames import shown
from controller.errors import LogonRefused, SpecError

try:
    import krb5
except ImportError:  # the extra is not installed
    krb5 = None

FRESH_SECONDS = 600
"""A ticket that ends sooner is renewed before it is used."""
_TEXT_CHARACTERS_MAX = 256
# What counts as a bad log-on with the domain controller (krb5.h): unknown account, revoked or
# expired, wrong password with and without pre-authentication.
_REFUSED = frozenset({-1765328378, -1765328366, -1765328361, -1765328360, -1765328353})


class NoTicket(LogonRefused):
    """No log-on was tried, for want of a ticket for the node; nothing counts it."""


def with_token(
    response: requests.Response, scheme: str, token: bytes, **options: Any
) -> requests.Response:
    """What the node answers to the same request with a step of the log-on, on this connection."""
    _ = response.content  # so that the connection may serve again
    response.raw.release_conn()
    request = response.request.copy()
    request.headers["Authorization"] = f"{scheme} {base64.b64encode(token).decode()}"
    answer: requests.Response = response.connection.send(request, **options)
    answer.history.append(response)
    return answer


class Tickets:
    """Gets the account's ticket and keeps it in memory until it is about to end. Thread-safe."""

    def __init__(self) -> None:
        if krb5 is None:
            raise SpecError("Kerberos is not supported here: install ownernode[kerberos]")
        self._lock = threading.Lock()
        self._credentials: Credentials | None = None
        self._cache: Any = None
        self._ends_at = 0.0

    def cache_of(self, credentials: Credentials) -> str:
        """The name of a cache with a ticket-granting ticket.

        Raises LogonRefused if the domain refuses the account, NoTicket if it can't be asked.
        """
        if credentials.cache:
            return credentials.cache
        with self._lock:
            fresh = self._ends_at - time.time() > FRESH_SECONDS
            if credentials != self._credentials or not fresh:
                self._fetch(credentials)
                self._credentials = credentials
            return f"MEMORY:{self._cache.name.decode()}"

    def _fetch(self, credentials: Credentials) -> None:
        context = krb5.init_context()
        try:
            principal = krb5.parse_name_flags(context, credentials.username.encode())
            options = krb5.get_init_creds_opt_alloc(context)
            krb5.get_init_creds_opt_set_canonicalize(options, True)
            if credentials.keytab:
                keys = krb5.kt_resolve(context, credentials.keytab.encode())
                ticket = krb5.get_init_creds_keytab(context, principal, options, keytab=keys)
            else:
                password = credentials.password.reveal().encode()
                ticket = krb5.get_init_creds_password(
                    context, principal, options, password=password
                )
            cache = krb5.cc_new_unique(context, b"MEMORY")
            krb5.cc_initialize(context, cache, ticket.client)
            krb5.cc_store_cred(context, cache, ticket)
        except krb5.Krb5Error as error:
            text = f"no ticket for {credentials.username}: {error}"
            kind = LogonRefused if error.err_code in _REFUSED else NoTicket
            raise kind(shown(text[:_TEXT_CHARACTERS_MAX])) from error
        # The cache before goes with the process: another thread may be in the middle of using it.
        self._cache = cache
        self._ends_at = ticket.times.endtime


class KerberosAuth(requests.auth.AuthBase):
    """Answers a node's demand to log on with a ticket, and sees that the node proves itself.

    Also what pywinrm's sealing asks for: `wrap_winrm` and `unwrap_winrm`.
    """

    def __init__(self, endpoint: Endpoint, cache: str, peer_certificate: list[bytes]) -> None:
        """`peer_certificate` holds the one of the connection, once there is one."""
        self._endpoint = endpoint
        self._cache = cache
        self._peer_certificate = peer_certificate
        self._context: ContextProxy | None = None

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Be asked when the answer is there."""
        request.register_hook("response", self._answer)  # type: ignore[no-untyped-call]
        return request

    def wrap_winrm(self, host: str, message: bytes) -> tuple[bytes, bytes]:
        """Seal a message: cipher text and signature."""
        assert self._context is not None
        sealed = self._context.wrap_winrm(message)
        return sealed.data, sealed.header

    def unwrap_winrm(self, host: str, message: bytes, signature: bytes) -> bytes:
        """Open a sealed message."""
        assert self._context is not None
        return self._context.unwrap_winrm(signature, message)

    def _answer(self, response: requests.Response, **options: Any) -> requests.Response:
        if response.status_code != 401:
            return response
        context, token = self._begin()
        # A bare Kerberos token under Negotiate is what pywinrm has always sent.
        answer = with_token(response, "Negotiate", token, **options)
        if answer.status_code != 401:
            self._end(context, answer)
        return answer

    def _begin(self) -> tuple[ContextProxy, bytes]:
        try:
            context = spnego.client(
                KerberosCCache(self._cache),
                hostname=self._endpoint.certificate_name.lower(),
                service="HTTP",
                protocol="kerberos",
                channel_bindings=_bindings(self._peer_certificate),
            )
            return context, context.step() or b""
        except (spnego.exceptions.SpnegoError, krb5.Krb5Error) as error:
            cause = getattr(error, "base_error", None) or error
            text = f"no ticket for HTTP/{self._endpoint.certificate_name}: {cause}"
            raise NoTicket(shown(text[:_TEXT_CHARACTERS_MAX])) from error

    def _end(self, context: ContextProxy, answer: requests.Response) -> None:
        offered = answer.headers.get("WWW-Authenticate", "").partition(" ")[2]
        try:
            context.step(base64.b64decode(offered, validate=True))
        except (spnego.exceptions.SpnegoError, ValueError) as error:
            answer.close()
            raise requests.ConnectionError("the node did not prove who it is") from error
        self._context = context


def _bindings(certificates: list[bytes]) -> GssChannelBindings | None:
    """`tls-server-end-point` of RFC 5929: the certificate's hash, by its signature's algorithm."""
    if not certificates:
        return None
    algorithm = x509.load_der_x509_certificate(certificates[0]).signature_hash_algorithm
    if algorithm is None or algorithm.name in ("md5", "sha1"):
        algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(certificates[0])
    return GssChannelBindings(application_data=b"tls-server-end-point:" + digest.finalize())
