"""Ports for tests that start a server by a command line; each pytest worker has its own."""

import os
import socket

PORTS_A_WORKER = 20


def own_port(number: int) -> int:
    """The port of that number for this worker; below those that systems give to connections."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    return number + PORTS_A_WORKER * int(worker)


def free_port() -> int:
    """A port that nobody listened at just now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
