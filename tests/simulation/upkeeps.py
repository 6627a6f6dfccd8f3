"""What people declared of nodes, as the checker reads it: from the documents themselves."""

from dataclasses import dataclass
from datetime import datetime

from tests.simulation.wants import Specs
from tests.support.virtual_time import EPOCH


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """One NodeMaintenance. The node's name is folded; times are seconds of the run."""

    node: str
    start_seconds: float
    end_seconds: float
    suspended: bool

    def is_due(self, seconds: float) -> bool:
        """Whether the node is to be empty at that time."""
        return self.start_seconds <= seconds < self.end_seconds and not self.suspended


def read_upkeeps(specs: Specs) -> tuple[Upkeep, ...]:
    """What each document asks for."""
    found = []
    for spec in specs.values():
        start, end = 0.0, float("inf")
        if "window" in spec:
            began = datetime.fromisoformat(spec["window"]["start"])
            start = (began - EPOCH).total_seconds()
            end = start + float(spec["window"]["duration"].removesuffix("s"))
        found.append(
            Upkeep(
                node=spec["node"].lower(),
                start_seconds=start,
                end_seconds=end,
                suspended=spec.get("suspend", False),
            )
        )
    return tuple(found)
