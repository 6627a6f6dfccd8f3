"""Runs as files: what a campaign found stays the run that it was, whatever is drawn later.

A seed means another run as soon as one thing more is drawn; `found/` holds the runs themselves.
"""

from dataclasses import asdict
from pathlib import Path

import yaml

from tests.simulation.drawing import Change, Options, Size
from tests.simulation.faults import Fault, Gap, Kind

FOUND = Path(__file__).parent / "found"
OPEN = Path(__file__).parent / "open"
"""What is not mended yet."""


def written(options: Options) -> str:
    """A run as text; `read` gives it back."""
    faults = [
        {**asdict(fault), "kind": fault.kind.name, "gap": fault.gap.name}
        for fault in options.faults
    ]
    document = {**asdict(options), "faults": faults, "tags": sorted(options.tags)}
    document["changes"] = list(document["changes"])
    return yaml.safe_dump(document, sort_keys=False, width=100)


def read(text: str) -> Options:
    """The run that was written."""
    document = yaml.safe_load(text)
    faults = [
        Fault(**{**fault, "kind": Kind[fault["kind"]], "gap": Gap[fault["gap"]]})
        for fault in document["faults"]
    ]
    changed = {
        "size": Size(**document["size"]),
        "faults": tuple(faults),
        "changes": tuple(Change(**change) for change in document["changes"]),
        "tags": frozenset(document["tags"]),
    }
    return Options(**{**document, **changed})
