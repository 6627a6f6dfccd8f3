"""A node that does not answer is left alone, longer each time."""

import pytest

from controller.adapters.winrm.agent import BACKOFF_SECONDS_MAX, Breaker
from controller.errors import Unreachable


def test_pauses_grow_to_a_bound_and_end_with_an_answer() -> None:
    """A dead node costs a try now and then; one that is back is asked as before."""
    now = 100.0
    breaker = Breaker("HV01", seconds=lambda: now)
    pauses = []
    for _ in range(12):
        breaker.check("HV01")
        breaker.failed("refused")
        began = now
        with pytest.raises(Unreachable, match="left alone"):
            breaker.check("HV01")
        while True:
            now += 0.05
            try:
                breaker.check("HV01")
                break
            except Unreachable:
                continue
        pauses.append(now - began)
    assert pauses[0] < 1
    assert max(pauses) <= BACKOFF_SECONDS_MAX + 0.1
    assert pauses[-1] >= BACKOFF_SECONDS_MAX / 2
    breaker.failed("refused")
    breaker.answered()
    breaker.check("HV01")


def test_nodes_that_fail_together_are_not_tried_together() -> None:
    """After a network outage not all nodes are logged on to in the same moment."""
    breakers = [Breaker(f"HV{number}", seconds=lambda: 0.0) for number in range(20)]
    texts = set()
    for breaker in breakers:
        for _ in range(5):
            breaker.failed("refused")
        with pytest.raises(Unreachable) as found:
            breaker.check("node")
        texts.add(str(found.value))
    assert len(texts) > 10
