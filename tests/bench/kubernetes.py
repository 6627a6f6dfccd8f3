"""Measure how long a replica takes to know 8,000 placements, with a real API server.

`python tests/bench/kubernetes.py [COUNT]`: builds the server if need be (.ci/kubernetes), fills it,
and starts one process that lists, judges and keeps every placement, as a replica does before it can
lead; then one object is edited. Memory is that process's own.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[2]))

from controller.adapters.kube.api import MERGE_PATCH, Api, connect
from controller.adapters.kube.informer import Informer
from controller.adapters.kube.kinds import OURS, PLACEMENT
from controller.adapters.kube.source import KubernetesSource
from controller.app.kubernetes import FileShelf
from tests.kube.api_server import ADMIN, CONTROLLER, api_server
from tests.kube.conftest import install
from tests.kube.story import placement, team

WHAT = OURS[PLACEMENT]
AT_ONCE = 16
CHILD = "--child"


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 8_000
    with tempfile.TemporaryDirectory() as folder, api_server(Path(folder)) as server:
        install(server)
        team(server, "team-a")
        began = time.monotonic()
        asyncio.run(fill(str(server.kubeconfig(ADMIN)), count))
        filled = time.monotonic() - began
        command = [sys.executable, __file__, CHILD, str(server.kubeconfig(CONTROLLER)), folder]
        load = os.getloadavg()[0]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            figures = json.loads(child.stdout.readline())
            began = time.monotonic()
            asyncio.run(edit(str(server.kubeconfig(ADMIN))))
            assert child.stdout.readline() == "seen\n"
            figures["an edit until it is judged and kept, s"] = time.monotonic() - began
    print(f"{count} placements (filled in {filled:.0f} s), {os.cpu_count()} cores, load {load:.1f}")
    for name, value in figures.items():
        print(f"{name:<48} {value:>8.2f}")


async def fill(kubeconfig: str, count: int) -> None:
    """Create the placements."""
    api = connect(kubeconfig)
    gate = asyncio.Semaphore(AT_ONCE)

    async def create(number: int) -> None:
        document = placement(f"vm{number:05}", f"VM{number:05}", f"HV{number % 64 + 1:02}")
        async with gate:
            await api.create(WHAT, document, "team-a")

    await asyncio.gather(*map(create, range(count)))
    await api.close()


async def edit(kubeconfig: str) -> None:
    """Want one VM elsewhere."""
    api = connect(kubeconfig)
    body = {"spec": {"owners": {"preferred": ["HV64"]}}}
    await api.patch(WHAT, "vm00000", body, "team-a", form=MERGE_PATCH)
    await api.close()


async def replica(api: Api, state: Path) -> None:
    """List, judge, keep, say how long it took; then wait for an edit."""
    process = psutil.Process()
    before, began = process.memory_info().rss, time.monotonic()
    news = asyncio.Event()
    informer = Informer(api, WHAT, news.set)
    following = asyncio.create_task(informer.run())
    await informer.synced.wait()
    listed = time.monotonic() - began
    source = KubernetesSource({PLACEMENT: informer}, FileShelf(state))
    first = await source.read()
    figures = {
        "start to listed, s": listed,
        "start to judged and kept, s": time.monotonic() - began,
        "RSS before, MiB": before / 2**20,
        "RSS after, MiB": process.memory_info().rss / 2**20,
    }
    news.clear()
    print(json.dumps(figures), flush=True)
    while (await source.read()).revision == first.revision:
        await news.wait()
        news.clear()
    print("seen", flush=True)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    source.close()
    await api.close()


if __name__ == "__main__":
    if sys.argv[1:2] == [CHILD]:
        asyncio.run(replica(connect(sys.argv[2]), Path(sys.argv[3]) / "state"))
    else:
        main()
