"""Exchanges cut at random: every call is answered, and executed exactly once."""

from random import Random

import pytest

from controller.simulator.winrm_server.injection import Faults
from tests.contract.clusters import WIRES, Cluster, Way

every_wire = pytest.mark.parametrize("play", WIRES, ids=lambda way: way.__name__)
every_share = pytest.mark.parametrize("share", [0.02, 0.10])


def survive(play: Way, share: float, calls: int, seed: int) -> None:
    """Make the calls while that share of all exchanges is cut, before or after execution."""

    async def story(cluster: Cluster) -> None:
        await cluster.caller.call("HV01", "ping", {}, timeout_seconds=30)
        server = cluster.servers["HV01"]
        before = server.counts["HTTP"]
        server.faults = Faults(random=Random(seed), cut_probability=share)
        for number in range(calls):
            answer = await cluster.caller.call(
                "HV01", "observe", {"clusterWide": number % 2 == 0}, timeout_seconds=30
            )
            assert (answer["lists"] is not None) == (number % 2 == 0)
        server.faults = Faults()
        assert cluster.count("observe") == calls
        assert server.counts["Create"] == 1
        assert server.counts["HTTP"] - before > 2 * calls, "nothing was cut"

    play(story)


@every_wire
@every_share
def test_every_call_is_executed_once_while_exchanges_are_cut(play: Way, share: float) -> None:
    """Forty calls, of which at 10 % about fifteen lose an exchange."""
    survive(play, share, calls=40, seed=5)


@pytest.mark.campaign
@every_wire
@every_share
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_campaign_of_cut_exchanges(play: Way, share: float, seed: int) -> None:
    """Four hundred calls for each way, share and seed."""
    survive(play, share, calls=400, seed=seed)
