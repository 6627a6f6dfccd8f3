"""The read-only HTTP side: metrics, health, the reports as JSON, and a page for people."""

import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from controller.adapters.http.board import Board
from controller.adapters.http.page import STYLE, render_page
from controller.model.json_documents import as_json
from controller.model.report import ClusterReport

HEADERS = {
    # The page has no script at all, so nothing that a VM is named can become one.
    "content-security-policy": "default-src 'none'; style-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What is served."""

    board: Board
    metrics: Callable[[], Awaitable[bytes]]
    metrics_type: str
    explain: Callable[[str], Awaitable[list[dict[str, Any]]]]
    """Explanations of every VM of that name, spec name or id, in all clusters."""


def make_application(sources: Sources) -> Starlette:
    """The ASGI application over these sources; every route only reads."""
    routes = (
        ("/", _page),
        ("/style.css", _style),
        ("/metrics", _metrics),
        ("/healthz", _health),
        ("/readyz", _ready),
        ("/api/v1/status", _status),
        ("/api/v1/explain/{vm:path}", _explain),
    )
    return Starlette(
        routes=[Route(path, partial(_with_headers, handle, sources)) for path, handle in routes]
    )


Handler = Callable[[Sources, Request], Awaitable[Response]]


async def _with_headers(handle: Handler, sources: Sources, request: Request) -> Response:
    response = await handle(sources, request)
    response.headers.update(HEADERS)
    return response


async def _page(sources: Sources, _: Request) -> Response:
    reports, unready = sources.board.reports(), sources.board.unready()
    return HTMLResponse(await run_in_threadpool(render_page, reports, unready))


async def _style(_: Sources, __: Request) -> Response:
    return Response(STYLE, media_type="text/css")


async def _metrics(sources: Sources, _: Request) -> Response:
    return Response(await sources.metrics(), headers={"content-type": sources.metrics_type})


async def _health(_: Sources, __: Request) -> Response:
    """Alive: the loop answers. A cluster that is away is no reason to be restarted."""
    return PlainTextResponse("ok\n")


async def _ready(sources: Sources, _: Request) -> Response:
    unready = sources.board.unready()
    text = "".join(f"{sentence}\n" for sentence in unready) or "ok\n"
    return PlainTextResponse(text, HTTPStatus.SERVICE_UNAVAILABLE if unready else HTTPStatus.OK)


async def _status(sources: Sources, _: Request) -> Response:
    reports = sources.board.reports()
    return Response(await run_in_threadpool(_status_text, reports), media_type="application/json")


def _status_text(reports: Iterable[ClusterReport]) -> str:
    """One report after another: encoding holds up every other thread."""
    texts = (json.dumps(as_json(report), ensure_ascii=False) for report in reports)
    return f'{{"clusters": [{", ".join(texts)}]}}'


async def _explain(sources: Sources, request: Request) -> Response:
    vm = request.path_params["vm"]
    found = await sources.explain(vm)
    if not found:
        message = f"no spec and no VM is called {vm!r} here"
        return JSONResponse({"error": message}, HTTPStatus.NOT_FOUND)
    return JSONResponse({"explanations": found})
