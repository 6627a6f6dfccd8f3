"""uvicorn inside our own task group, with the signals left to the process that owns them."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from controller.errors import SpecError

STOP_SECONDS = 2
"""How long an answer under way may take once the process stops."""


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave SIGINT and SIGTERM alone: uvicorn would take them over and raise them again."""
        yield


def bind(host: str, port: int) -> socket.socket:
    """Take the port, before anything else is started. Raises SpecError when it can't be had."""
    try:
        return socket.create_server((host, port), family=_family(host))
    except OSError as error:
        raise SpecError(f"can't listen on {host}:{port}: {error.strerror}") from error


async def serve(
    application: ASGIApp, listening: socket.socket, tls: ssl.SSLContext | None = None
) -> None:
    """Serve until cancelled; then finish the answers under way and close the socket."""
    config = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    config.load()
    config.ssl = tls
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]), name="http server")
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        await serving
        raise
    finally:
        listening.close()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
