"""Where specs come from, as a report tells it: what runs, and why what is newer does not."""

import re
from dataclasses import dataclass
from enum import StrEnum


class SourceRefusal(StrEnum):
    """Why the newest revision of a source is not in force."""

    UNREACHABLE = "Unreachable"
    """The repository, or the ref in it, can't be had: what was in force stays."""
    UNSIGNED = "Unsigned"
    """No signature of a trusted key."""
    REWOUND = "Rewound"
    """It does not descend from the revision in force: a force-push, or a branch set back."""
    EMPTY = "Empty"
    """No placement in it: a wrong path or branch, not a wish."""
    SHRUNKEN = "Shrunken"
    """More placements vanished at once than anybody removes by hand."""
    UNSAFE = "Unsafe"
    """It holds links, submodules or odd modes where specs are, or too much of anything."""
    INVALID = "Invalid"
    """A document in it is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Undeclared:
    """A VM that a source declared once and declares no longer. Nothing is done about it."""

    cluster: str
    vm: str
    spec: str
    """metadata.name"""
    revision: str
    """The first one without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """What one source has in force, and what it refuses."""

    name: str
    revision: str
    """`main@sha1:<40 hexadecimal digits>`; empty while nothing is in force."""
    refused: str = ""
    """The newest revision, when it is not the one in force and is known."""
    reason: SourceRefusal | None = None
    why: str = ""
    findings: int = 0
    """Faults in its specs as they are now."""
    undeclared: tuple[Undeclared, ...] = ()

    def sentence(self) -> str:
        """What a colleague would say of it."""
        stays = f"{short(self.revision)} stays in force" if self.revision else "nothing is in force"
        if self.reason is None:
            return f"{short(self.revision)} is in force"
        if self.reason is SourceRefusal.UNREACHABLE:
            return f"{self.why}; {stays}"
        return f"{short(self.refused)} is not taken: {self.why}; {stays}"


def short(revision: str) -> str:
    """`main@sha1:0123456789ab` of a revision, or of several, with whole commit ids."""
    return _LONG.sub(r"\1", revision)


_LONG = re.compile("(sha(?:1|256):[0-9a-f]{12})[0-9a-f]+")
