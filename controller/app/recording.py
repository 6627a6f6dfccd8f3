"""A recording of one cluster's answers, node by node, without its names. Changes nothing."""

import asyncio
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

from controller.adapters.winrm.logons import LogonGates
from controller.adapters.winrm.nodes import WinRMNodes
from controller.adapters.winrm.program import load_program
from controller.errors import LogonRefused, OwnernodeError, RemoteFailed, Unreachable
from controller.model.document import Document
from controller.model.names import fold, short_node
from controller.model.transcript import Exchange, NodeTranscript, Transcript
from controller.planning.doubtful import settle
from controller.planning.resolve import resolve
from controller.planning.scrub import Scrubber

CALL_SECONDS = 60.0
CALLS: Sequence[tuple[str, Mapping[str, Any]]] = (
    ("ping", {}),
    ("doctor", {}),
    ("observe", {"clusterWide": True, "slowSeconds": 3600}),
    ("observe", {"clusterWide": False, "slowSeconds": 3600}),
)
"""All that a look at a cluster consists of; none of them changes anything."""


LOOKS_MAX = 300
"""A node reads the equipment of 32 VMs a look, and a cluster has 8,000 at most."""


async def record(cluster: Document) -> Transcript:
    """Ask every node everything once. Raises Unreachable if no node answers."""
    connection = resolve(cluster, (), (), "").connection
    nodes = WinRMNodes(connection, gates=LogonGates(), program=load_program())
    found: dict[str, NodeTranscript] = {}
    try:
        waiting: Sequence[str] = connection.seeds
        while waiting:
            async with asyncio.TaskGroup() as group:
                asked = [
                    group.create_task(_ask(nodes, node), name=f"record {node}") for node in waiting
                ]
            found |= {fold(short_node(t.result().node)): t.result() for t in asked}
            named = {name for task in asked for name in _named(task.result())}
            waiting = sorted(name for name in named if fold(short_node(name)) not in found)
    finally:
        await nodes.close()
    answered = [node for _, node in sorted(found.items())]
    if not any(exchange.data for node in answered for exchange in node.exchanges):
        raise Unreachable("no node of the cluster answered, so that nothing is recorded")
    return Transcript(nodes=_scrubbed(answered), facts=settle(answered))


def _scrubbed(nodes: Sequence[NodeTranscript]) -> tuple[NodeTranscript, ...]:
    scrubber = Scrubber()
    return tuple(
        NodeTranscript(
            node=scrubber.node(short_node(node.node)),
            exchanges=tuple(
                exchange.model_copy(update={"data": scrubber.data(exchange.data)})
                for exchange in node.exchanges
            ),
        )
        for node in nodes
    )


async def _ask(nodes: WinRMNodes, node: str) -> NodeTranscript:
    exchanges = []
    for operation, arguments in CALLS:
        began = perf_counter()
        data, error = None, None
        try:
            for _ in range(LOOKS_MAX):
                data = await nodes.call(node, operation, arguments, timeout_seconds=CALL_SECONDS)
                if all(vm["equipment"] is not None for vm in data.get("vms", ())):
                    break
        except RemoteFailed as failed:
            error = failed.kind
        except OwnernodeError as failed:
            error = type(failed).__name__
        exchange = Exchange(
            operation=operation,
            arguments=arguments,
            data=data,
            error=error,
            seconds=round(perf_counter() - began, 3),
        )
        exchanges.append(exchange)
        if error in (LogonRefused.__name__, Unreachable.__name__):
            break  # the next call would fare no better
    return NodeTranscript(node=node, exchanges=tuple(exchanges))


def _named(node: NodeTranscript) -> Sequence[str]:
    """The cluster's nodes, as this one says."""
    seen = next((x.data for x in node.exchanges if x.operation == "observe" and x.data), None)
    return [str(one["name"]) for one in seen["nodes"]] if seen else []
