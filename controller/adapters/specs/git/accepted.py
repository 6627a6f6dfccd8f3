"""The revision in force, on disk with its texts: it needs neither the repository nor the mirror.

One file, replaced as a whole. A file that is damaged is said to be, and nothing of it is believed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from controller.adapters.specs.last_good import write_whole
from controller.model.source import Undeclared

_FORMAT = "ownernode.io/accepted-revision/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A revision that was taken."""

    revision: str
    commit: str
    files: Mapping[str, bytes]
    """Path within the repository -> UTF-8 text."""
    undeclared: tuple[Undeclared, ...] = ()


class AcceptedStore:
    """Where it is kept. One process writes it."""

    def __init__(self, home: Path) -> None:
        self._path = home / "accepted.json"

    def load(self) -> tuple[Accepted | None, str]:
        """What was accepted last, and what is wrong with the file; empty when nothing is."""
        try:
            return _decode(self._path.read_bytes()), ""
        except FileNotFoundError:
            return None, ""
        except OSError as error:
            why = error.strerror or type(error).__name__
        except (ValueError, KeyError, TypeError) as error:
            why = f"{type(error).__name__}: {error}"[:120]
        return None, f"{self._path} can't be read ({why}); the revision in force is lost"

    def keep(self, accepted: Accepted) -> None:
        """Make it durable. OSError if the disk does not take it; the former file then stays."""
        write_whole(self._path, _encode(accepted))


def _encode(accepted: Accepted) -> bytes:
    body = json.dumps(
        {
            "revision": accepted.revision,
            "commit": accepted.commit,
            "files": {path: accepted.files[path].decode() for path in sorted(accepted.files)},
            "undeclared": [asdict(vm) for vm in accepted.undeclared],
        },
        ensure_ascii=False,
    )
    check = hashlib.sha256(body.encode()).hexdigest()
    return f'{{"format":"{_FORMAT}","sha256":"{check}","accepted":\n{body}}}\n'.encode()


def _decode(raw: bytes) -> Accepted:
    whole = json.loads(raw)
    if whole["format"] != _FORMAT:
        raise ValueError(f"format {whole['format']}")
    found = whole["accepted"]
    body = json.dumps(found, ensure_ascii=False)
    if hashlib.sha256(body.encode()).hexdigest() != whole["sha256"]:
        raise ValueError("its checksum does not fit")
    return Accepted(
        revision=found["revision"],
        commit=found["commit"],
        files={path: text.encode() for path, text in found["files"].items()},
        undeclared=tuple(Undeclared(**vm) for vm in found["undeclared"]),
    )
