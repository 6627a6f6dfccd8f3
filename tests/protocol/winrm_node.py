"""A simulated node's WinRM service on a loop of its own, and plain pywinrm clients for it."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any, TypeVar

from winrm.protocol import Protocol

from controller.simulator.builtin_processes import BuiltinProcesses
from controller.simulator.processes import EndedProcess, Output, Process
from controller.simulator.winrm_server.certificates import CertificateAuthority
from controller.simulator.winrm_server.faults import WSManFault
from controller.simulator.winrm_server.injection import Faults
from controller.simulator.winrm_server.server import NodeServer

USER = "CORP\\svc-move"
PASSWORD = "Correct horse 1"
OTHER_USER = "CORP\\somebody"
OTHER_PASSWORD = "Battery staple 2"
NODE = "HV01"
FULL_NAME = "hv01.corp.example"
ADDRESS = "127.0.1.1"

T = TypeVar("T")


class LoopThread:
    """An event loop in a thread, so that blocking clients and the server can talk."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="servers")
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], *, timeout_seconds: float = 30) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_seconds)

    def call(self, action: Callable[[], Any]) -> None:
        self._loop.call_soon_threadsafe(action)

    def close(self) -> None:
        async def end_everything() -> None:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.run(end_everything())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Silent:
    """A process that says nothing and takes nothing, until it is killed."""

    def __init__(self) -> None:
        self.killed = threading.Event()
        self._never: asyncio.Event = asyncio.Event()

    async def write(self, data: bytes, *, end: bool) -> None:
        await self._never.wait()

    async def read(self) -> Output:
        await self._never.wait()
        raise AssertionError("a silent process never speaks")

    async def kill(self) -> None:
        self.killed.set()


class Programs:
    """The built-in commands, and two for tests: `silent`, and `flood` with as many bytes."""

    def __init__(self) -> None:
        self._builtin = BuiltinProcesses()
        self.silent: list[Silent] = []

    async def start(
        self, node: str, command: str, arguments: tuple[str, ...], environment: Mapping[str, str]
    ) -> Process:
        match command:
            case "silent":
                self.silent.append(Silent())
                return self.silent[-1]
            case "flood":
                pieces = flood(int(arguments[0]))
                return EndedProcess(*(Output(stdout=piece) for piece in pieces))
            case _:
                return await self._builtin.start(node, command, arguments, environment)


def flood(size: int) -> list[bytes]:
    """`size` bytes in writes of 40,000, no two alike."""
    line = b"".join(b"%08d" % number for number in range(size // 8))
    return [line[start : start + 40_000] for start in range(0, len(line), 40_000)]


class Watched(Faults):
    """No faults at all, but a sign when an action is about to be executed."""

    def __init__(self, action: str) -> None:
        super().__init__()
        self.reached = threading.Event()
        self._action = action

    def take_fault(self, action: str) -> WSManFault | None:
        if action == self._action:
            self.reached.set()
        return super().take_fault(action)


class Node:
    """A served node, as a test handles it."""

    def __init__(self, loop: LoopThread, server: NodeServer, ca: CertificateAuthority) -> None:
        self.loop = loop
        self.server = server
        self.ca = ca

    def url(self, *, https: bool = False) -> str:
        return f"{'https' if https else 'http'}://{FULL_NAME}:{self.server.address[1]}/wsman"

    def client(self, transport: str = "ntlm", *, https: bool = False, **settings: Any) -> Protocol:
        """A stock pywinrm client that trusts the node's authority and checks its name."""
        options: dict[str, Any] = {
            "username": USER,
            "password": PASSWORD,
            "proxy": None,
            "ca_trust_path": str(self.ca.ca_file),
            "operation_timeout_sec": 5,
            "read_timeout_sec": 10,
        }
        return Protocol(self.url(https=https), transport=transport, **{**options, **settings})

    def connect(self) -> socket.socket:
        """A bare TCP connection."""
        return socket.create_connection(self.server.address, timeout=10)


Serve = Callable[..., Node]


@contextlib.contextmanager
def shell(client: Protocol, **options: Any) -> Iterator[str]:
    """An open shell, closed afterwards together with the client's connection."""
    shell_id = client.open_shell(codepage=65001, **options)
    yield shell_id
    client.close_shell(shell_id)


def run(client: Protocol, shell_id: str, command: str, *arguments: str) -> tuple[str, str, int]:
    """Run a command to its end: stdout, stderr, exit code."""
    command_id = client.run_command(shell_id, command, arguments)
    stdout, stderr, code = client.get_command_output(shell_id, command_id)
    client.cleanup_command(shell_id, command_id)
    return stdout.decode(), stderr.decode(), code
