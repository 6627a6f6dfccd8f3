"""One seeded run of replicas against the real API server, and the judgement on it.

Replicas are processes, each with a way of its own to the one server; the cluster that they move VMs
in is simulated, and answers over WinRM. What befalls them is drawn, and so is what is declared
meanwhile. Judged is by what others saw: the server itself, the nodes that were asked for changes,
the VMs' true moves, and what each replica believed at each moment.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import combinations, product
from pathlib import Path
from typing import Any

import yaml

from controller.adapters.kube.api import MERGE_PATCH, Api, Refused, Resource, connect
from controller.adapters.kube.kinds import CLUSTER, LEASES, OURS, PLACEMENT
from controller.errors import Unreachable
from controller.simulator.states import Cause, VmState
from tests.kube.api_server import ADMIN, ApiServer
from tests.kube.rivals import Mirror, Rival, mirror_of
from tests.kube.site import WatchedSite
from tests.kube.story import placement
from tests.kube.way import Way

NAMESPACES = Resource(group="", version="v1", plural="namespaces", namespaced=False)
LEASE_SECONDS = (2.0, 1.2, 0.25)
NODES = ("HV01", "HV02", "HV03")
VMS = ("SQL01", "SQL02", "WEB01", "WEB02", "WEB03")
# A move takes a second and a half, so that some are under way whatever happens.
WORLD = f"""
cluster: {{name: west, domain: west.example}}
timing: {{bandwidthBytesPerSecond: 4.0e+9, setUpSeconds: 0.3, switchOverSeconds: 0.3}}
nodes:
{"".join(f"- {{name: {node}, memory: 128Gi}}{chr(10)}" for node in NODES)}
vms:
{"".join(f"- {{name: {vm}, node: HV01, memory: 4Gi}}{chr(10)}" for vm in VMS)}
"""
LIMITS = {
    "mode": "Enforce",
    "interval": "1s",
    "brakes": {"cooldown": "0s", "changesPerCommit": "100%"},
    "foreignMoves": {"respect": "1s"},
    "timing": {"settle": "2s", "nodeStable": "2s", "failurePause": "5s"},
}


@dataclass
class Run:
    """Everything of one run that the troubles and the judge look at."""

    server: ApiServer
    folder: Path
    seed: int
    lease_seconds: tuple[float, float, float] = LEASE_SECONDS
    patience_seconds: float = 90.0
    """After all trouble, until everything is as declared: mostly that takes ten."""
    site: WatchedSite = field(default_factory=lambda: WatchedSite(WORLD))
    rivals: list[Rival] = field(default_factory=list)
    ways: dict[str, Way] = field(default_factory=dict)
    wanted: dict[str, str] = field(default_factory=dict)
    """Node by VM, of the placements that there are."""
    last: dict[str, str] = field(default_factory=lambda: dict.fromkeys(VMS, "HV01"))
    """Node that was wanted last, also of placements that are gone."""
    changes: Counter[str] = field(default_factory=Counter)
    deleted: int = 0
    befell: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.space, self.cluster = f"team-{self.seed}", f"west-{self.seed}"
        self.direct: Api = connect(str(self.server.kubeconfig(ADMIN)))

    async def play(self, troubles: Callable[["Run"], Awaitable[None]]) -> None:
        """Begin, let the troubles happen, let all come to rest, and judge."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.direct.close)
            await stack.enter_async_context(self.site)
            await self._prepare()
            stack.push_async_callback(self._clean)
            for name in ("a", "b", "c")[: self.chance.choice((2, 2, 3))]:
                await self._join(name, stack)
            await self.until(lambda: self.leader() is not None, "somebody leads")
            await troubles(self)
            for way in self.ways.values():
                way.mend()
            await self.edit()
            await self._rest()
            await self._judge()

    def leader(self) -> Rival | None:
        """A replica that believes that it leads, if there is one."""
        return next((r for r in self.rivals if not r.is_stopped and r.leads()), None)

    def somebody(self) -> Rival:
        """Mostly the leader."""
        leader = self.leader()
        if leader is not None and self.chance.random() < 0.75:
            return leader
        return self.chance.choice(self.rivals)

    async def pause(self, least: float, most: float) -> None:
        """Let so many seconds pass."""
        await asyncio.sleep(self.chance.uniform(least, most))

    async def edit(self) -> None:
        """Declare one to three things anew: wishes change, go, come, or go and come again."""
        for vm in self.chance.sample(VMS, self.chance.randint(1, 3)):
            node = self.chance.choice([n for n in NODES if n != self.last[vm]])
            if vm not in self.wanted:
                await self._create(vm, node)
                continue
            match self.chance.choice(("change", "change", "delete", "make anew")):
                case "change":
                    body = {"spec": {"owners": {"preferred": [node]}}}
                    path = OURS[PLACEMENT].path(self.space, vm.lower())
                    await self.ask("PATCH", path, body, form=MERGE_PATCH)
                    self._want(vm, node)
                case "delete":
                    await self.delete(vm)
                case "make anew":
                    await self.delete(vm)
                    await self._create(vm, node)

    async def truth(self) -> Mirror:
        """The placements as the server has them, asked directly."""
        found = await self.ask("GET", OURS[PLACEMENT].path(self.space))
        return mirror_of(found["items"])

    async def ask(self, method: str, path: str, body: Any = None, **options: str) -> Any:
        """Ask the server directly, until it answers: it may just have been killed."""
        while True:
            try:
                return await self.direct.request(method, path, body=body, **options)
            except Unreachable:
                await asyncio.sleep(0.2)
            except Refused as error:  # what was asked before, and done without an answer
                if error.reason not in ("AlreadyExists", "NotFound"):
                    raise
                return None

    async def until(self, fits: Callable[[], Any], what: str) -> None:
        """Look again and again; what does not come to be is wrong."""
        try:
            async with asyncio.timeout(self.patience_seconds):
                while not fits():  # noqa: ASYNC110  # other processes ring no bell
                    await asyncio.sleep(0.05)
        except TimeoutError:
            self.wrong.append(f"not within {self.patience_seconds:g} s: {what}")

    async def _prepare(self) -> None:
        namespace = {"metadata": {"name": self.space}}
        await self.ask("POST", NAMESPACES.path(), namespace)
        cluster = {
            "apiVersion": "ownernode.io/v1alpha1",
            "kind": "FailoverCluster",
            "metadata": {"name": self.cluster},
            "spec": {
                "connection": self.site.connection(self.folder),
                "allowedNamespaces": [self.space],
                **LIMITS,
            },
        }
        await self.ask("POST", OURS[CLUSTER].path(), cluster)
        for vm in VMS[:4]:
            await self._create(vm, self.chance.choice(NODES))

    async def _clean(self) -> None:
        for rival in self.rivals:
            await asyncio.to_thread(rival.end)
        gone = [OURS[PLACEMENT].path(self.space, vm.lower()) for vm in self.wanted]
        gone += [OURS[CLUSTER].path(None, self.cluster), LEASES.path(self.space, "ownernode")]
        for path in gone:
            await self.ask("DELETE", path)

    async def _join(self, name: str, stack: AsyncExitStack) -> None:
        """One more replica, with its way."""
        way = self.ways[name] = Way(server=self.server, cluster=self.cluster, space=self.space)
        await stack.enter_async_context(way.serving())
        folder = self.folder / name
        folder.mkdir()
        document = yaml.safe_load(self.server.kubeconfig(ADMIN, self.space).read_text())
        document["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{way.port}"}
        (folder / "kubeconfig").write_text(yaml.safe_dump(document))
        rival = Rival(name, folder / "kubeconfig", folder, self.lease_seconds)
        stack.push_async_callback(asyncio.to_thread, rival.end)
        self.rivals.append(rival)
        rival.begin(with_empty_disk=False)

    async def _create(self, vm: str, node: str) -> None:
        document = placement(vm.lower(), vm, node, namespace=self.space)
        document["spec"]["cluster"] = self.cluster
        await self.ask("POST", OURS[PLACEMENT].path(self.space), document)
        self._want(vm, node)

    async def delete(self, vm: str) -> None:
        """Nobody wants that VM anywhere any more."""
        await self.ask("DELETE", OURS[PLACEMENT].path(self.space, vm.lower()))
        del self.wanted[vm]
        self.deleted += 1

    def _want(self, vm: str, node: str) -> None:
        self.changes[vm] += self.last[vm] != node
        self.last[vm] = self.wanted[vm] = node

    async def _rest(self) -> None:
        """Wait until every mirror shows the truth and every VM is where it is declared."""
        wanted = await self.truth()
        for rival in self.rivals:
            await self.until(
                lambda rival=rival: rival.mirror() == wanted,  # type: ignore[misc]
                f"{rival.name} mirrors what the server has",
            )
        await self.until(self._settled, "every VM is where it is declared")

    def _settled(self) -> bool:
        vms = self.site.world.truth()
        return not any(vm.in_flight for vm in vms) and all(
            vm.owner_node == self.wanted.get(vm.name, vm.owner_node) for vm in vms
        )

    async def _judge(self) -> None:
        """What must never be, from the records of others."""
        for one, other in combinations([r.terms() for r in self.rivals], 2):
            for term, its in product(one, other):
                seconds = min(term.last, its.last) - max(term.first, its.first)
                if seconds >= 0:
                    both = f"{term.holder} and {its.holder}"
                    self.wrong.append(f"{both} lead for {seconds:.2f} s")
        done = [deed for deed in self.site.deeds if deed.is_done]
        first: dict[str, int] = {}
        for deed in done:  # whoever acted first after somebody else acts alone from then on
            number = first.setdefault(deed.holder, len(first))
            if number != len(first) - 1:
                self.wrong.append(f"{deed.operation} of a leader that another had followed")
        given = Counter(deed.intent for deed in done if deed.intent)
        self.wrong += [f"{i} was given {n} times" for i, n in given.items() if n > 1]
        asked = Counter(d.vm_id for d in done if d.operation == "moveRole")
        for vm in self.site.world.truth():
            moved = len(vm.migrations)
            if moved > self.changes[vm.name] or asked[vm.id] > self.changes[vm.name]:
                told = f"moved {moved} times, asked for {asked[vm.id]} times"
                self.wrong.append(f"{vm.name}: {told}, declared {self.changes[vm.name]} times")
            if vm.state is not VmState.Running or not all(
                move.live and move.cause is Cause.CONTROLLER for move in vm.migrations
            ):
                self.wrong.append(f"{vm.name} was off, or was moved by nobody of ours")

    def figures(self) -> Counter[str]:
        """What happened, counted."""
        done = [deed for deed in self.site.deeds if deed.is_done]
        found = Counter(
            {
                "replicas": len(self.rivals),
                "terms": sum(len(r.terms()) for r in self.rivals),
                "leaders that acted": len({deed.holder for deed in done}),
                "commands": sum(deed.operation == "moveRole" for deed in done),
                "commands refused by a node": len(self.site.deeds) - len(done),
                "deletions": self.deleted,
                "expired versions": sum(way.gone for way in self.ways.values()),
            }
        )
        return found + Counter({f"fault: {name}": n for name, n in self.befell.items()})
