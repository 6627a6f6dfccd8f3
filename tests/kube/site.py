"""A simulated cluster on the network that tells who asked its nodes for what change, and when."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from controller.adapters.kube.lease import seconds_since_boot
from controller.simulator.config import load_world
from controller.simulator.serve import SimulatedSite

USER, PASSWORD = "svc", "a-password-of-the-simulation"


@dataclass(frozen=True)
class Deed:
    """One change that a node was asked for."""

    at: float
    """Seconds since the machine's start, by the clock of the Lease."""
    operation: str
    holder: str
    """Drawn anew by each Controller that begins."""
    intent: str
    vm_id: str
    is_done: bool
    """The node did it, or began to; false if it found a condition untrue."""


class WatchedSite(SimulatedSite):
    """Keeps every deed, in the order in which the nodes were asked."""

    def __init__(self, world: str) -> None:
        started = datetime.now(UTC)
        super().__init__(load_world(world, started=started), user=USER, password=PASSWORD)
        self.deeds: list[Deed] = []

    async def respond(
        self, node: str, operation: str, arguments: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Carry it out as the base does."""
        at = seconds_since_boot()
        reply = await super().respond(node, operation, arguments)
        if "holder" in arguments:
            deed = Deed(
                at=at,
                operation=operation,
                holder=arguments["holder"],
                intent=arguments.get("intent", ""),
                vm_id=arguments.get("vmId", ""),
                is_done=bool(reply["ok"]) and reply["data"].get("outcome") != "refused",
            )
            self.deeds.append(deed)
        return reply

    def connection(self, folder: Path) -> dict[str, Any]:
        """What a FailoverCluster says to reach it. Writes the account and the CA there."""
        (folder / "account").write_text(f"username={USER}\npassword={PASSWORD}\n")
        (folder / "ca.pem").write_bytes(self.ca_file.read_bytes())
        nodes = sorted(self.addresses)
        return {
            "nodes": nodes[:2],
            "addresses": {node.split(".")[0]: self.addresses[node] for node in nodes},
            "authentication": "NTLM",
            "credentials": {"file": str(folder / "account")},
            "tls": {"ca": str(folder / "ca.pem")},
        }
