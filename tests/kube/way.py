"""The way of a replica to the API server, where requests are slow, hang, are lost, or come late.

It shows of our kinds only what belongs to its run, so that several runs share one server.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx2
from starlette.requests import Request
from starlette.responses import Response

from controller.adapters.kube.kinds import OURS
from tests.kube.fault_proxy import ERROR, FaultProxy

LATE_SECONDS = 8.0
"""After so long what hung is let go on, whoever still waits for it."""


@dataclass
class Way(FaultProxy):
    """Strikes at watches as its base does, by `fault`; at all other requests by `trouble`."""

    cluster: str = ""
    """The FailoverCluster of the run."""
    space: str = ""
    """The namespace of the run."""
    trouble: str = ""
    slow_seconds: float = 0.0
    gone: int = 0
    """Answers that a version has expired, by the server itself."""
    mended: asyncio.Event = field(default_factory=asyncio.Event)
    _cut: asyncio.Event = field(default_factory=asyncio.Event)

    def cut_watches(self) -> None:
        """Break off each watch that is under way."""
        self._cut.set()
        self._cut = asyncio.Event()

    def mend(self) -> None:
        """From now on all is well; what was held goes on its way."""
        self.fault = self.trouble = ""
        self.released.set()
        self.mended.set()
        self.released, self.mended = asyncio.Event(), asyncio.Event()

    async def _answer(self, request: Request) -> Response:
        is_watch = request.query_params.get("watch") == "true"
        is_renewal = "/leases" in request.url.path and request.method != "GET"
        match self.trouble:
            case "cut off":
                await self._held()
                return Response(ERROR, 504, media_type="application/json")
            case "slow reads" if request.method == "GET" and not is_watch:
                await asyncio.sleep(self.slow_seconds)
            case "renewals hang" if is_renewal:  # and are carried out when nobody waits any more
                await self._held()
            case "renewals are not answered" if is_renewal:
                await self._forward(request)
                await self._held()
            case "writes are refused" if request.method == "PATCH":
                return Response(ERROR, 503, media_type="application/json")
            case "writes are not answered" if request.method == "PATCH":
                await self._forward(request)
                return Response(ERROR, 504, media_type="application/json")
        try:
            answer = await super()._answer(request)
        except httpx2.HTTPError:
            return Response(ERROR, 502, media_type="application/json")
        self.gone += answer.status_code == 410 and not self.fault
        return answer

    def _asked(self, request: Request) -> dict[str, str]:
        asked = super()._asked(request)
        what = next((w for w in OURS.values() if request.url.path == w.path()), None)
        if what is not None and request.method == "GET":
            narrow = f"namespace={self.space}" if what.namespaced else f"name={self.cluster}"
            asked["fieldSelector"] = f"metadata.{narrow}"
        return asked

    async def _held(self) -> None:
        try:
            async with asyncio.timeout(LATE_SECONDS):
                await self.mended.wait()
        except TimeoutError:
            return

    async def _lines(self, answer: httpx2.Response) -> AsyncIterator[bytes]:
        """As the base gives them, until the watch is cut."""
        lines, cutting = super()._lines(answer), asyncio.ensure_future(self._cut.wait())
        coming: asyncio.Future[bytes] = cutting  # type: ignore[assignment]
        try:
            while True:
                coming = asyncio.ensure_future(anext(lines))
                await asyncio.wait({coming, cutting}, return_when=asyncio.FIRST_COMPLETED)
                if not coming.done():
                    return
                line = coming.result()
                self.gone += b'"code":410' in line and not self.fault
                yield line
        except (StopAsyncIteration, httpx2.HTTPError, ConnectionResetError):
            return
        finally:
            cutting.cancel()
            coming.cancel()
            await asyncio.gather(coming, cutting, return_exceptions=True)
            await lines.aclose()  # type: ignore[attr-defined]
