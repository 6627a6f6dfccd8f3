"""The protocol of conditional commands, in every order: one effect an intent, none by a stale view.

`make test` explores three VMs and two faults; `make campaign` `MODEL_VMS` and `MODEL_FAULTS` (four
and three unless set). That it can see harm is shown by leaving out one protection after another.
"""

import os
import time

import pytest

from tests.properties.command_model import Rules, explore, explore_many

LEFT_OUT = {
    "I3": Rules(node_checks=False),
    "I21": Rules(agents_remember=False),
    "I2": Rules(settles_on_one_look=True),
}


def test_no_order_of_events_does_harm() -> None:
    """Every state of three VMs and two faults, in whatever order all of it happens."""
    found = explore(3, 2, Rules())
    assert found.harm is None, (found.harm, found.path)
    assert found.states > 100_000


@pytest.mark.parametrize("invariant", LEFT_OUT)
def test_each_protection_is_needed(invariant: str) -> None:
    """Without the node's conditions, the agent's memory or the second look, harm is found."""
    found = explore(2, 2, LEFT_OUT[invariant])
    assert found.harm is not None
    assert found.harm.startswith(f"{invariant}:")
    assert found.path != ()


@pytest.mark.campaign
@pytest.mark.timeout(7200)
def test_no_order_of_more_events_does_harm(capsys: pytest.CaptureFixture[str]) -> None:
    """Four VMs and three faults."""
    vms, faults = int(os.environ.get("MODEL_VMS", "4")), int(os.environ.get("MODEL_FAULTS", "3"))
    began = time.process_time()
    found = explore_many(vms, faults, Rules())
    seconds = time.process_time() - began
    with capsys.disabled():
        print(
            f"\nmodel of 3 nodes, {vms} VMs, {faults} faults: {found.states:,} states,"
            f" {found.steps:,} steps, {found.harm or 'no harm'}, {seconds:.0f} s of one core"
        )
    assert found.harm is None, found.harm
