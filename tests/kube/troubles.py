"""What befalls replicas, their ways and the API server in a seeded run, with edits in each."""

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping

from tests.kube.api_server import ApiServer
from tests.kube.seeded import Run

ON_WATCHES = (
    "clean close", "410 in the stream", "410 again and again", "410 as the status",
    "500 in the stream", "503", "429", "page of a proxy", "reset", "stall", "headers never come",
    "told twice", "out of order", "line cut in two", "no JSON",
)  # fmt: skip
ON_REQUESTS = (
    "cut off", "slow reads", "renewals hang", "renewals are not answered", "writes are refused",
    "writes are not answered",
)  # fmt: skip
TROUBLES_A_RUN = (2, 4)
_KILLING = threading.Lock()
"""Runs that share the server do not kill it at once; each lives with what another does to it."""


def drawn(run: Run) -> list[str]:
    """Two to four troubles, by the seed alone: nothing else was drawn yet."""
    names, weights = tuple(TROUBLES), tuple(weight for weight, _ in TROUBLES.values())
    return run.chance.choices(names, weights, k=run.chance.randint(*TROUBLES_A_RUN))


async def befall(names: Iterable[str], run: Run) -> None:
    """These, one after another."""
    for name in names:
        await TROUBLES[name][1](run)
        await run.pause(0.0, 1.5)


async def watches(run: Run) -> None:
    """The watches of one replica, or of all."""
    fault = run.chance.choice(ON_WATCHES)
    ways = list(run.ways.values())
    struck = ways if run.chance.random() < 0.3 else [run.ways[run.somebody().name]]
    run.befell[f"watches: {fault}"] += 1
    for way in struck:
        way.fault = fault
        way.cut_watches()
    await run.pause(0.0, 0.5)
    await run.edit()
    await run.pause(0.5, 2.5)
    for way in struck:
        way.mend()


async def requests(run: Run) -> None:
    """The other requests of one replica."""
    trouble = run.chance.choice(ON_REQUESTS)
    way = run.ways[run.somebody().name]
    run.befell[trouble] += 1
    way.slow_seconds = run.chance.uniform(0.1, 2.0)
    way.trouble = trouble
    if trouble == "cut off":
        way.cut_watches()
    await run.pause(0.0, 0.5)
    await run.edit()
    await run.pause(0.5, 2 * run.lease_seconds[0])
    way.mend()


async def frozen(run: Run) -> None:
    """A process is stopped for a while, with whatever it was about to do."""
    run.befell["SIGSTOP"] += 1
    rival = run.somebody()
    rival.signal(signal.SIGSTOP)
    await run.edit()
    await run.pause(0.3, 2 * run.lease_seconds[0])
    rival.signal(signal.SIGCONT)


async def killed(run: Run) -> None:
    """A process is killed; another takes its place at once, mostly on an empty disk."""
    run.befell["SIGKILL"] += 1
    rival = run.somebody()
    await asyncio.to_thread(rival.kill)
    await run.edit()
    await run.pause(0.0, 1.0)
    rival.begin(with_empty_disk=run.chance.random() < 0.7)


async def compacted(run: Run) -> None:
    """While there is no watch etcd forgets what was changed meanwhile: only a list can tell."""
    run.befell["etcd compaction"] += 1
    for way in run.ways.values():
        way.fault = "held"
        way.cut_watches()
    await run.edit()
    await asyncio.to_thread(run.server.compact)
    await _server_again(run)
    for way in run.ways.values():
        way.mend()


async def server_killed(run: Run) -> None:
    """The API server is killed and begins anew; etcd stays."""
    run.befell["API server killed"] += 1
    await run.edit()
    await run.pause(0.0, 0.5)
    await _server_again(run)
    await run.edit()


async def _server_again(run: Run) -> None:
    """Anew, the server has no window of old events in memory."""
    await asyncio.to_thread(_again, run.server)


def _again(server: ApiServer) -> None:
    with _KILLING:
        assert server.server is not None
        server.server.kill()
        server.server.wait()
        server.begin_server()


TROUBLES: Mapping[str, tuple[int, Callable[[Run], Awaitable[None]]]] = {
    "watches": (30, watches),
    "requests": (30, requests),
    "SIGSTOP": (20, frozen),
    "SIGKILL": (10, killed),
    "compaction": (4, compacted),
    "API server killed": (4, server_killed),
}
"""How often each is drawn, and how it is done."""


async def overlong(run: Run) -> None:
    """The leader's renewals hang for longer than its rivals wait."""
    leader = run.leader()
    assert leader is not None
    run.ways[leader.name].trouble = "renewals hang"
    await asyncio.sleep(2 * run.lease_seconds[0] + 1.5)


async def lost(run: Run) -> None:
    """In the middle of a watch a server swallows that something was deleted, as none does."""
    for way in run.ways.values():
        way.cut_watches()
    await asyncio.sleep(1.0)  # by now each has a fresh watch, which lasts for two seconds more
    for way in run.ways.values():
        way.fault = "event lost"
    await run.delete(next(iter(run.wanted)))
    await asyncio.sleep(0.3)
    for way in run.ways.values():
        way.mend()
