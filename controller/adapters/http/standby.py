"""What a replica answers that does not lead: that it lives, and that it leads not."""

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route


def make_standby(leads: Callable[[], bool]) -> Starlette:
    """The ASGI application of such a replica."""
    registry = CollectorRegistry()
    leader = Gauge("ownernode_leader", "Whether this process acts.", registry=registry)
    leader.set_function(lambda: float(leads()))

    async def well(request: Request) -> Response:
        return PlainTextResponse("standing by: another replica leads\n")

    async def metrics(request: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return Starlette(
        routes=[
            Route("/", well),
            Route("/healthz", well),
            Route("/readyz", well),
            Route("/metrics", metrics),
        ]
    )
