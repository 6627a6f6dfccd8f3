"""A wish for a cycle counts as handled once a look that began after it is over, and no sooner."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx2
from starlette.testclient import TestClient

from controller.adapters.http.standby import make_standby
from controller.adapters.kube.annotations import Annotations
from controller.adapters.kube.api import Api
from controller.adapters.kube.informer import Informer
from controller.adapters.kube.kinds import CLUSTER, OURS, PLACEMENT
from controller.model.control import Demand
from tests.support.reports import report

AT = (CLUSTER, ("", "prod"))
OBJECT = {
    "metadata": {
        "name": "prod",
        "uid": "u1",
        "resourceVersion": "7",
        "annotations": {"ownernode.io/reconcile-at": "noon"},
    },
    "spec": {},
}


async def answer(request: httpx2.Request) -> httpx2.Response:
    """An API server with one FailoverCluster, on which nothing happens."""
    if "watch" in request.url.params:
        await asyncio.sleep(3600)
    items = [OBJECT] if "failoverclusters" in request.url.path else []
    return httpx2.Response(200, json={"metadata": {"resourceVersion": "7"}, "items": items})


async def play() -> tuple[list[str], list[str | None]]:
    """Clusters that were woken; what counts as handled before, between and after."""
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(answer), base_url="http://x")
    api = Api(client, "ownernode")
    mirrors = [Informer(api, OURS[kind], lambda: None) for kind in (CLUSTER, PLACEMENT)]
    woken: list[str] = []
    news = asyncio.Event()

    def wake(cluster: str) -> None:
        woken.append(cluster)
        news.set()

    async def give(demand: Demand) -> str:
        raise AssertionError("nobody approved anything")

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(mirror.run()) for mirror in mirrors]
        for mirror in mirrors:
            await mirror.synced.wait()
        orders = Annotations(api, *mirrors, wake=wake, give=give)
        tasks.append(group.create_task(orders.run()))
        orders.look()
        await news.wait()
        found = [orders.handled.get(AT)]
        now = datetime.now(UTC)
        for began in (now - timedelta(minutes=1), now + timedelta(minutes=1)):
            await orders.show(replace(report(), cluster="prod", observed_at=began))
            found.append(orders.handled.get(AT))
        for task in tasks:
            task.cancel()
    return woken, found


def test_cycle_that_was_under_way_does_not_fulfil_a_wish() -> None:
    """It may have looked before whatever the wish was for."""
    woken, found = asyncio.run(play())
    assert woken == ["prod"]
    assert found == [None, None, "noon"]


def test_replica_that_waits_is_ready_once_it_could_lead() -> None:
    """It lives all the time, and says what it lacks."""
    lacks = ["FailoverCluster: not listed yet"]
    client = TestClient(make_standby(lambda: False, lambda: "; ".join(lacks)))
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503
    assert "not listed yet" in client.get("/readyz").text
    lacks.clear()
    assert client.get("/readyz").status_code == 200
    assert "ownernode_leader 0.0" in client.get("/metrics").text
