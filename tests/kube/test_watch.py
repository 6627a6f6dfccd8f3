"""Whatever becomes of a watch, the mirror comes to show what is on the server."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.adapters.kube.api import MERGE_PATCH, Api, connect
from controller.adapters.kube.informer import Informer, WatchTiming
from controller.adapters.kube.kinds import OURS, PLACEMENT
from tests.kube.api_server import ADMIN, ApiServer, end_process
from tests.kube.fault_proxy import FAULTS, FaultProxy
from tests.kube.story import placement, team

pytestmark = pytest.mark.timeout(90)
WHAT = OURS[PLACEMENT]
QUICK = WatchTiming(
    watch_seconds=3,
    silence_seconds=1.0,
    relist_seconds=3.0,
    back_off_first_seconds=0.05,
    back_off_max_seconds=0.4,
)


def through(proxy: FaultProxy, folder: Path) -> Api:
    """A client whose way leads through the proxy."""
    document = yaml.safe_load(proxy.server.kubeconfig(ADMIN).read_text())
    document["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{proxy.port}"}
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    return connect(str(path))


async def comes(news: asyncio.Event, fits: Callable[[], Any], seconds: float = 25) -> None:
    """Return once it fits; asked again at each piece of news."""
    async with asyncio.timeout(seconds):
        while not fits():
            news.clear()
            await news.wait()


async def truth(direct: Api) -> dict[str, tuple[str, str]]:
    """Name -> uid and generation, as the server has them."""
    found = await direct.list(WHAT, "team-a")
    return {i["metadata"]["name"]: _mark(i) for i in found.items}


def _mark(item: dict[str, Any]) -> tuple[str, str]:
    return item["metadata"]["uid"], str(item["spec"]["owners"]["preferred"])


def mirrored(informer: Informer) -> dict[str, tuple[str, str]]:
    return {name: _mark(item) for (_, name), item in informer.items.items()}


async def change(direct: Api) -> None:
    """One object comes, one goes, one goes and comes again, and one changes twice."""
    await direct.create(WHAT, placement("comes", "VM9", "HV01"), "team-a")
    for name in ("goes", "again"):
        await direct.request("DELETE", WHAT.path("team-a", name))
    await direct.create(WHAT, placement("again", "VM3", "HV02"), "team-a")
    for node in ("HV02", "HV03"):
        body = {"spec": {"owners": {"preferred": [node]}}}
        await direct.patch(WHAT, "changes", body, "team-a", form=MERGE_PATCH)


@pytest.mark.parametrize("fault", FAULTS)
def test_mirror_shows_the_truth_after(fault: str, clean: ApiServer, tmp_path: Path) -> None:
    """The fault strikes at each watch while objects come, go and change; then all is as it is."""
    team(clean, "team-a")
    asyncio.run(_play(fault, clean, tmp_path))


def test_deletion_behind_a_compaction_is_noticed(
    clean: ApiServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The real server no longer knows the version that the watch would go on from: 410."""
    team(clean, "team-a")
    asyncio.run(_compacted(clean, tmp_path))
    told = [str(getattr(record, "reason", "")) for record in caplog.records]
    assert any(reason.startswith("Expired: too old resource version") for reason in told), told


async def _compacted(server: ApiServer, folder: Path) -> None:
    direct = connect(str(server.kubeconfig(ADMIN)))
    for index, name in enumerate(("goes", "again", "changes", "stays")):
        await direct.create(WHAT, placement(name, f"VM{index}", "HV01"), "team-a")
    proxy = FaultProxy(server=server, fault="held")
    async with proxy.serving():
        api = through(proxy, folder)
        news = asyncio.Event()
        informer = Informer(api, WHAT, news.set, WatchTiming(silence_seconds=600.0))
        following = asyncio.create_task(informer.run())
        try:
            await informer.synced.wait()
            assert informer.lists == 1
            await change(direct)
            wanted = await truth(direct)
            await asyncio.to_thread(server.compact)
            # Anew, the server has no window of old events in memory either.
            await asyncio.to_thread(end_process, server.server)
            await asyncio.to_thread(server.begin_server)
            assert mirrored(informer) != wanted
            proxy.fault = ""
            proxy.released.set()
            await comes(news, lambda: mirrored(informer) == wanted)
            assert informer.lists == 2
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await api.close()
            await direct.close()


async def _play(fault: str, server: ApiServer, folder: Path) -> None:
    direct = connect(str(server.kubeconfig(ADMIN)))
    for index, name in enumerate(("goes", "again", "changes", "stays")):
        await direct.create(WHAT, placement(name, f"VM{index}", "HV01"), "team-a")
    proxy = FaultProxy(server=server)
    async with proxy.serving():
        api = through(proxy, folder)
        news = asyncio.Event()
        informer = Informer(api, WHAT, news.set, QUICK)
        proxy.fault = fault
        following = asyncio.create_task(informer.run())
        try:
            await informer.synced.wait()
            assert mirrored(informer) == await truth(direct)
            await change(direct)
            # While it lasts: what a list can tell is told, however each watch ends.
            wanted = await truth(direct)
            await comes(news, lambda: mirrored(informer) == wanted)
            assert proxy.struck > 0
            proxy.fault = ""
            await direct.create(WHAT, placement("after", "VM8", "HV01"), "team-a")
            wanted = await truth(direct)
            await comes(news, lambda: mirrored(informer) == wanted)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await api.close()
            await direct.close()
