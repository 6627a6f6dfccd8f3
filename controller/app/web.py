"""The HTTP side of a process: whatever is served, with the passwords and the TLS of one file."""

import asyncio
from pathlib import Path
from socket import socket

from starlette.types import ASGIApp

from controller.adapters.http.server import serve
from controller.adapters.http.web_config import Passwords, TlsContext, WebConfig, read_web_config


class Web:
    """How one process answers."""

    def __init__(self, path: Path | None) -> None:
        """Read the file before anything is started. Raises SpecError for a fault in it."""
        self._config = read_web_config(path) if path is not None else WebConfig()
        self._tls: TlsContext | None = None
        if path is not None and self._config.tls_server_config is not None:
            self._tls = TlsContext(self._config, path.parent)

    async def serve(self, application: ASGIApp, listening: socket) -> None:
        """Answer until cancelled."""
        if self._config.basic_auth_users:
            application = Passwords(application, self._config.basic_auth_users)
        context = self._tls.context if self._tls is not None else None
        async with asyncio.TaskGroup() as group:
            group.create_task(serve(application, listening, context), name="http server")
            if self._tls is not None:
                group.create_task(self._tls.follow(), name="follow the certificate")
