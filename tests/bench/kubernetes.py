"""Measure a leading replica with 8,000 placements, on a real API server and a simulated cluster.

`python tests/bench/kubernetes.py [COUNT]` builds the server if need be, as .ci/kubernetes says.
The replica is `ownernode run --kubernetes` in a process of its own; every VM is where it belongs.
Writes are those that the API server recorded, but for the Lease's renewals.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.figures import Figure, figure, show
from tests.kube.api_server import Missing, api_server
from tests.kube.conftest import install
from tests.kube.fleet import QUIET_CYCLES, Fleet, fleet

NODES = 64
IDLE_CYCLES = 4
STATUS = "patch virtualmachineplacements/status"


def figures(count: int = 8_000) -> Iterator[Figure]:
    """What it costs; nothing, with the reason printed, where there are no programs for a server."""
    try:
        with tempfile.TemporaryDirectory() as folder, api_server(Path(folder)) as server:
            install(server)
            place = Path(folder) / "fleet"
            with fleet(server, place, nodes=NODES, vms=count, interval="10s") as leading:
                yield from _measured(leading, count)
    except Missing as missing:
        print(f"no figures of Kubernetes: {missing}")


def _measured(leading: Fleet, count: int) -> Iterator[Figure]:
    size = f"{count} placements"
    yield figure(f"start to synced, {size}", leading.until_synced(), "s", 5)
    yield figure(f"start to all statuses written, {size}", leading.until_settled(count, 900), "s")
    leading.until_quiet(900)
    before = leading.writes()
    leading.pass_cycles(IDLE_CYCLES)
    idle = leading.writes() - before
    yield figure(f"writes to the API in {IDLE_CYCLES} idle cycles, {size}", idle.total(), "", 0)
    before = leading.writes()
    yield figure(f"an edit until its status is written, {size}", leading.edit(), "s")
    leading.pass_cycles(QUIET_CYCLES)
    written = leading.writes() - before
    yield figure(f"statuses of placements written for one edit, {size}", written[STATUS], "", 1)
    other = written.total() - written[STATUS]
    yield figure(f"other writes for one edit (the memory), {size}", other, "", 1)
    yield figure(f"memory of the replica, RSS, {size}", leading.rss_bytes / 2**20, "MiB", 300)


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 8_000
    show(figures(count))


if __name__ == "__main__":
    main()
