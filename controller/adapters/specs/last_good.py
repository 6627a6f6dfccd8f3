"""The last good version of each document, on disk, so that a bad edit survives no restart either.

One small file, replaced as a whole: written beside, forced to disk, renamed, and the folder forced
too. A file that is damaged is said to be, and counts as empty; it is never half believed.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from controller.adapters.specs.documents import Identity
from controller.model.findings import Finding

_FORMAT = "ownernode.io/last-good/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The text of a document as it was when it was last right, and where it stood."""

    file: str
    line: int
    text: bytes


class LastGood:
    """The store under the state directory. One process writes it."""

    def __init__(self, state: Path) -> None:
        self._path = state / "last-good.json"

    def load(self) -> tuple[dict[Identity, Kept], tuple[Finding, ...]]:
        """What was kept, and a finding if the file can't be believed."""
        try:
            raw = self._path.read_bytes()
        except FileNotFoundError:
            return {}, ()
        except OSError as error:
            return {}, (self._damaged(error.strerror or type(error).__name__),)
        try:
            return _decode(raw), ()
        except (ValueError, KeyError, TypeError) as error:
            return {}, (self._damaged(f"{type(error).__name__}: {error}"[:120]),)

    def keep(self, kept: Mapping[Identity, Kept]) -> None:
        """Make it durable. OSError if the disk does not take it; the former file then stays."""
        write_whole(self._path, _encode(kept))

    def _damaged(self, why: str) -> Finding:
        return Finding(
            file=str(self._path),
            line=0,
            column=0,
            path="",
            message=f"the last good versions of documents are lost ({why}); "
            "a document that is bad now is not in force",
        )


def write_whole(path: Path, content: bytes) -> None:
    """Replace the file so that a crash leaves the old one or the new one. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _encode(kept: Mapping[Identity, Kept]) -> bytes:
    documents = [
        {
            "kind": kind,
            "name": name,
            "file": kept[kind, name].file,
            "line": kept[kind, name].line,
            "text": kept[kind, name].text.decode(),
        }
        for kind, name in sorted(kept)
    ]
    body = json.dumps(documents, ensure_ascii=False, indent=1)
    check = hashlib.sha256(body.encode()).hexdigest()
    return f'{{"format":"{_FORMAT}","sha256":"{check}","documents":\n{body}}}\n'.encode()


def _decode(raw: bytes) -> dict[Identity, Kept]:
    whole = json.loads(raw)
    if whole["format"] != _FORMAT:
        raise ValueError(f"format {whole['format']}")
    body = json.dumps(whole["documents"], ensure_ascii=False, indent=1)
    if hashlib.sha256(body.encode()).hexdigest() != whole["sha256"]:
        raise ValueError("its checksum does not fit")
    return {
        (d["kind"], d["name"]): Kept(file=d["file"], line=d["line"], text=d["text"].encode())
        for d in whole["documents"]
    }
