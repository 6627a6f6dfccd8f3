"""Replicas that stand for one Lease, in virtual time, on ways that hang, lose, delay and lie.

The Lease is what an API server makes of it: versions, conflicts, nothing that knows of time. Each
replica has a boot clock of its own, which runs a little fast or slow and goes on while the replica
is frozen, and a wall clock that jumps. Requests hang, are answered late or with errors, are applied
though the answer is lost, and are applied long after their sender gave up.
"""

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2

from controller.adapters.kube.api import Api
from controller.adapters.kube.lease import Elector, LeaseTiming

TIMING = LeaseTiming()
TROUBLED_SECONDS = 240.0
CALM_SECONDS = 60.0
LOOK_SECONDS = 0.05
RATE_MAX = 0.15
"""So much may clocks differ from true time: renewals and durations leave room for 1.5 : 1."""


@dataclass(slots=True)
class LeaseServer:
    """One Lease, and who wrote it last."""

    lease: dict[str, Any] | None = None
    version: int = 0

    @property
    def holder(self) -> str:
        """Whom the Lease names."""
        return str(self.lease["spec"]["holderIdentity"]) if self.lease is not None else ""

    def answer(self, method: str, content: bytes) -> tuple[int, dict[str, Any]]:
        """Do what is asked, as kube-apiserver would."""
        if method == "GET":
            if self.lease is None:
                return 404, {"reason": "NotFound"}
            return 200, self.lease
        body = json.loads(content)
        if method == "POST" and self.lease is not None:
            return 409, {"reason": "AlreadyExists"}
        if method == "PUT":
            known = body["metadata"]["resourceVersion"]
            if self.lease is None or self.lease["metadata"]["resourceVersion"] != known:
                return 409, {"reason": "Conflict"}
        self.version += 1
        body["metadata"] |= {"namespace": "ownernode", "resourceVersion": str(self.version)}
        self.lease = body
        return 200, body


@dataclass(slots=True)
class Play:
    """One run: everything that is drawn comes from its chance."""

    chance: random.Random
    timing: LeaseTiming = TIMING
    freezes_clock: bool = False
    """A hypervisor that pauses a machine stops its clocks too: what no lease can stand."""
    server: LeaseServer = field(default_factory=LeaseServer)
    replicas: list["Replica"] = field(default_factory=list)
    is_calm: bool = False
    acts: int = 0
    terms: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    late: set[asyncio.Task[None]] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Nobody leads beside another, each by its own deadline."""
        leading = [r.holder for r in self.replicas if r.elector is not None and r.elector.leads()]
        if len(leading) > 1:
            self.wrong.append(f"{_now():.2f} s: {' and '.join(leading)} lead")

    def draw(self) -> str:
        """What becomes of a request."""
        if self.is_calm or self.chance.random() < 0.6:
            return "well"
        fault = self.chance.choice(FAULTS)
        self.faults[fault] = self.faults.get(fault, 0) + 1
        return fault


FAULTS = (
    "slow", "no way there", "hangs", "answer lost", "answer late", "applied after all",
    "applied and 504", "503", "403", "page of a proxy",
)  # fmt: skip


class Way(httpx2.AsyncBaseTransport):
    """From one replica to the server."""

    def __init__(self, play: Play, replica: "Replica") -> None:
        self._play = play
        self._replica = replica

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Bring it there and the answer back, or don't."""
        chance, server = self._play.chance, self._play.server
        await self._replica.awake.wait()
        content = self._jumped(await request.aread())
        patience = float(request.extensions["timeout"]["read"])
        await asyncio.sleep(chance.uniform(0.001, 0.05))
        match self._play.draw():
            case "slow":
                await asyncio.sleep(chance.uniform(0.1, patience))
            case "no way there":
                raise httpx2.ConnectError("refused")
            case "hangs":
                await self._give_up(patience)
            case "answer lost":
                server.answer(request.method, content)
                await self._give_up(patience)
            case "applied after all":
                self._later(request.method, content, chance.uniform(0, 40))
                await self._give_up(patience)
            case "answer late":  # byte by byte, which no time-out of a read notices
                answer = server.answer(request.method, content)
                await asyncio.sleep(chance.uniform(patience, 25))
                await self._replica.awake.wait()
                return httpx2.Response(answer[0], json=answer[1])
            case "applied and 504":
                server.answer(request.method, content)
                return httpx2.Response(504, json={"reason": "Timeout"})
            case "503":
                return httpx2.Response(503, json={})
            case "403":
                return httpx2.Response(403, json={"reason": "Forbidden"})
            case "page of a proxy":
                return httpx2.Response(502, text="<html>Bad gateway</html>")
        code, body = server.answer(request.method, content)
        await asyncio.sleep(chance.uniform(0.001, 0.05))
        await self._replica.awake.wait()
        return httpx2.Response(code, json=body)

    async def _give_up(self, patience: float) -> None:
        await asyncio.sleep(patience)
        await self._replica.awake.wait()
        raise httpx2.ReadTimeout("nothing came")

    def _later(self, method: str, content: bytes, seconds: float) -> None:
        async def apply() -> None:
            await asyncio.sleep(seconds)
            self._play.server.answer(method, content)

        task = asyncio.create_task(apply())
        self._play.late.add(task)
        task.add_done_callback(self._play.late.discard)

    def _jumped(self, content: bytes) -> bytes:
        """The request as a replica writes it whose wall clock jumped."""
        if not content or self._play.chance.random() < 0.5:
            return content
        body = json.loads(content)
        year = self._play.chance.choice(("1970", "2026", "2099"))
        for name in ("renewTime", "acquireTime"):
            if name in body["spec"]:
                body["spec"][name] = year + body["spec"][name][4:]
        return json.dumps(body).encode()


class Replica:
    """One machine, on which processes of ours live one after another."""

    def __init__(self, play: Play, number: int) -> None:
        self._play = play
        self._number = number
        self._rate = 1 + play.chance.uniform(-RATE_MAX, RATE_MAX)
        self._born = play.chance.uniform(0, 1e6)
        self._stopped = 0.0
        self.awake = asyncio.Event()
        self.awake.set()
        self.holder = ""
        self.elector: Elector | None = None

    def clock(self) -> float:
        """Its boot clock."""
        return self._born + self._rate * (_now() - self._stopped)

    async def live(self) -> None:
        """Processes that end by SIGKILL or SIGTERM, each followed by another."""
        process = 0
        while True:
            process += 1
            self.holder = f"r{self._number}_{process}"
            seconds = self._play.chance.uniform(5, 120)
            if self._play.is_calm:
                seconds = CALM_SECONDS
            await self._process(seconds, gracefully=self._play.chance.random() < 0.5)
            await asyncio.sleep(self._play.chance.uniform(0, 10))

    async def freeze_now_and_then(self) -> None:
        """SIGSTOP, a paging storm, a laptop lid."""
        chance = self._play.chance
        while not self._play.is_calm:
            await asyncio.sleep(chance.uniform(5, 60))
            if self._play.is_calm:
                return
            seconds = chance.uniform(0.5, 30)
            self.awake.clear()
            await asyncio.sleep(seconds)
            if self._play.freezes_clock:
                self._stopped += seconds
            self.awake.set()

    async def _process(self, seconds: float, *, gracefully: bool) -> None:
        api = Api(httpx2.AsyncClient(transport=Way(self._play, self), base_url="http://x"), "ns")
        elector = Elector(api, "ownernode", self.holder, self._play.timing, self.clock)
        self.elector = elector
        work = [asyncio.create_task(elector.run()), asyncio.create_task(self._act(elector))]
        done, _ = await asyncio.wait(work, timeout=seconds)
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        for task in done:
            task.result()
        if gracefully:
            await self.awake.wait()
            await elector.release()
        self.elector = None
        await api.close()

    async def _act(self, elector: Elector) -> None:
        """What a Controller does: begin when it may, ask before each command, end in time."""
        while True:
            await elector.wait_leading()
            self._play.terms += 1
            lost = asyncio.create_task(elector.wait_lost())
            while not lost.done():
                await self.awake.wait()
                if elector.leads():
                    self._command()
                pause = self._play.chance.uniform(0.02, 0.4)
                await asyncio.wait({lost}, timeout=pause)

    def _command(self) -> None:
        """A command leaves now: the Lease must name its sender, whatever that one believes."""
        play = self._play
        play.acts += 1
        if play.server.holder != self.holder:
            told = f"{_now():.2f} s: {self.holder} acts, the Lease is of {play.server.holder!r}"
            play.wrong.append(told)


async def run_play(play: Play, replicas: int) -> None:
    """Trouble, then calm; somebody must lead in the end, and nobody ever beside another."""
    play.replicas = [Replica(play, number) for number in range(replicas)]
    tasks: list[asyncio.Task[None]] = []
    for number, replica in enumerate(play.replicas):
        tasks.append(asyncio.create_task(replica.live(), name=f"life {number}"))
        tasks.append(asyncio.create_task(replica.freeze_now_and_then(), name=f"freeze {number}"))
    try:
        await _watch(play, tasks, lambda: _now() >= TROUBLED_SECONDS)
        play.is_calm = True
        end = _now() + CALM_SECONDS + 2 * 120
        await _watch(play, tasks, lambda: _now() >= end or _leads(play))
        if not _leads(play):
            play.wrong.append("nobody leads though all has been well for minutes")
    finally:
        for task in (*tasks, *play.late):
            task.cancel()
        await asyncio.gather(*tasks, *play.late, return_exceptions=True)


async def _watch(play: Play, tasks: list[asyncio.Task[None]], over: Callable[[], bool]) -> None:
    while not over() and not play.wrong:
        await asyncio.sleep(LOOK_SECONDS)
        play.check()
        for task in tasks:
            if task.done():
                task.result()


def _leads(play: Play) -> bool:
    return any(r.elector is not None and r.elector.leads() for r in play.replicas)


def _now() -> float:
    return asyncio.get_running_loop().time()
