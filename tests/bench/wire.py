"""What a call over WinRM costs: the product's client beside pywinrm's own Session.run_ps.

Both speak NTLM over HTTPS to the same simulated node, in turns. No PowerShell is behind either:
on Windows a run_ps also starts one, which takes longer than all of this.
"""

import asyncio
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import unittest.mock
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import winrm

from controller.adapters.local.clock import SystemClock
from controller.adapters.winrm.logons import LogonGates
from controller.adapters.winrm.nodes import WinRMNodes
from controller.adapters.winrm.observer import ClusterObserver
from controller.adapters.winrm.program import load_program
from controller.app.process import collect_seldom
from controller.model.desired import Connection
from controller.model.names import fold
from tests.bench.figures import Figure, figure, show
from tests.bench.wire_site import PASSWORD, USER, name_of

CALLS = 100
ROUNDS = 5
NODES = 64
REMOTE_SECONDS = 0.2


class Site:
    """The site's process."""

    def __init__(self, process: "subprocess.Popen[str]", shown: Mapping[str, Any]) -> None:
        self.addresses: Mapping[str, str] = shown["addresses"]
        self.ca: str = shown["ca"]
        self._process = process
        self._usage = psutil.Process(process.pid)

    def cpu_seconds(self) -> float:
        """CPU time of the process so far."""
        times = self._usage.cpu_times()
        return times.user + times.system

    def exchanges(self, *, delay_seconds: float = 0.0) -> int:
        """HTTP exchanges so far; from now on each call takes so long."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{delay_seconds}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def nodes(self, account: Path) -> WinRMNodes:
        """The product's client."""
        connection = Connection(
            seeds=tuple(self.addresses),
            addresses={fold(node.split(".")[0]): at for node, at in self.addresses.items()},
            authentication="NTLM",
            credentials_file=str(account),
            credentials_env=None,
            ca_file=self.ca,
        )
        return WinRMNodes(connection, gates=LogonGates(), program=load_program())


@contextmanager
def site(folder: Path, *, nodes: int, vms: int) -> Iterator[Site]:
    """Serve so many nodes with so many VMs each."""
    command = [sys.executable, "-m", "tests.bench.wire_site", str(folder), str(nodes), str(vms)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Site(process, json.loads(process.stdout.readline()))
        process.stdin.close()


def figures() -> Iterator[Figure]:
    """Every figure with its goal; goals are upper bounds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        account = folder / "account"
        account.write_text(f"username={USER}\npassword={PASSWORD}\n", encoding="utf-8")
        with site(folder, nodes=1, vms=0) as one:
            yield from call_figures(one, account)
        with site(folder, nodes=NODES, vms=0) as many:
            seconds = asyncio.run(look_at_all(many, account))
        yield figure("64 nodes asked at once, 200 ms remote time", seconds * 1000, "ms", 400)
        with site(folder, nodes=NODES, vms=125) as full:
            collect_seldom()  # as `ownernode run` does once it has started
            seconds, client, nodes = asyncio.run(snapshot(full, account))
        yield figure("snapshot over WinRM, 64 nodes x 8,000 VMs", seconds * 1000, "ms", 1000)
        yield figure("CPU of the client in that time", client * 1000, "ms")
        yield figure("CPU of the simulated nodes in that time", nodes * 1000, "ms")


def call_figures(served: Site, account: Path) -> Iterator[Figure]:
    """Wall time, CPU and exchanges of a call, ours and run_ps's; medians of alternating rounds."""
    asyncio.run(_warm_up(served, account))
    rounds = [(one_shots(served), asyncio.run(calls(served, account))) for _ in range(ROUNDS)]
    theirs, ours = (
        {key: statistics.median(r[which][key] for r in rounds) for key in rounds[0][which]}
        for which in (0, 1)
    )
    yield figure("calls a second, warm agent", 1 / ours["wall"], "1/s")
    yield figure("calls a second, Session.run_ps", 1 / theirs["wall"], "1/s")
    yield figure("CPU of the client, warm agent", ours["cpu"] * 1000, "ms")
    yield figure("CPU of the client, Session.run_ps", theirs["cpu"] * 1000, "ms")
    yield figure("time of a call, share of run_ps's", ours["wall"] / theirs["wall"], "", 1 / 3)
    yield figure("CPU of a call, share of run_ps's", ours["cpu"] / theirs["cpu"], "", 1)
    share = ours["exchanges"] / theirs["exchanges"]
    yield figure("HTTP exchanges of a call, share of run_ps's", share, "", 0.5)


async def _warm_up(served: Site, account: Path) -> None:
    nodes = served.nodes(account)
    await nodes.call(name_of(0), "ping", {}, timeout_seconds=20)
    await nodes.close()


async def calls(served: Site, account: Path) -> dict[str, float]:
    """What one call costs, by the warm agent; log-on and start of the agent are not counted."""
    nodes = served.nodes(account)
    await nodes.call(name_of(0), "ping", {}, timeout_seconds=20)
    exchanges, wall, cpu = served.exchanges(), time.perf_counter(), time.process_time()
    for _ in range(CALLS):
        await nodes.call(name_of(0), "ping", {}, timeout_seconds=20)
    spent = time.perf_counter() - wall, time.process_time() - cpu
    exchanged = served.exchanges() - exchanges
    await nodes.close()
    return _each(spent, exchanged, CALLS)


def one_shots(served: Site) -> dict[str, float]:
    """What one run_ps costs; each logs on, opens a shell, and leaves again."""
    ((node, address),) = served.addresses.items()
    host, _, port = address.partition(":")
    session = winrm.Session(
        f"https://{node}:{port}/wsman",
        auth=(USER, PASSWORD),
        transport="ntlm",
        ca_trust_path=served.ca,
        proxy=None,
    )
    with known_as(node, host):
        return _one_shots(served, session)


@contextmanager
def known_as(name: str, address: str) -> Iterator[None]:
    """What a line in the hosts file would do."""
    resolve = socket.getaddrinfo

    def resolve_node(host: Any, *rest: Any, **more: Any) -> Any:
        return resolve(address if host == name.lower() else host, *rest, **more)

    with unittest.mock.patch("socket.getaddrinfo", resolve_node):
        yield


def _one_shots(served: Site, session: winrm.Session) -> dict[str, float]:
    exchanges, wall, cpu = served.exchanges(), time.perf_counter(), time.process_time()
    count = CALLS // 5
    for _ in range(count):
        session.run_ps("hostname")
    spent = time.perf_counter() - wall, time.process_time() - cpu
    return _each(spent, served.exchanges() - exchanges, count)


def _each(spent: tuple[float, float], exchanges: int, count: int) -> dict[str, float]:
    return {"wall": spent[0] / count, "cpu": spent[1] / count, "exchanges": exchanges / count}


async def look_at_all(served: Site, account: Path) -> float:
    """Median seconds in which all nodes have answered one call, with agents that are warm."""
    nodes = served.nodes(account)
    names = [name_of(n) for n in range(NODES)]

    async def ask_all() -> float:
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(nodes.call(name, "ping", {}, timeout_seconds=30))
        return time.perf_counter() - began

    await ask_all()
    served.exchanges(delay_seconds=REMOTE_SECONDS)
    found = [await ask_all() for _ in range(ROUNDS)]
    await nodes.close()
    return statistics.median(found)


async def snapshot(served: Site, account: Path) -> tuple[float, ...]:
    """One whole look, parsed and merged, with agents that are warm.

    Median seconds of it, of this process's CPU and of the site's: what the rest of the machine does
    adds to the first alone.
    """
    nodes = served.nodes(account)
    observer = ClusterObserver(
        cluster="bench", seeds=tuple(served.addresses)[:2], caller=nodes, clock=SystemClock()
    )
    found = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter(), time.process_time(), served.cpu_seconds()
        seen = await observer.observe()
        ended = time.perf_counter(), time.process_time(), served.cpu_seconds()
        found.append([b - a for a, b in zip(began, ended, strict=True)])
        assert len(seen.vms) == NODES * 125, seen.gaps[:3]
    await observer.close()
    return tuple(statistics.median(kind) for kind in zip(*found[1:], strict=True))


if __name__ == "__main__":
    show(figures())
