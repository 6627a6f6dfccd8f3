"""One simulated cluster behind each way to it: in process, and over real WinRM with each log-on."""

import asyncio
import fcntl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from controller.adapters.winrm.actuator import ClusterActuator
from controller.adapters.winrm.calling import Barred, NodeCaller
from controller.adapters.winrm.credentials import CredentialSource
from controller.adapters.winrm.logons import LogonGates
from controller.adapters.winrm.nodes import WinRMNodes
from controller.adapters.winrm.observer import ClusterObserver
from controller.adapters.winrm.program import load_program
from controller.adapters.winrm.session import Limits
from controller.model.control import Fence
from controller.model.desired import Connection, DiskTemplate, VMTemplate
from controller.model.names import fold, short_node
from controller.model.observed import ObservedState
from controller.model.plan import Action, ActionKind, ActionReason
from controller.ports import Clock
from controller.simulator.config import load_world
from controller.simulator.serve import SimulatedSite
from controller.simulator.winrm_server.certificates import Validity
from controller.simulator.winrm_server.server import NodeServer
from controller.simulator.winrm_server.settings import WinRMSettings
from controller.simulator.world import World
from tests.support.in_process import Call, InProcessCaller
from tests.support.virtual_time import VirtualClock, run_virtual

USER = "CORP\\svc-move"
PASSWORD = "Canary=7f3a Ω 91"
SEEDS = ("HV01.corp.example", "hv02.corp.example")
FOUR_NODES = """
cluster:
  name: c1
  domain: corp.example
  migrationsParallelMax: 2
  resiliencySeconds: 20
  parameters: {OwnernodeEpoch: 7, OwnernodeHolder: aaaaaaaa-0000-4000-8000-000000000007}
nodes: [{name: HV01}, {name: HV02}, {name: HV03}, {name: HV04}]
vms:
- {name: SQL01, node: HV01}
- {name: WEB01, node: HV02}
- {name: IDLE, node: HV03, state: "Off"}
- {name: LOOSE, node: HV03, clustered: false}
- {name: ISO, node: HV04, iso: "C:\\\\iso\\\\ws2025.iso"}
"""
FENCE = Fence(epoch=7, holder="aaaaaaaa-0000-4000-8000-000000000007")
"""Who holds these clusters."""
QUICK = Limits(connect_seconds=1, operation_seconds=1, read_grace_seconds=1, pause_seconds_max=0.2)
"""The same rules with shorter waits."""
WINRM_HTTP_PORT = 5985
LOOKS_MAX = 200


class RealClock:
    """Real time, in which `sleep` lasts a world's seconds."""

    def __init__(self, speed: float) -> None:
        self._speed = speed

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._speed)


class CountingSite(SimulatedSite):
    """Remembers what its nodes carried out."""

    executed: list[Call]

    async def respond(
        self, node: str, operation: str, arguments: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        reply = await super().respond(node, operation, arguments)
        number = len(self.executed) + 1
        self.executed.append(
            Call(number=number, node=node, operation=operation, arguments=arguments)
        )
        return reply


@dataclass(kw_only=True)
class Cluster:
    """A world and the adapters that look at it and act on it."""

    world: World
    caller: NodeCaller
    observer: ClusterObserver
    actuator: ClusterActuator
    clock: Clock
    executed: list[Call]
    servers: Mapping[str, NodeServer] = field(default_factory=dict)
    site: SimulatedSite | None = None
    connection: Connection | None = None
    credentials: CredentialSource = field(default_factory=CredentialSource)
    gates: LogonGates = field(default_factory=LogonGates)

    async def until(self, fulfilled: Callable[[ObservedState], bool]) -> ObservedState:
        """Look once a (world) second until what is seen fulfils this."""
        for _ in range(LOOKS_MAX):
            seen = await self.observer.observe()
            if fulfilled(seen):
                return seen
            await self.clock.sleep(1)
        raise AssertionError(f"not seen within {LOOKS_MAX} s; last: {seen}")

    def id_of(self, vm: str) -> str:
        return self.world.truth_of(vm).id

    def count(self, operation: str) -> int:
        """How often nodes carried this out."""
        return sum(call.operation == operation for call in self.executed)


Story = Callable[[Cluster], Awaitable[None]]
Way = Callable[[Story], None]


def in_process(story: Story, *, world: str = FOUR_NODES) -> None:
    """Play the story without a wire, in virtual time."""

    async def play() -> None:
        clock = VirtualClock()
        caller = InProcessCaller(load_world(world), clock)
        observer = ClusterObserver(cluster="c1", seeds=SEEDS, caller=caller, clock=clock)
        cluster = Cluster(
            world=caller.world,
            caller=caller,
            observer=observer,
            actuator=ClusterActuator(caller),
            clock=clock,
            executed=caller.executed,
        )
        await story(cluster)
        await observer.close()

    run_virtual(play())


def over_winrm(
    story: Story,
    *,
    authentication: str = "NTLM",
    https: bool = True,
    **options: Any,
) -> None:
    """Play the story over real WinRM on loopback; `options` as of `served`."""
    with nullcontext() if https else port_5985():
        asyncio.run(_play(story, authentication=authentication, https=https, **options))


async def _play(story: Story, **options: Any) -> None:
    async with served(**options) as cluster:
        await story(cluster)


@asynccontextmanager
async def served(
    *,
    authentication: str,
    https: bool,
    world: str = FOUR_NODES,
    user: str = USER,
    password: str = PASSWORD,
    account: Callable[[SimulatedSite], str] | None = None,
    pins: Callable[[SimulatedSite], Mapping[str, str]] = lambda site: {},
    ntlm_over_http: bool = True,
    keytab: Path | None = None,
    node_validity: Validity = Validity.GOOD,
    speed: float = 20.0,
    limits: Limits = QUICK,
    node_seconds: float = 10.0,
    ca_file: Path | None = None,
    seeds: tuple[str, ...] = SEEDS,
    engine: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    transport: str = "WinRM",
    barred: Barred = lambda intent: None,
) -> AsyncIterator[Cluster]:
    """The cluster behind its nodes' WinRM services; `password` is what the controller believes.

    `account` gives the text of its credentials where they are not user name and password.
    """
    site = CountingSite(
        load_world(world),
        user=user,
        password=PASSWORD,
        keytab=keytab,
        validity=node_validity,
        speed=speed,
        port=0 if https else WINRM_HTTP_PORT,
        engine=engine,
        settings=WinRMSettings(https=https, **(settings or {})),
    )
    site.executed = []
    with tempfile.TemporaryDirectory() as folder:
        credentials = Path(folder) / "credentials"
        async with site:
            text = account(site) if account else f"username={user}\npassword={password}\n"
            credentials.write_text(text, encoding="utf-8")
            connection = Connection(
                seeds=seeds,
                addresses={fold(short_node(n)): a for n, a in site.addresses.items()},
                authentication=authentication,
                credentials_file=str(credentials),
                credentials_env=None,
                ca_file=str(ca_file or site.ca_file),
                pins=pins(site),
                ntlm_over_http=ntlm_over_http,
                transport=transport,
            )
            gates = LogonGates()
            nodes = WinRMNodes(
                connection, gates=gates, program=load_program(), limits=limits, barred=barred
            )
            clock = RealClock(speed)
            observer = ClusterObserver(
                cluster="c1", seeds=seeds, caller=nodes, clock=clock, node_seconds=node_seconds
            )
            try:
                yield Cluster(
                    world=site.world,
                    caller=nodes,
                    observer=observer,
                    actuator=ClusterActuator(nodes),
                    clock=clock,
                    executed=site.executed,
                    servers=site.servers,
                    site=site,
                    connection=connection,
                    credentials=CredentialSource(file=str(credentials)),
                    gates=gates,
                )
            finally:
                await observer.close()


async def eventually(fulfilled: Callable[[], bool]) -> None:
    """Wait for what other threads or tasks are about to do."""
    async with asyncio.timeout(20):
        while not fulfilled():  # noqa: ASYNC110  # nobody there could set an event
            await asyncio.sleep(0.005)


@contextmanager
def port_5985() -> Iterator[None]:
    """Plain WinRM is known by its port, so only one test of this machine at a time can have it."""
    with (Path(tempfile.gettempdir()) / "ownernode-test-port-5985").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def basic_over_https(story: Story, **options: Any) -> None:
    """Basic, over TLS."""
    over_winrm(story, authentication="Basic", **options)


def ntlm_over_https(story: Story, **options: Any) -> None:
    """NTLM with channel binding, over TLS."""
    over_winrm(story, **options)


def ntlm_over_http(story: Story, **options: Any) -> None:
    """NTLM with sealed messages, over plain HTTP."""
    over_winrm(story, https=False, **options)


def certificate_over_https(story: Story, *, shown_as: str = USER, **options: Any) -> None:
    """A client certificate; `shown_as` is the account that it is issued for."""

    def account(site: SimulatedSite) -> str:
        shown = site.authority.issue_for_client(shown_as)
        return f"certificate={shown.certificate_file}\nkey={shown.key_file}\n"

    over_winrm(story, authentication="Certificate", account=account, **options)


def psrp(story: Story, **options: Any) -> None:
    """PowerShell remoting to the JEA endpoint: NTLM with channel binding, over TLS."""
    over_winrm(story, transport="PSRP", **options)


def psrp_over_http(story: Story, **options: Any) -> None:
    """PowerShell remoting with sealed messages, over plain HTTP."""
    over_winrm(story, transport="PSRP", https=False, **options)


def pinned(site: SimulatedSite) -> dict[str, str]:
    """The nodes' certificates, whatever names they bear."""
    return {fold(name): str(server.fingerprint) for name, server in site.servers.items()}


WIRES = (basic_over_https, ntlm_over_https, ntlm_over_http, psrp)
WAYS = (in_process, *WIRES)


def action(cluster: Cluster, kind: ActionKind, vm: str, **changes: Any) -> Action:
    """An action on a VM where it truly is; `changes` replace what a plan would say."""
    truth = None if kind is ActionKind.CREATE else cluster.world.truth_of(vm)
    owner = truth.owner_node if truth else None
    fields: dict[str, Any] = {
        "id": f"{kind}-{vm}",
        "kind": kind,
        "key": f"name:{fold(vm)}",
        "vm": vm,
        "vm_id": truth.id if truth else None,
        "source": owner,
        "target": owner,
        "reason": ActionReason.NOT_ON_PREFERRED,
        "wave": 0,
    }
    return Action(**{**fields, **changes})


TEMPLATE = VMTemplate(
    generation=2,
    memory_startup_bytes=2 * 1024**3,
    processors=2,
    location="C:\\ClusterStorage\\Volume1",
    disks=(
        DiskTemplate(path="C:\\ClusterStorage\\Volume1\\NEW01\\os.vhdx", create_bytes=40 * 1024**3),
    ),
    switch="Prod",
)
