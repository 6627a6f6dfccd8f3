"""The HTTP side: metrics, health, reports as JSON, a page for people, and the few verbs."""

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
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
from controller.adapters.http.verbs import Gate, answer, is_host_right
from controller.adapters.http.webhook import Hints, take_hint
from controller.model.control import Demand, Stop, Verb
from controller.model.json_documents import as_json
from controller.model.report import ClusterReport
from controller.planning.approvals import waiting_for_approval
from controller.planning.sentences import hold_sentence

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
    history: Callable[[str], Awaitable[list[dict[str, Any]]]]
    """What was done to the VM or node of that name, in all clusters."""
    stops: Callable[[], Sequence[tuple[str, Stop]]]
    """Those in force, with the cluster; empty: all clusters."""
    give: Callable[[Demand], Awaitable[str]]
    """Obeys, and says what holds now."""
    token: str
    """Who has it may give orders."""
    hints: Hints = field(default_factory=dict)
    """Webhooks by the name of their source."""


def make_application(sources: Sources) -> Starlette:
    """The ASGI application over these sources; only the verbs change anything."""
    gate = Gate(sources.token)
    reads = (
        ("/", _page),
        ("/style.css", _style),
        ("/metrics", _metrics),
        ("/healthz", _health),
        ("/readyz", _ready),
        ("/api/v1/status", _status),
        ("/api/v1/plan", _plan),
        ("/api/v1/explain/{vm:path}", _explain),
        ("/api/v1/history/{name:path}", _history),
    )
    routes = [Route(path, partial(_with_headers, handle, sources)) for path, handle in reads]
    routes += [
        Route(
            f"/api/v1/{verb}",
            partial(_with_headers, partial(_verb, gate, verb), sources),
            methods=["POST"],
        )
        for verb in Verb
    ]
    # Signed, and it tells nothing: whatever name a proxy on this machine calls us by is right.
    hook = Route("/api/v1/webhook/{source}", partial(_webhook, sources), methods=["POST"])
    return Starlette(routes=[*routes, hook])


Handler = Callable[[Sources, Request], Awaitable[Response]]


async def _with_headers(handle: Handler, sources: Sources, request: Request) -> Response:
    if not is_host_right(request):
        response: Response = PlainTextResponse("unknown host\n", HTTPStatus.MISDIRECTED_REQUEST)
    else:
        response = await handle(sources, request)
    response.headers.update(HEADERS)
    return response


async def _webhook(sources: Sources, request: Request) -> Response:
    response = await take_hint(sources.hints, request)
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
    stops = [_stop(cluster, stop) for cluster, stop in sources.stops()]
    waiting = [
        {
            "cluster": report.cluster,
            "digest": hold.evidence["digest"],
            "reason": hold.reason.value,
            "sentence": hold_sentence(hold),
        }
        for report in reports
        for hold in waiting_for_approval(report)
    ]
    text = await run_in_threadpool(_status_text, reports, {"stops": stops, "waiting": waiting})
    return Response(text, media_type="application/json")


def _status_text(reports: Iterable[ClusterReport], rest: dict[str, Any]) -> str:
    """One report after another: encoding holds up every other thread."""
    texts = (json.dumps(as_json(report), ensure_ascii=False) for report in reports)
    return f'{{"clusters": [{", ".join(texts)}], {json.dumps(rest, ensure_ascii=False)[1:]}'


def _stop(cluster: str, stop: Stop) -> dict[str, Any]:
    return {
        "cluster": cluster,
        "scope": stop.scope.value,
        "name": stop.name,
        "source": stop.source.value,
        "owner": stop.owner,
        "reason": stop.reason,
        "since": stop.since.isoformat(timespec="seconds"),
        "until": stop.until.isoformat(timespec="seconds") if stop.until is not None else None,
    }


async def _plan(sources: Sources, _: Request) -> Response:
    reports = sources.board.reports()
    return JSONResponse(
        await run_in_threadpool(lambda: {"plans": [as_json(r.plan) for r in reports]})
    )


async def _explain(sources: Sources, request: Request) -> Response:
    vm = request.path_params["vm"]
    found = await sources.explain(vm)
    if not found:
        message = f"no spec and no VM is called {vm!r} here"
        return JSONResponse({"error": message}, HTTPStatus.NOT_FOUND)
    return JSONResponse({"explanations": found})


async def _history(sources: Sources, request: Request) -> Response:
    name = request.path_params["name"]
    return JSONResponse({"history": await sources.history(name)})


async def _verb(gate: Gate, verb: Verb, sources: Sources, request: Request) -> Response:
    return await answer(gate, sources.give, verb, request)
