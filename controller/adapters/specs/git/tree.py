"""Which files of a revision are specs, and what no revision may hold where specs are.

Nothing is ever checked out, so that a link can lead nowhere; it is refused because its author meant
something by it that would not happen.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from controller.adapters.specs.folder import FILES_MAX, ROOT
from controller.model.faults import printable
from controller.model.findings import Finding

_SUFFIXES = (".yaml", ".yml")
PATH_CHARACTERS_MAX = 300
"""It stands in sentences that people read."""
_FINDINGS_MAX = 20
_MODES = {
    "120000": ("is a symbolic link", "the file itself in its place"),
    # Whatever is no file, link or folder, git shows as this.
    "160000": ("is a submodule or no file at all", "a file, or a source of its own"),
}
_PLAIN = frozenset({"100644", "100755"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of a revision, by the hash of its content."""

    path: str
    blob: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The spec files of a revision, and what speaks against taking it."""

    entries: tuple[Entry, ...]
    findings: tuple[Finding, ...]


def parse_listing(raw: bytes, paths: Sequence[str]) -> Listing:
    """Read what `git ls-tree -r -z` says of the paths (of everything when there are none).

    Names that begin with a dot are passed over, as in a folder: `.github` holds YAML of others.
    """
    entries: list[Entry] = []
    findings: list[Finding] = []
    seen = set()
    for mode, blob, path in _lines(raw):
        given = next((p for p in paths if path == p or path.startswith(f"{p}/")), "")
        seen.add(given)
        if any(part.startswith(".") for part in path[len(given) :].strip("/").split("/")):
            continue
        if len(path) > PATH_CHARACTERS_MAX:
            long = f"has a path of {len(path)} characters"
            findings.append(_finding(f"{path[:60]}…", long, f"at most {PATH_CHARACTERS_MAX}"))
        elif not path.isprintable():
            findings.append(_finding(path, "has a name that can't be shown"))
        elif mode not in _PLAIN:
            message, expected = _MODES.get(mode, (f"has the odd mode {mode}", "a plain file"))
            findings.append(_finding(path, message, expected))
        elif path.endswith(_SUFFIXES):
            entries.append(Entry(path=path, blob=blob))
    findings += [_finding(path, "is not in this revision") for path in paths if path not in seen]
    if len(entries) > FILES_MAX:
        findings.append(_finding(ROOT, f"holds {len(entries)} YAML files, at most {FILES_MAX}"))
    return Listing(entries=tuple(entries), findings=tuple(findings[:_FINDINGS_MAX]))


def _lines(raw: bytes) -> Iterator[tuple[str, str, str]]:
    """Mode, hash and path of each entry."""
    for line in raw.split(b"\0"):
        if line:
            head, _, path = line.partition(b"\t")
            mode, _, blob = head.decode("ascii").split(" ")
            yield mode, blob, path.decode("utf-8", "surrogateescape")


def _finding(path: str, message: str, expected: str | None = None) -> Finding:
    return Finding(
        file=printable(path.encode("utf-8", "replace").decode()),
        line=0,
        column=0,
        path="",
        message=message,
        expected=expected,
    )
