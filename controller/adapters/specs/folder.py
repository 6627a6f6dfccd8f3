"""The YAML files below a folder, read so that neither a swap nor a link can mislead.

A ConfigMap volume shows each file as a link by way of `..data`, which is swapped as a whole
(Kubernetes docs, "ConfigMaps: mounted ConfigMaps are updated automatically"): names that begin with
a dot are not looked at, and a link is followed as long as it stays below the folder.
"""

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from controller.adapters.specs.yaml_text import FILE_BYTES_MAX
from controller.model.faults import printable
from controller.model.findings import Finding

FILES_MAX = 10_000
DEPTH_MAX = 8
SETTLING_SECONDS = 2.0
"""A file as young as this may change again without its time stamp telling; it is read again."""
ROOT = "."
"""The folder itself, in a finding about it."""
_TRIES = 3
_SUFFIXES = (".yaml", ".yml")

Stamp = tuple[int, int, int, int, int]
"""Device, inode, size, modification and change time (nanoseconds)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file, by the name it is shown under, and the real path that it leads to."""

    name: str
    real: str
    stamp: Stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a folder holds at one moment: names and stamps, no contents."""

    entries: tuple[Entry, ...]
    findings: tuple[Finding, ...]
    """About names that can't be read: what stood there before is not gone."""

    def is_settled(self) -> bool:
        """Whether every stamp is old enough that equal stamps mean equal contents."""
        limit = time.time_ns() - int(SETTLING_SECONDS * 1e9)
        return all(max(entry.stamp[3:]) < limit for entry in self.entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The files as they were together at one moment."""

    files: dict[str, bytes]
    findings: tuple[Finding, ...]
    look: Look


def look(root: Path) -> Look:
    """List the YAML files below the folder. What can't be read is a finding, never "no files"."""
    findings: list[Finding] = []
    entries: list[Entry] = []
    real_root = os.path.realpath(root)
    for item in _walk(real_root, real_root, "", frozenset({real_root})):
        if isinstance(item, Finding):
            findings.append(item)
        elif len(entries) == FILES_MAX:
            findings.append(_finding(ROOT, f"holds more than {FILES_MAX} YAML files"))
            break
        else:
            entries.append(item)
    entries.sort(key=lambda entry: entry.name)
    return Look(entries=tuple(entries), findings=tuple(findings))


def read(root: Path) -> Contents | None:
    """Read all files as of one moment; None if they kept changing under the reading."""
    before = look(root)
    for _ in range(_TRIES):
        files: dict[str, bytes] = {}
        findings = list(before.findings)
        for entry in before.entries:
            try:
                files[entry.name] = _read_regular(entry.real)
            except OSError as error:
                findings.append(_finding(entry.name, f"can't be read: {error.strerror or error}"))
        after = look(root)
        if after == before:
            return Contents(files=files, findings=tuple(findings), look=after)
        before = after
    return None


def _walk(root: str, folder: str, prefix: str, above: frozenset[str]) -> Iterator[Entry | Finding]:
    try:
        with os.scandir(folder) as scan:
            children = sorted(scan, key=lambda child: child.name)
    except OSError as error:
        yield _finding(prefix.rstrip("/") or ROOT, f"can't be read: {error.strerror or error}")
        return
    for child in children:
        if child.name.startswith("."):
            continue
        name = f"{prefix}{child.name}"
        if not name.isprintable():
            yield _finding(printable(name), "has a name that can't be shown")
            continue
        # `folder` is a real path, so only a link can lead away from it.
        real = os.path.realpath(child.path) if child.is_symlink() else child.path
        try:
            status = os.stat(real, follow_symlinks=False)
        except OSError as error:
            if name.endswith(_SUFFIXES):
                yield _finding(name, f"can't be read: {error.strerror or error}")
            continue
        if stat.S_ISDIR(status.st_mode):
            yield from _below(root, real, name, above)
        elif not name.endswith(_SUFFIXES):
            continue
        elif not _is_below(real, root):
            yield _finding(name, "is a link out of the folder", "a file below the folder")
        elif not stat.S_ISREG(status.st_mode):
            yield _finding(name, "is not a file")
        else:
            yield Entry(
                name=name,
                real=real,
                stamp=(
                    status.st_dev,
                    status.st_ino,
                    status.st_size,
                    status.st_mtime_ns,
                    status.st_ctime_ns,
                ),
            )


def _below(root: str, real: str, name: str, above: frozenset[str]) -> Iterator[Entry | Finding]:
    """The files of a folder within, unless it leads out, round in a circle, or too deep."""
    if not _is_below(real, root):
        yield _finding(name, "is a link out of the folder", "a folder below the folder")
    elif real in above:
        yield _finding(name, "is a link back to a folder above it")
    elif len(above) > DEPTH_MAX:
        yield _finding(name, f"lies more than {DEPTH_MAX} folders deep")
    else:
        yield from _walk(root, real, f"{name}/", above | {real})


def _is_below(real: str, root: str) -> bool:
    return real.startswith(root.rstrip("/") + "/")


def _read_regular(real: str) -> bytes:
    """The file's bytes, one more than allowed at most. Opening a pipe would wait for its writer."""
    handle = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError("is not a file")
        return file.read(FILE_BYTES_MAX + 1)


def _finding(name: str, message: str, expected: str | None = None) -> Finding:
    return Finding(file=name, line=0, column=0, path="", message=message, expected=expected)
