"""The WinRM service of one simulated node: a listener, its connections, and what befalls them."""

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.simulator.processes import Endpoints, ProcessHost
from controller.simulator.winrm_server.authentication import Accounts, Logon, Peer, refusal
from controller.simulator.winrm_server.certificates import IssuedCertificate
from controller.simulator.winrm_server.encryption import (
    SealBroken,
    seal,
    sealing_protocol,
    unseal,
)
from controller.simulator.winrm_server.faults import WSManFault
from controller.simulator.winrm_server.http import (
    HEAD_BYTES_MAX,
    BadRequest,
    Request,
    Response,
    read_request,
)
from controller.simulator.winrm_server.injection import Cut, Faults
from controller.simulator.winrm_server.operations import Caller, Operations
from controller.simulator.winrm_server.settings import WinRMSettings
from controller.simulator.winrm_server.soap import parse_request, render_fault, render_reply

PORT_TRIES_MAX = 20
"""A port that is free on the first address is nearly always free on the others too."""


TLS_FAREWELL_SECONDS = 0.1
"""A blocking client answers the end of TLS only when it next looks at its socket: don't wait."""


class ConnectionCut(Exception):
    """The connection ends here, without a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """What a site's nodes have in common: accounts, and the authority behind certificates."""

    accounts: Accounts
    ca_file: Path


class NodeServer:
    """One node's WinRM service. It may die and come back; its port stays its own.

    `node` is the cluster's name of the node, under which processes are started.

    `counts` tells what has been asked of it: HTTP exchanges as `HTTP`, handshakes as `LogOn` and
    `LogOnRefused`, operations by the last word of their action.
    """

    def __init__(
        self,
        node: str,
        listener: socket.socket,
        host: ProcessHost,
        security: Security,
        *,
        settings: WinRMSettings,
        certificate: IssuedCertificate | None = None,
        faults: Faults | None = None,
        endpoints: Endpoints | None = None,
    ) -> None:
        self.node = node
        self.address: tuple[str, int] = listener.getsockname()
        self.faults = faults or Faults()
        self.counts: Counter[str] = Counter()
        self._listener = listener
        self._security = security
        self._settings = settings
        self._certificate = certificate
        self._operations = Operations(node, host, settings, endpoints or {})
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._awake = asyncio.Event()
        self._awake.set()

    @property
    def running(self) -> bool:
        return self._server is not None

    @property
    def fingerprint(self) -> str | None:
        """SHA-256 of its certificate, in hex; None over plain HTTP."""
        return self._certificate.sha256.hex() if self._certificate else None

    @property
    def shells(self) -> int:
        """How many shells are open."""
        return len(self._operations.shells)

    @property
    def connections(self) -> Collection[asyncio.Task[None]]:
        """A task for each connection, which ends with it."""
        return self._connections.keys()

    async def start(self) -> None:
        """Accept connections; a node that comes back knows no shell of before."""
        tls = None
        if self._certificate:
            tls = self._certificate.server_context(client_ca_file=self._security.ca_file)
        self._server = await asyncio.start_server(
            self._accept,
            sock=self._listener,
            ssl=tls,
            ssl_shutdown_timeout=TLS_FAREWELL_SECONDS if tls else None,
            limit=HEAD_BYTES_MAX,
        )

    async def stop(self) -> None:
        """Be dead: refuse connections, end those there are, and every shell with its processes."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        # Bound and not listening, the port refuses callers and is kept from other programs.
        self._listener = _bind(*self.address)
        await self.drop_connections()
        await self.kill_shells()

    async def close(self) -> None:
        """Stop for good and let go of the port."""
        await self.stop()
        self._listener.close()

    async def drop_connections(self) -> None:
        """Cut every connection, in the middle of whatever it is doing."""
        connections = dict(self._connections)
        for task, writer in connections.items():
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def kill_shells(self) -> None:
        """End all shells, as a restart of the WinRM service does."""
        await self._operations.shells.remove_all()

    def freeze(self) -> None:
        """Go on accepting, and answer nothing, until thawed."""
        self._awake.clear()

    def thaw(self) -> None:
        self._awake.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer), name=f"connection to {self.node}")
        self._connections[task] = writer
        task.add_done_callback(self._connections.pop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._converse(reader, writer)
        except (ConnectionCut, ConnectionError, asyncio.IncompleteReadError):
            writer.transport.abort()
        except TimeoutError:
            pass
        except BadRequest:
            writer.write(Response(status=400, close=True).render())
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(
            address=writer.get_extra_info("peername")[0],
            certificate_subject=_common_name(writer.get_extra_info("peercert")),
        )
        logon = Logon(
            self._security.accounts,
            node=self.node,
            peer=peer,
            certificate_sha256=self._certificate.sha256 if self._certificate else None,
        )
        closing = False
        while not closing:
            async with asyncio.timeout(self._settings.idle_seconds):
                request = await read_request(
                    reader, body_bytes_max=self._settings.envelope_bytes_max
                )
            if request is None:
                return
            await self._awake.wait()
            self.counts["HTTP"] += 1
            response = await self._answer(request, logon, peer)
            writer.write(response.render())
            await writer.drain()
            closing = response.close

    async def _answer(self, request: Request, logon: Logon, peer: Peer) -> Response:
        if request.body is None:
            return Response(status=413, close=True)
        if request.method != "POST" or not request.path.startswith("/wsman"):
            return Response(status=404, close=True)
        if denied := self._log_on(request, logon):
            return denied
        if not request.body:
            return Response(status=200, headers=logon.proof)
        protocol = sealing_protocol(request.headers.get("content-type", ""))
        clear = request.body
        if protocol and logon.context:
            try:
                clear = unseal(request.body, logon.context)
            except SealBroken:
                return Response(status=400, close=True)
        elif protocol:
            return Response(status=400, close=True)
        elif not (self._certificate or self._settings.allow_unencrypted):
            return Response(status=500, close=True)
        assert logon.user is not None, "who has not logged on was denied above"
        status, answer = await self._exchange(clear, request, logon.user, peer)
        if protocol and logon.context:
            content_type, body = seal(answer, logon.context, protocol)
            return Response(
                status=status, body=body, content_type=content_type, headers=logon.proof
            )
        return Response(status=status, body=answer, headers=logon.proof)

    def _log_on(self, request: Request, logon: Logon) -> Response | None:
        denied = logon.authenticate(request, settings=self._settings)
        if "authorization" not in request.headers:
            return denied
        if denied is None and self.faults.refuse_logons:
            logon.user = None
            denied = refusal(self._settings)
        if denied is None:
            self.counts["LogOn"] += 1
        elif denied.close:
            self.counts["LogOnRefused"] += 1
        return denied

    async def _exchange(
        self, clear: bytes, request: Request, user: str, peer: Peer
    ) -> tuple[int, bytes]:
        """One SOAP exchange: status and envelope of its answer."""
        host = request.headers.get("host", "")
        cut = self.faults.next_cut()
        message_id = ""
        try:
            wanted = parse_request(clear)
            message_id = wanted.message_id
            verb = wanted.action.rpartition("/")[2]
            if cut is Cut.BEFORE:
                raise ConnectionCut
            self.counts[verb] += 1
            if delay_seconds := self.faults.delays.get(verb):
                await asyncio.sleep(delay_seconds)
            if fault := self.faults.take_fault(verb):
                raise fault
            scheme = "https" if self._certificate else "http"
            caller = Caller(
                user=user, address=peer.address, endpoint=f"{scheme}://{host}{request.path}"
            )
            answer = 200, render_reply(wanted, await self._operations.perform(wanted, caller))
        except WSManFault as fault:
            machine = host.rpartition(":")[0] or host
            answer = 500, render_fault(message_id, fault.shape, machine=machine)
        if cut is Cut.AFTER:
            raise ConnectionCut
        return answer


def bind_listeners(addresses: Sequence[str], port: int) -> tuple[socket.socket, ...]:
    """Bind one port on every address; 0 finds one that is free on all of them.

    Raises OSError if the port is taken, or none is found.
    """
    for _ in range(PORT_TRIES_MAX):
        bound: list[socket.socket] = []
        try:
            for address in addresses:
                bound.append(_bind(address, bound[0].getsockname()[1] if bound else port))
        except OSError:
            for listener in bound:
                listener.close()
            if port:
                raise
        else:
            return tuple(bound)
    raise OSError(f"no port is free on all of {', '.join(addresses)}")


def _bind(address: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
    except OSError:
        listener.close()
        raise
    return listener


def _common_name(
    certificate: dict[str, tuple[tuple[tuple[str, str], ...], ...]] | None,
) -> str | None:
    """The common name of a client's certificate as ssl describes it; None without one."""
    for part in (certificate or {}).get("subject", ()):
        for key, value in part:
            if key == "commonName":
                return value
    return None
