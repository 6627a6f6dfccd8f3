"""A recorded cluster put on the network again: its nodes answer what they once answered.

What was not asked then is an error now, and nothing can be changed: for looking, planning and
comparing, not for acting.
"""

from collections.abc import Mapping
from typing import Any

import yaml

from controller.model.names import same_name
from controller.model.transcript import Transcript
from controller.simulator.config import load_world
from controller.simulator.serve import SimulatedSite

DOMAIN = "recorded.example"


class ReplayedSite(SimulatedSite):
    """A site whose nodes answer from a transcript; `options` are those of a SimulatedSite."""

    def __init__(self, transcript: Transcript, **options: Any) -> None:
        nodes = [{"name": node.node} for node in transcript.nodes]
        world = {"cluster": {"name": "recorded", "domain": DOMAIN}, "nodes": nodes}
        super().__init__(load_world(yaml.safe_dump(world)), **options)
        self._transcript = transcript

    async def respond(
        self, node: str, operation: str, arguments: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """What this node answered to the same call; an error where it was not asked."""
        for one in self._transcript.nodes:
            for exchange in one.exchanges if same_name(one.node, node) else ():
                if exchange.operation == operation and _asks(exchange.arguments) == _asks(
                    arguments
                ):
                    return _reply(exchange.data, exchange.error)
        return _reply(None, "NotRecorded")


def _asks(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a call is about; how old an answer may be does not matter here."""
    return {name: value for name, value in arguments.items() if name != "slowSeconds"}


def _reply(data: Mapping[str, Any] | None, error: str | None) -> dict[str, Any]:
    entry = {"kind": error, "category": None, "type": None, "hresult": None, "message": "Recorded."}
    errors = [entry] if data is None else []
    return {"ok": data is not None, "data": data, "errors": errors}
