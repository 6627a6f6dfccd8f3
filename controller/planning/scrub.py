"""Takes every name out of a cluster's answers and leaves their form: for showing them to others.

What is not known to be harmless is replaced. The same text becomes the same word everywhere, so
that what belonged together still does; upper and lower case are kept, since Windows does not tell
them apart and we must not either.
"""

import re
import uuid
from collections.abc import Mapping
from typing import Any

from controller.model.names import fold

# Fields of docs/protocol.md whose text says nothing about whose cluster it is.
HARMLESS = frozenset(
    {"build", "condition", "kind", "manufacturer", "model", "operation", "outcome", "powershell"}
    | {"processorFamily", "processorVendor", "vmVersions"}
    | {"state", "step", "system", "time", "type", "version", "category"}
    | {"processorFamily", "processorVendor", "vmVersions"}
)
NODE_FIELDS = frozenset(
    {"node", "owner", "source", "target", "preferredOwners", "machine", "configuration"}
)
PATH_FIELDS = frozenset(
    {"path", "vmPath", "vhdPath", "configurationPath", "checkpointPath", "pagingPath"}
)
# Folders that Windows itself names so.
FOLDERS = frozenset(
    {"clusterstorage", "programdata", "microsoft", "windows", "hyper-v", "users", "public"}
    | {"documents", "virtual hard disks", "virtual machines", "snapshots", ""}
)
_GUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_GUID_FIELDS = frozenset({"holder", "id", "intent", "mark", "vmId"})
_DRIVE = re.compile(r"[A-Za-z]:|Volume\d{1,3}", re.IGNORECASE)
_ENDING = re.compile(r"\.(?:a?vhdx?|vhds|iso|vmcx|vmrs|vmgs)$", re.IGNORECASE)
_MODULES = frozenset({"FailoverClusters", "Hyper-V"})


class Scrubber:
    """One vocabulary of replacements, for all answers of one recording."""

    def __init__(self) -> None:
        self._words: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}

    def node(self, name: str) -> str:
        """What a node is called from now on."""
        return self._word("node", name)

    def data(self, value: Any, field: str = "", within: str = "") -> Any:
        """The same data with every name replaced; numbers and flags stay as they are."""
        if isinstance(value, Mapping):
            return {key: self.data(item, key, field) for key, item in value.items()}
        if isinstance(value, list):
            return [self.data(item, field, within) for item in value]
        return self._text(value, field, within) if isinstance(value, str) else value

    def _text(self, text: str, field: str, within: str) -> str:
        if field == "message":
            return ""  # for people only, and full of names
        if field in HARMLESS or (field == "name" and within == "modules" and text in _MODULES):
            return text
        if field in NODE_FIELDS or (field == "name" and within == "nodes"):
            return self._word("node", text)
        if field in PATH_FIELDS:
            return self._path(text)
        if _GUID.search(text):
            rest = _GUID.sub(lambda found: self._guid(found[0]), text)
            return rest if field in _GUID_FIELDS else self._word("name", text)
        return self._word("name", text)

    def _path(self, text: str) -> str:
        return "\\".join(self._folder(part) for part in text.split("\\"))

    def _folder(self, part: str) -> str:
        if fold(part) in FOLDERS or _DRIVE.fullmatch(part):
            return part
        ending = _ENDING.search(part)
        stem = part[: ending.start()] if ending else part
        word = self._guid(stem) if _GUID.fullmatch(stem) else self._word("name", stem)
        return word + (ending[0] if ending else "")

    def _guid(self, text: str) -> str:
        key = ("guid", fold(text))
        if key not in self._words:
            self._words[key] = str(uuid.UUID(int=self._next("guid"), version=4))
        return self._words[key].upper() if text.isupper() else self._words[key]

    def _word(self, kind: str, text: str) -> str:
        key = (kind, fold(text))
        if key not in self._words:
            self._words[key] = f"{kind}{self._next(kind)}"
        word = self._words[key]
        return word.upper() if text.isupper() else word

    def _next(self, kind: str) -> int:
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return self._counts[kind]
