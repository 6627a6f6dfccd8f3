"""What a node remembers of a move, as text that others wrote: anything may stand in it."""

from typing import Any

import pytest

from controller.adapters.winrm.trace import parse_trace
from controller.model.history import MoveTrace

FAILED = {"id": 21502, "time": "2026-03-01T12:00:00.000Z", "pause": None, "codes": ["0x8007274d"]}
PAUSED = {"id": 20415, "time": "2026-03-01T12:00:00.000Z", "pause": "0.25", "codes": []}


def test_codes_and_pause_are_read() -> None:
    """As docs/protocol.md has them."""
    trace = parse_trace({"failureReason": 5016, "events": [FAILED, PAUSED]})
    assert trace == MoveTrace(codes=(0x8007274D,), failure_code=0x80071398, pause_seconds=0.25)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"events": None, "failureReason": None},
        {"events": "none", "failureReason": "0x8007274d"},
        {"events": [None, 3, {"codes": ["8007274d", 7, None, "0x80072"], "pause": "soon"}]},
        {"events": [{"codes": 1, "pause": "nan"}, {"pause": "-1"}, {"pause": "1e99"}]},
        {"events": [{"codes": ["0x00000000"], "pause": 1}], "failureReason": 0},
        {"events": [], "failureReason": True},
    ],
)
def test_whatever_does_not_fit_is_not_reported(data: dict[str, Any]) -> None:
    """Nothing is guessed, and nothing ends a cycle."""
    assert parse_trace(data) == MoveTrace()
