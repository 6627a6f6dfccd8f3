"""Where a node listens, and by which name it must prove itself."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from controller.errors import SpecError
from controller.model.desired import Connection
from controller.model.names import fold, same_name, short_node

HTTPS_PORT = 5986
HTTP_PORT = 5985
"""Windows' own port for WinRM without TLS: spoken only where the messages are sealed."""
SEALED = frozenset({"Kerberos", "NTLM"})
"""Kinds of authentication that yield keys, with which messages are sealed over plain HTTP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One node's WinRM service."""

    node: str
    """The name that the node was asked for by."""
    host: str
    port: int
    tls: bool
    certificate_name: str
    """The name that its certificate must bear, and that its Kerberos service goes by."""
    pin: str | None = None
    """SHA-256 of the one certificate that is accepted, whoever signed it."""

    @property
    def url(self) -> str:
        """Address of the service."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}/wsman"


def endpoint_of(node: str, connection: Connection) -> Endpoint:
    """The configured address of a node, else its full name, over HTTPS.

    A node reached by a bare address must still show the certificate of its full name; one reached
    by another DNS name shows that name's. Raises SpecError where a password or a message would go
    in clear text, and where a node has no pinned certificate while others have.
    """
    full_name = _full_name(node, connection.seeds)
    address = connection.addresses.get(fold(short_node(node))) or connection.addresses.get(
        fold(node)
    )
    host, port = _split(address, node) if address else (full_name, HTTPS_PORT)
    tls = port != HTTP_PORT
    if not tls:
        _check_plain(node, connection)
    pin = connection.pins.get(fold(short_node(node)))
    if tls and connection.pins and pin is None:
        raise SpecError(f"no certificate of {node} is pinned, so that it cannot be trusted")
    return Endpoint(
        node=node,
        host=host,
        port=port,
        tls=tls,
        certificate_name=full_name if _is_address(host) else host,
        pin=pin,
    )


def _check_plain(node: str, connection: Connection) -> None:
    """Over plain HTTP nothing but the log-on proves the node, and only sealed messages are hid."""
    if connection.authentication == "CredSSP":
        raise SpecError(
            f"CredSSP to {node} at port {HTTP_PORT} would hand the password to a node that no"
            f" certificate proves; use its HTTPS listener (port {HTTPS_PORT})"
        )
    if connection.authentication not in SEALED:
        raise SpecError(
            f"{connection.authentication} to {node} at port {HTTP_PORT} would send the password"
            f" in clear text; use its HTTPS listener (port {HTTPS_PORT})"
        )
    if connection.authentication == "NTLM" and not connection.ntlm_over_http:
        raise SpecError(
            f"NTLM to {node} at port {HTTP_PORT} can be relayed by whoever sits between; use its"
            f" HTTPS listener (port {HTTPS_PORT}), or allow it with ntlmOverHTTP"
        )


def _full_name(node: str, seeds: Sequence[str]) -> str:
    """The seed of that name, else the name in the first seed's domain.

    Only configuration gives a domain: a node must not lead our log-on to a host of its choice.
    """
    short = short_node(node)
    for seed in seeds:
        if same_name(short_node(seed), short):
            return seed
    _, dot, domain = seeds[0].partition(".")
    return f"{short}{dot}{domain}"


def _split(address: str, node: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or address.rpartition("@")[1]:
        raise SpecError(f"the address of {node} is {address!r}; expected host:port")
    return host, port or HTTPS_PORT


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
