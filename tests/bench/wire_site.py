"""A site in a process of its own for the figures of the wire: served until stdin ends.

`python -m tests.bench.wire_site FOLDER NODES VMS_PER_NODE`. Its nodes answer what was computed
before the start, so that next to nothing but WinRM is measured. Each line of stdin is a number:
seconds that a call takes from now on; the answer is the number of HTTP exchanges so far.
"""

import asyncio
import json
import sys
from pathlib import Path

from controller.model.transcript import Exchange, NodeTranscript, Transcript
from controller.simulator.config import load_world
from controller.simulator.replay import ReplayedSite
from controller.simulator.responder import respond
from controller.simulator.responder_slow import EQUIPMENT_READS_MAX
from controller.simulator.world import World

USER = "CORP\\svc-bench"
PASSWORD = "Bench 7f3a"
SLOW_SECONDS = 3600
LISTING = 2
"""Nodes that are asked for the lists of the whole cluster."""


def name_of(number: int) -> str:
    """`HV01` of 0."""
    return f"HV{number + 1:02}"


def world_of(nodes: int, vms: int) -> World:
    """A quiet cluster with so many VMs on each node."""
    document = {
        "cluster": {"name": "bench", "domain": "recorded.example"},
        "nodes": [{"name": name_of(n), "memory": "2048Gi"} for n in range(nodes)],
        "volumes": [{"name": "Volume1", "size": "512Ti"}],
        "vms": [
            {"name": f"VM{n:05}", "node": name_of(n % nodes), "memory": "4Gi"}
            for n in range(nodes * vms)
        ],
    }
    return load_world(json.dumps(document))


def transcript_of(nodes: int, vms: int) -> Transcript:
    """What each node of that cluster answers to a look."""
    world = world_of(nodes, vms)
    for number in range(nodes):  # until an agent has read the equipment of every VM, as it stays
        for _ in range(-(-vms // EQUIPMENT_READS_MAX)):
            look = {"clusterWide": False, "slowSeconds": SLOW_SECONDS}
            respond(world, name_of(number), "observe", look)

    def answers(number: int) -> tuple[Exchange, ...]:
        looks = (False, True) if number < LISTING else (False,)
        calls = (
            ("ping", {}),
            *(("observe", {"clusterWide": wide, "slowSeconds": SLOW_SECONDS}) for wide in looks),
        )
        return tuple(
            Exchange(
                operation=operation,
                arguments=arguments,
                data=respond(world, name_of(number), operation, arguments)["data"],  # type: ignore[arg-type]
                error=None,
                seconds=0,
            )
            for operation, arguments in calls
        )

    return Transcript(
        nodes=tuple(NodeTranscript(node=name_of(n), exchanges=answers(n)) for n in range(nodes)),
        facts=(),
    )


async def serve(folder: Path, nodes: int, vms: int) -> None:
    """Serve until stdin ends."""
    site = ReplayedSite(transcript_of(nodes, vms), user=USER, password=PASSWORD)
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with site:
        ca_file = folder / "ca.pem"
        ca_file.write_bytes(site.ca_file.read_bytes())
        print(json.dumps({"addresses": dict(site.addresses), "ca": str(ca_file)}), flush=True)
        while line := await reader.readline():
            for server in site.servers.values():
                server.faults.delays["Receive"] = float(line)
            print(sum(server.counts["HTTP"] for server in site.servers.values()), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
