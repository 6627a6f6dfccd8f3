"""A directory of YAML files as the source of placements.

What is in force: each document that is right now; for one that is bad now, its own last good
version, also after a restart; and nothing for one that is gone, which never acts on a VM.
"Gone" is believed only where its file is gone, or is there without a fault.
"""

import asyncio
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from controller.adapters.specs import folder
from controller.adapters.specs.cut_short import cut_short, is_cut_short
from controller.adapters.specs.documents import (
    PLACEMENT_KINDS,
    Identity,
    Reading,
    read_documents,
)
from controller.adapters.specs.last_good import Kept, LastGood
from controller.model.document import Document
from controller.model.findings import Finding
from controller.model.source import SourceState
from controller.ports import SpecReading

_LISTED_MAX = 5
"""Names in one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Good:
    """A document in force, and the text that it was read from."""

    document: Document
    text: bytes


class DirectorySource:
    """Reads the YAML files below `root`; remembers last good versions under `state`.

    Call `read` as often as you like, once a second for a watch: while no file changes it costs one
    stat of each. Watching by kernel events goes blind on links, swaps and network shares.
    """

    def __init__(self, root: Path, state: Path) -> None:
        self._root = root
        self._store = LastGood(state)
        self._good: Mapping[Identity, Good] | None = None
        self._on_disk: Mapping[Identity, Kept] = {}
        self._lost: tuple[Finding, ...] = ()
        self._seen: folder.Look | None = None
        self._reading: SpecReading | None = None
        # One thread, so that readings never overlap, and never one of the event loop's few.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="specs")

    async def read(self) -> SpecReading:
        """Give what is in force now; every fault of the files is a finding."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.read_now)

    def read_now(self) -> SpecReading:
        """The same, in the calling thread."""
        if self._good is None:
            self._good, self._lost = _recall(self._store)
            self._on_disk = _kept(self._good)
        if self._reading is not None and self._seen == folder.look(self._root):
            return self._reading
        contents = folder.read(self._root)
        if contents is None:
            unsteady = _about(folder.ROOT, "keeps changing while it is read")
            return self._reading or self._say(self._good, (), (unsteady, *self._lost))
        known = {good.document.digest: good.document for good in self._good.values()}
        reading = read_documents(contents.files, allowed=PLACEMENT_KINDS, known=known)
        good, twice, findings = settle(self._good, reading, contents)
        findings = (*contents.findings, *reading.findings, *findings, *self._lost)
        findings += self._remember(good)
        is_done = contents.look.is_settled() and self._on_disk == _kept(good)
        self._seen = contents.look if is_done else None
        self._reading = self._say(good, twice, findings)
        return self._reading

    def _say(
        self,
        good: Mapping[Identity, Good],
        twice: Sequence[Document],
        findings: Sequence[Finding],
    ) -> SpecReading:
        reading = _reading(good, twice, findings)
        return replace(reading, state=SourceState(name=str(self._root), revision=reading.revision))

    def _remember(self, good: Mapping[Identity, Good]) -> tuple[Finding, ...]:
        """Keep the good versions in memory, and on disk if they changed."""
        self._good = good
        kept = _kept(good)
        if kept == self._on_disk:
            return ()
        try:
            self._store.keep(kept)
            self._on_disk = kept
        except OSError as error:
            why = error.strerror or type(error).__name__
            message = f"last good versions can't be kept over a restart: {why}"
            return (_about(folder.ROOT, message),)
        return ()


def settle(
    before: Mapping[Identity, Good], reading: Reading, contents: folder.Contents
) -> tuple[Mapping[Identity, Good], tuple[Document, ...], tuple[Finding, ...]]:
    """Decide what is in force: one good version of each document, and those that share a name.

    Documents that share kind and name are all in force, to be frozen by whoever resolves them.
    """
    fresh: dict[Identity, list[Good]] = {}
    findings: list[Finding] = []
    bad = {refused.identity for refused in reading.refused}
    for document, segment in zip(reading.documents, reading.segments, strict=True):
        identity = (document.kind, document.name)
        was = before.get(identity)
        if was is not None and is_cut_short(document, segment, was.document, was.text):
            bad.add(identity)
            findings.append(cut_short(document))
        else:
            fresh.setdefault(identity, []).append(Good(document=document, text=segment.raw))
    faulty = {refused.file for refused in reading.refused}
    faulty |= {finding.file for finding in (*contents.findings, *findings)}
    if not contents.files:
        faulty.add(folder.ROOT)
        findings.append(_about(folder.ROOT, "holds no YAML file; what was in force stays"))
    held = {
        identity: good
        for identity, good in before.items()
        if identity not in fresh and (identity in bad or _lies_in(good.document.file, faulty))
    }
    good = held | {identity: found[0] for identity, found in fresh.items() if len(found) == 1}
    twice = tuple(item.document for found in fresh.values() if len(found) > 1 for item in found)
    return good, twice, (*findings, *_stays(held.values()))


def _stays(held: Iterable[Good]) -> Iterator[Finding]:
    """One finding a file that says whose last good version is in force."""
    names: dict[str, list[str]] = {}
    for good in held:
        names.setdefault(good.document.file, []).append(good.document.name)
    for file in sorted(names):
        listed = ", ".join(sorted(names[file])[:_LISTED_MAX])
        more = len(names[file]) - _LISTED_MAX
        rest = f" and {more} more" if more > 0 else ""
        yield _about(file, f"the last good version stays in force of {listed}{rest}")


def _lies_in(file: str, names: Set[str]) -> bool:
    """Whether the file is one of the names, or below one that is a folder."""
    return folder.ROOT in names or any(
        file == name or file.startswith(f"{name}/") for name in names
    )


def _recall(store: LastGood) -> tuple[Mapping[Identity, Good], tuple[Finding, ...]]:
    """The last good versions of an earlier run, read again by the rules of this one."""
    kept, lost = store.load()
    names = {str(index): identity for index, identity in enumerate(kept)}
    reading = read_documents(
        {name: kept[identity].text for name, identity in names.items()}, allowed=PLACEMENT_KINDS
    )
    good = {
        names[document.file]: Good(
            document=replace(
                document, file=kept[names[document.file]].file, line=kept[names[document.file]].line
            ),
            text=segment.raw,
        )
        for document, segment in zip(reading.documents, reading.segments, strict=True)
    }
    stale = (
        _about(kept[identity].file, f"the last good version of {identity[1]} is good no longer")
        for identity in kept
        if identity not in good
    )
    return good, (*lost, *stale)


def _kept(good: Mapping[Identity, Good]) -> dict[Identity, Kept]:
    return {
        identity: Kept(file=item.document.file, line=item.document.line, text=item.text)
        for identity, item in good.items()
    }


def _reading(
    good: Mapping[Identity, Good], twice: Sequence[Document], findings: Sequence[Finding]
) -> SpecReading:
    """What is in force, under a revision that changes with it and with nothing else."""
    documents = sorted(
        (*(item.document for item in good.values()), *twice),
        key=lambda d: (d.kind, d.name, d.file, d.line),
    )
    lines = "".join(f"{d.kind} {d.name} {d.digest}\n" for d in documents)
    return SpecReading(
        revision=f"sha256:{hashlib.sha256(lines.encode()).hexdigest()[:12]}",
        documents=tuple(documents),
        findings=tuple(sorted(findings, key=lambda f: (f.file, f.line, f.column, f.path))),
    )


def _about(file: str, message: str) -> Finding:
    return Finding(file=file, line=0, column=0, path="", message=message)
