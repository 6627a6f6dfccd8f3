"""Reads what a node remembers of a migration that is over (`moveTrace` of docs/protocol.md).

Nothing is decided by it, so whatever does not fit is left out: it is then "not reported".
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from controller.model.failures import code_of
from controller.model.history import MoveTrace

CODES_MAX = 64
PAUSE_SECONDS_MAX = 86400.0
_CODE = re.compile(r"0x[0-9a-f]{8}")


def parse_trace(data: Mapping[str, Any]) -> MoveTrace:
    """The codes and the pause of a reply."""
    events = [e for e in _list(data.get("events")) if isinstance(e, dict)]
    texts = [code for event in events for code in _list(event.get("codes"))]
    codes = [code_of(int(t, 16)) for t in texts if isinstance(t, str) and _CODE.fullmatch(t)]
    pauses = [p for event in events if (p := _seconds(event.get("pause"))) is not None]
    reason = data.get("failureReason")
    return MoveTrace(
        codes=tuple(code for code in codes if code is not None)[-CODES_MAX:],
        failure_code=code_of(reason) if type(reason) is int else None,
        pause_seconds=pauses[-1] if pauses else None,
    )


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _seconds(text: object) -> float | None:
    """A number with a decimal point, whatever the node's language: it is cast, not formatted."""
    try:
        seconds = float(text) if isinstance(text, str) else math.nan
    except ValueError:
        return None
    return seconds if 0 <= seconds <= PAUSE_SECONDS_MAX else None
