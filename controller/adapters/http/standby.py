"""What a replica answers that does not lead: that it lives, and whether it could lead at once.

One that waits is ready once it knows every object: an update that puts replicas in place of others
one by one then never ends with nobody who could take over, and does not wait for it to lead.
"""

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route


def make_standby(leads: Callable[[], bool], lacks: Callable[[], str]) -> Starlette:
    """The ASGI application of such a replica; `lacks` says what it does not know, or nothing."""
    registry = CollectorRegistry()
    leader = Gauge("ownernode_leader", "Whether this process acts.", registry=registry)
    leader.set_function(lambda: float(leads()))

    async def well(request: Request) -> Response:
        return PlainTextResponse("standing by: another replica leads\n")

    async def ready(request: Request) -> Response:
        lacking = lacks()
        if not lacking:
            return await well(request)
        return PlainTextResponse(f"standing by, and could not lead: {lacking}\n", status_code=503)

    async def metrics(request: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return Starlette(
        routes=[
            Route("/", well),
            Route("/healthz", well),
            Route("/readyz", ready),
            Route("/metrics", metrics),
        ]
    )
