"""The simulated cluster put on the network: a world on real time behind its nodes' WinRM services.

async with SimulatedSite(world, user="CORP\\\\svc", password="...") as site:
    site.addresses["HV01.corp.example"]     # "127.0.1.1:40001"
"""

import asyncio
import contextlib
import importlib.util
from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from controller.model.names import fold
from controller.simulator.agent_process import AgentHost, shipped_scripts
from controller.simulator.builtin_processes import BuiltinProcesses
from controller.simulator.cmdlet_errors import NodeHangs, NodeUnreachable
from controller.simulator.engine import ENGINES_MAX, EngineHost
from controller.simulator.inventory import Node
from controller.simulator.invoke import invoke
from controller.simulator.processes import Endpoints, ProcessHost
from controller.simulator.responder import respond
from controller.simulator.values import Value
from controller.simulator.winrm_server.authentication import Account, Accounts
from controller.simulator.winrm_server.certificates import CertificateAuthority, Validity
from controller.simulator.winrm_server.server import NodeServer, Security, bind_listeners
from controller.simulator.winrm_server.settings import WinRMSettings
from controller.simulator.world import World

TICK_SECONDS = 0.05
"""How far the world may lag behind when nobody asks it anything."""

LOOPBACK = IPv4Address("127.0.1.0")
"""Node 1 is served at the next address; all of 127.0.0.0/8 is this machine."""


class WorldClock:
    """Lets a world run with the event loop's clock, `speed` world seconds a real one."""

    def __init__(self, world: World, *, speed: float = 1.0) -> None:
        self.world = world
        self.speed = speed
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._base = world.now

    def advance(self) -> None:
        """Bring the world to the present; whoever is about to ask it something calls this."""
        self.world.advance_to(self._base + (self._loop.time() - self._started) * self.speed)

    async def sleep_until(self, world_seconds: float) -> None:
        """Return when the world has come to this moment."""
        while world_seconds > self.world.now:
            await asyncio.sleep((world_seconds - self.world.now) / self.speed)
            self.advance()


class SimulatedSite:
    """An async context manager: inside, each powered node of the world answers at its address.

    `engine` is the PowerShell engine in which the nodes' scripts run; without one the simulator
    answers the agent's frames itself.
    Everything that the site writes lies in a directory that goes with it.
    """

    def __init__(
        self,
        world: World,
        *,
        user: str,
        password: str,
        port: int = 0,
        speed: float = 1.0,
        engine: Path | None = None,
        settings: WinRMSettings | None = None,
        keytab: Path | None = None,
        validity: Validity = Validity.GOOD,
    ) -> None:
        if engine and len(world.cluster.nodes) > ENGINES_MAX:
            raise ValueError(f"with a PowerShell engine a cluster has {ENGINES_MAX} nodes at most")
        self.world = world
        self.user = user
        self.password = password
        self.servers: Mapping[str, NodeServer] = {}
        """By the cluster's name of the node."""
        self._aligning = asyncio.Lock()
        self._port = port
        self._speed = speed
        self._engine = engine
        self._settings = settings or WinRMSettings(https=True)
        self._keytab = keytab
        self._validity = validity

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            directory = Path(stack.enter_context(TemporaryDirectory(prefix="ownernode-simulator-")))
            self.authority = authority = CertificateAuthority(directory)
            self.ca_file = authority.ca_file
            self.clock = WorldClock(self.world, speed=self._speed)
            account = Account(user=self.user, password=self.password)
            accounts = Accounts((account,), directory, keytab=self._keytab)
            security = Security(accounts=accounts, ca_file=authority.ca_file)
            self.servers = self._make_servers(authority, security, self._make_host(stack))
            for server in self.servers.values():
                stack.push_async_callback(server.close)
            await self.align()
            self._pump = asyncio.create_task(self._keep_pace(), name="simulated world")
            stack.push_async_callback(self._stop_pump)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    @property
    def addresses(self) -> Mapping[str, str]:
        """Address and port by the node's full name."""
        return {
            self._full_name(self.world.node(name)): f"{server.address[0]}:{server.address[1]}"
            for name, server in self.servers.items()
        }

    async def align(self) -> None:
        """Let those nodes answer that have power, and no others."""
        async with self._aligning:
            self.clock.advance()
            for name, server in self.servers.items():
                powered = self.world.node(name).powered
                if powered and not server.running:
                    await server.start()
                elif server.running and not powered:
                    await server.stop()

    async def respond(
        self, node: str, operation: str, arguments: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Carry out an agent's operation now; a node that lost power never answers."""
        while True:
            self._come_to_now()
            try:
                return respond(self.world, node, operation, arguments)
            except NodeHangs as hanging:
                await self.clock.sleep_until(hanging.until)
            except NodeUnreachable:
                # `align` is about to end this process with its node; nothing is said before.
                await asyncio.Event().wait()

    async def run_cmdlet(
        self, node: str, cmdlet: str, parameters: Mapping[str, Value]
    ) -> list[Value]:
        """Run one cmdlet for a node's engine now; NodeUnreachable if the node has no power."""
        while True:
            self._come_to_now()
            try:
                return invoke(self.world, node, cmdlet, parameters)
            except NodeHangs as hanging:
                await self.clock.sleep_until(hanging.until)

    def _come_to_now(self) -> None:
        if self._pump.done():
            self._pump.result()
        self.clock.advance()

    def _make_host(self, stack: contextlib.AsyncExitStack) -> ProcessHost:
        if self._engine is None:
            agents = AgentHost(self.respond, shipped_scripts(), started=self.world.jobs.forget)
            return BuiltinProcesses(powershell=agents)
        engines = EngineHost(self._engine, self.run_cmdlet)
        stack.push_async_callback(engines.close)
        return BuiltinProcesses(powershell=engines)

    def _make_servers(
        self, authority: CertificateAuthority, security: Security, host: ProcessHost
    ) -> dict[str, NodeServer]:
        nodes = sorted(self.world.cluster.nodes.values(), key=lambda node: fold(node.name))
        listeners = bind_listeners([str(LOOPBACK + node.number) for node in nodes], self._port)
        endpoints = self._endpoints()
        return {
            node.name: NodeServer(
                node.name,
                listener,
                host,
                security,
                settings=self._settings,
                endpoints=endpoints,
                certificate=(
                    authority.issue_for_node(self._full_name(node), validity=self._validity)
                    if self._settings.https
                    else None
                ),
            )
            for node, listener in zip(nodes, listeners, strict=True)
        }

    def _endpoints(self) -> Endpoints:
        """The JEA endpoint, where the package for it is installed and no engine is wanted."""
        if self._engine is not None or importlib.util.find_spec("psrpcore") is None:
            return {}
        from controller.simulator.jea import endpoints  # only where psrpcore is

        return endpoints(self.respond, self._settings, started=self.world.jobs.forget)

    def _full_name(self, node: Node) -> str:
        return f"{node.name}.{self.world.cluster.domain}"

    async def _keep_pace(self) -> None:
        while True:
            await self.align()
            await asyncio.sleep(TICK_SECONDS)

    async def _stop_pump(self) -> None:
        """A world that broke on its way is told here, where the site ends."""
        self._pump.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._pump
