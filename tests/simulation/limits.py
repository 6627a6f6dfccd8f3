"""The policy that was declared, as the checker reads it: never through the code that it judges."""

from dataclasses import dataclass

from tests.simulation.drawing import Options

GIB = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The policy that was declared, as the checker reads it."""

    mode: str
    unfit: bool
    """A check of the nodes fails."""
    balancer: str
    native_policy: str
    per_node: int
    per_cluster: int
    age_seconds: float
    settle_seconds: float
    cooldown_seconds: float
    respect_seconds: float
    interval_seconds: float
    reserve_bytes: int | None
    """None: the larger of a tenth of the node and 4 GiB."""

    def reserve(self, node_bytes: int) -> int:
        """What must stay free on a node of that size."""
        if self.reserve_bytes is not None:
            return self.reserve_bytes
        return max(node_bytes // 10, 4 * GIB)


def read_limits(options: Options) -> Limits:
    """The policy as it was declared."""
    config = options.config
    reserve = config.get("capacity", {}).get("memoryReserve")
    node_bytes = int(str(options.world["nodes"][0]["memory"]).removesuffix("Gi")) * GIB
    sizes = {None: None, "10%": node_bytes // 10, "2Gi": 2 * GIB}
    return Limits(
        mode=config["mode"],
        unfit="unfit node" in options.tags,
        balancer=config["balancer"],
        native_policy=config.get("nativePolicy", "Ignore"),
        per_node=config["migration"]["perNode"],
        per_cluster=config["migration"]["perCluster"],
        age_seconds=60.0,
        settle_seconds=_seconds(config["timing"]["settle"]),
        cooldown_seconds=_seconds(config["brakes"]["cooldown"]),
        respect_seconds=_seconds(config["foreignMoves"]["respect"]),
        interval_seconds=_seconds(config["interval"]),
        reserve_bytes=sizes[reserve],
    )


def _seconds(text: str) -> float:
    return float(text.removesuffix("s"))
