"""Nodes that are silent, drip, stammer or never let anybody in cost time, and nothing else.

Some hundred calls to each kind, a thousand in the campaign: every one ends by itself, as not sent
or not known; threads stay few; the process does not grow; closing ends.
"""

import asyncio
import gc
import os
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from controller.adapters.winrm import agent
from controller.adapters.winrm.endpoints import HTTP_PORT
from controller.adapters.winrm.logons import LogonGates
from controller.adapters.winrm.nodes import THREADS_MAX, WinRMNodes
from controller.adapters.winrm.program import load_program
from controller.errors import OwnernodeError
from controller.model.desired import Connection

NODES = tuple(f"HV{number:02}" for number in range(1, 65))
CALLS, CALLS_CAMPAIGN = 200, 1_000
CALL_SECONDS = 0.3
GROWTH_BYTES_MAX = 48 * 1024 * 1024
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Takes everything and says nothing."""
    while await reader.read(4096):
        pass


async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Begins an answer of a reasonable size, and sends a byte of it now and then."""
    await reader.read(4096)
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n" + b"x" * 90_000:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.02)


async def drips_a_handshake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Begins to agree on TLS: a record of 16 KiB, a byte now and then."""
    await reader.read(4096)
    for byte in b"\x16\x03\x03\x40\x00" + bytes(16_384):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.02)


async def timed_out(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says 408 to each request, as http.sys does when the body was late."""
    while await reader.read(65_536):
        writer.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()


async def babbles(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says what is no HTTP, without end."""
    await reader.read(4096)
    while True:
        writer.write(b"\x1b[31m<b>" * 8_000)
        await writer.drain()


async def never_ends_its_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One header line after the other."""
    await reader.read(4096)
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-Again: " + b"y" * 4_000 + b"\r\n")
        await writer.drain()
        await asyncio.sleep(0.005)


async def huge(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Promises four gigabytes, and begins."""
    await reader.read(4096)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4294967296\r\n\r\n")
    while True:
        writer.write(bytes(65_536))
        await writer.drain()


OVER_HTTP = (silent, drips, timed_out, babbles, never_ends_its_head, huge)
OVER_TLS = (silent, drips_a_handshake, babbles)


@pytest.mark.timeout(170)
@pytest.mark.parametrize("serve", OVER_HTTP)
def test_no_call_costs_more_than_its_time(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the node says or does not say where HTTP is spoken."""
    _leave_no_node_alone(monkeypatch)
    asyncio.run(_calls(_served(serve, HTTP_PORT), tmp_path, CALLS))


@pytest.mark.timeout(170)
@pytest.mark.parametrize("serve", OVER_TLS)
def test_no_call_costs_more_than_its_time_before_a_certificate_is_seen(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As above, where TLS is to be agreed on first."""
    _leave_no_node_alone(monkeypatch)
    asyncio.run(_calls(_served(serve, 0), tmp_path, CALLS))


@pytest.mark.campaign
@pytest.mark.parametrize("port", [HTTP_PORT, 0])
@pytest.mark.parametrize("serve", [*OVER_HTTP, drips_a_handshake])
def test_a_thousand_calls_leave_nothing_behind(
    serve: Serve, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same, a thousand times each."""
    _leave_no_node_alone(monkeypatch)
    asyncio.run(_calls(_served(serve, port), tmp_path, CALLS_CAMPAIGN))


@pytest.mark.timeout(120)
def test_a_node_that_never_takes_up_costs_no_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its queue of connections is full: a SYN is never answered."""
    _leave_no_node_alone(monkeypatch)
    asyncio.run(_calls(_full_backlog(), tmp_path, 4 * len(NODES)))


def _leave_no_node_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a node that fails is spared for a while, and most of the calls would reach nobody."""
    monkeypatch.setattr(agent, "BACKOFF_SECONDS_MIN", 0.0)


async def _calls(
    listening: "asyncio._AsyncGeneratorContextManager[str]", place: Path, calls: int
) -> None:
    ended: Counter[str] = Counter()
    process, threads = psutil.Process(), 0

    async def call(nodes: WinRMNodes, node: str, times: int) -> None:
        nonlocal threads
        for _ in range(times):
            try:
                await nodes.call(node, "observe", {}, timeout_seconds=CALL_SECONDS)
            except OwnernodeError as error:
                ended[type(error).__name__] += 1
            threads = max(threads, _threads())

    async with listening as address:
        nodes = WinRMNodes(_connection(address, place), gates=LogonGates(), program=load_program())
        await asyncio.gather(*(call(nodes, node, 1) for node in NODES))  # warm, threads made
        gc.collect()
        before = process.memory_info().rss
        each = calls // len(NODES)
        await asyncio.gather(*(call(nodes, node, each) for node in NODES))
        gc.collect()
        grown = process.memory_info().rss - before
        await nodes.close()
        async with asyncio.timeout(30):
            while _threads():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    assert ended.keys() <= {"Unreachable", "OutcomeUnknown", "ProtocolBroken"}, ended
    assert ended.total() == len(NODES) * (each + 1)
    # One a node, and those that are about to come back.
    assert threads <= THREADS_MAX
    assert grown <= GROWTH_BYTES_MAX


def _threads() -> int:
    return sum(thread.name.startswith("winrm") for thread in threading.enumerate())


def _connection(address: str, place: Path) -> Connection:
    account = place / "account"
    account.write_text("username=DEMO\\svc\npassword=not-a-secret-1\n")
    account.chmod(0o600)
    return Connection(
        seeds=("hv01.demo.example",),
        addresses={node.lower(): address for node in NODES},
        authentication="NTLM",
        credentials_file=str(account),
        credentials_env=None,
        ca_file=None,
        ntlm_over_http=True,
    )


@asynccontextmanager
async def _served(serve: Serve, port: int) -> AsyncIterator[str]:
    async def safely(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except OSError:
            pass
        finally:
            writer.close()

    # WinRM's own port for plain HTTP, at an address that nobody else uses meanwhile.
    address = f"127.{os.getpid() >> 8 & 127 | 64}.{os.getpid() & 255}.9"
    server = await asyncio.start_server(safely, address, port, backlog=512)
    host, port = server.sockets[0].getsockname()[:2]
    yield f"{host}:{port}"
    server.close()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:  # type: ignore[arg-type]
        task.cancel()


@asynccontextmanager
async def _full_backlog() -> AsyncIterator[str]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        address = listening.getsockname()
        waiting = [socket.socket() for _ in range(8)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        await asyncio.sleep(0.2)
        yield f"{address[0]}:{address[1]}"
        for one in waiting:
            one.close()
