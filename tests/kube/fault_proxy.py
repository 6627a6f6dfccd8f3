"""A proxy before the API server that does to watches what networks and servers do to them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tests.kube.api_server import ADMIN, ApiServer
from tests.support.ports import free_port

GONE = b'{"kind":"Status","code":410,"reason":"Expired","message":"too old resource version"}'
ERROR = b'{"kind":"Status","code":500,"reason":"InternalError","message":"etcd is away"}'
FAULTS = (
    "clean close", "410 in the stream", "410 again and again", "410 as the status",
    "500 in the stream", "503", "429", "page of a proxy", "reset", "stall", "headers never come",
    "event lost", "told twice", "out of order", "line cut in two", "no JSON",
)  # fmt: skip


@dataclass
class FaultProxy:
    """Forwards everything; strikes at watches while `fault` is set."""

    server: ApiServer
    port: int = field(default_factory=free_port)
    fault: str = ""
    struck: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)
    """Lets a watch go on its way that the fault `held` keeps."""

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["FaultProxy"]:
        """Listen without TLS."""
        context = httpx2.create_ssl_context()
        context.load_verify_locations(str(self.server.folder / "ca.pem"))
        async with httpx2.AsyncClient(
            base_url=self.server.url,
            verify=context,
            headers={"Authorization": f"Bearer {self.server.tokens[ADMIN]}"},
            timeout=httpx2.Timeout(10, read=None),
        ) as client:
            self._client = client
            methods = ["GET", "POST", "PUT", "PATCH"]
            application = Starlette(routes=[Route("/{path:path}", self._answer, methods=methods)])
            config = uvicorn.Config(
                application, port=self.port, log_config=None, lifespan="off", access_log=False
            )
            server = uvicorn.Server(config)
            server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
            config.timeout_graceful_shutdown = 1
            serving = asyncio.create_task(server.serve())
            while not server.started:  # noqa: ASYNC110  # uvicorn has no event for it
                await asyncio.sleep(0.01)
            try:
                yield self
            finally:
                server.should_exit = True
                server.force_exit = True
                await serving

    async def _answer(self, request: Request) -> Response:
        is_watch = request.query_params.get("watch") == "true"
        if is_watch and self.fault:
            self.struck += 1
            struck = await self._strike(self.fault)
            if struck is not None:
                return struck
        answer = await self._forward(request)
        if not is_watch:
            await answer.aread()
            return Response(answer.content, answer.status_code, media_type="application/json")
        return StreamingResponse(
            self._lines(answer), answer.status_code, media_type="application/json"
        )

    async def _forward(self, request: Request) -> httpx2.Response:
        """Ask the server the same; its answer has begun."""
        headers = {k: v for k, v in request.headers.items() if k in ("content-type", "accept")}
        sent = self._client.build_request(
            request.method,
            request.url.path,
            params=self._asked(request),
            content=await request.body(),
            headers=headers,
        )
        return await self._client.send(sent, stream=True)

    def _asked(self, request: Request) -> dict[str, str]:
        return dict(request.query_params)

    async def _strike(self, fault: str) -> Response | None:
        """What is answered in place of the watch."""
        kind = "application/json; charset=utf-8"
        match fault:
            case "410 as the status":
                return Response(GONE, 410, media_type=kind)
            case "410 in the stream" | "410 again and again":
                self.fault = "" if fault == "410 in the stream" else fault
                return Response(b'{"type":"ERROR","object":' + GONE + b"}\n", media_type=kind)
            case "500 in the stream":
                return Response(b'{"type":"ERROR","object":' + ERROR + b"}\n", media_type=kind)
            case "503" | "429":
                return Response(ERROR, int(fault), media_type=kind)
            case "page of a proxy":
                return Response("<html>Bad gateway</html>", 502, media_type="text/html")
            case "no JSON":
                return Response("this is no event\n", media_type=kind)
            case "clean close":
                return Response(b"", media_type=kind)
            case "held":
                await self.released.wait()
            case "headers never come":
                await asyncio.sleep(3600)
        return None

    async def _lines(self, answer: httpx2.Response) -> AsyncIterator[bytes]:
        held: bytes | None = None
        try:
            async for line in answer.aiter_lines():
                whole = line.encode() + b"\n"
                match self.fault:
                    case "reset":
                        yield whole[:20]
                        raise ConnectionResetError("cut in the middle of a line")
                    case "stall":
                        await asyncio.sleep(3600)
                    case "event lost":
                        continue
                    case "told twice":
                        yield whole
                        yield whole
                    case "out of order" if held is None:
                        held = whole
                    case "out of order":
                        assert held is not None
                        yield whole
                        yield held
                        held = None
                    case "line cut in two":
                        yield whole[:30]
                        await asyncio.sleep(0.05)
                        yield whole[30:]
                    case _:
                        yield whole
        finally:
            await answer.aclose()
