"""Custom resources as a source of specs: each object on its own, its last good version kept.

What the API server took is not yet right: its schema can't say everything, and drops what it does
not know. So each object is judged here as a file would be. The last good version of each is also
kept over a restart; it is of the object with its uid, so that one made anew begins without it.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from controller.adapters.kube.api import Json
from controller.adapters.kube.informer import Informer, Name
from controller.model.document import Document
from controller.model.faults import Fault, judge, path_text, printable
from controller.model.findings import Finding
from controller.model.source import SourceState
from controller.model.spec import API_VERSION, Resource
from controller.ports import SpecReading

log = logging.getLogger(__name__)

SOURCE = "kubernetes"
Identity = tuple[str, Name]
"""Kind, and namespace and name."""
NEVER_JUDGED = -1
"""Generation of what was recalled: the object is judged again, by the rules of this version."""


class Shelf(Protocol):
    """Keeps texts over a restart, by kind and `namespace/name`."""

    def load(self) -> tuple[Mapping[tuple[str, str], bytes], tuple[Finding, ...]]:
        """What was kept, and a finding if it can't be believed."""
        ...

    def keep(self, texts: Mapping[tuple[str, str], bytes]) -> None:
        """Make them durable in place of what was kept. OSError if that can't be."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One object: the document in force, and what is wrong with the object as it is now."""

    uid: str
    generation: int
    labels: Mapping[str, str]
    document: Document | None
    """The last good version; None where there never was one."""
    text: str = ""
    """Of the last good version, as JSON."""
    faults: tuple[Finding, ...] = ()


@dataclass(slots=True)
class Desk:
    """Judges the objects of some kinds, each once for each version of its spec."""

    informers: Mapping[str, Informer]
    """By kind."""
    shelf: Shelf
    judged: dict[Identity, Judged] = field(default_factory=dict)
    lost: tuple[Finding, ...] = ()
    """Why a last good version may be missing, now or after the next restart."""
    is_kept: bool = True
    """Whether the shelf has taken everything that is in force."""
    _lost_before: tuple[Finding, ...] = ()
    _kept: Mapping[Identity, tuple[str, int, str]] | None = None
    """What the shelf holds: uid, generation and text; None before it was asked."""

    def items(self) -> dict[Identity, Json]:
        """Every object there is, but for those that somebody is deleting."""
        return {
            (kind, name): item
            for kind, informer in self.informers.items()
            for name, item in informer.items.items()
            if "deletionTimestamp" not in item["metadata"]
        }

    def look(self, items: Mapping[Identity, Json]) -> Mapping[Identity, Judged]:
        """The verdict on each. For one thread at a time, once the first lists are there."""
        if self._kept is None:
            self.judged, self._lost_before = _recall(self.shelf)
            self._kept = _keepsakes(self.judged)
        self.judged = {
            identity: _judged(identity, item, self.judged.get(identity))
            for identity, item in items.items()
        }
        self._keep(_keepsakes(self.judged))
        return self.judged

    def _keep(self, kept: Mapping[Identity, tuple[str, int, str]]) -> None:
        """Put on the shelf what is not there as it is."""
        lost: tuple[Finding, ...] = ()
        if kept != self._kept:
            try:
                self.shelf.keep({_flat(at): _shelved(kept[at]) for at in sorted(kept)})
                self._kept, self.is_kept = kept, True
            except OSError as error:
                self.is_kept = False
                why = error.strerror or type(error).__name__
                lost = (_said(f"last good versions can't be kept over a restart: {why}"),)
        lost = (*self._lost_before, *lost)
        for finding in lost:
            if finding not in self.lost:
                log.warning("A last good version is lost", extra={"finding": str(finding)})
        self.lost = lost


class KubernetesSource:
    """Placements, and whatever else may come from namespaces."""

    def __init__(self, informers: Mapping[str, Informer], shelf: Shelf) -> None:
        self._desk = Desk(informers=informers, shelf=shelf)
        self._seen: Mapping[Identity, Json] | None = None
        self._reading: SpecReading | None = None
        # One thread, so that judging thousands of objects holds nobody up and never overlaps.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="kubernetes specs")
        self._reading_now = asyncio.Lock()

    @property
    def judged(self) -> Mapping[Identity, Judged]:
        """What the last reading found of each object."""
        return self._desk.judged

    async def read(self) -> SpecReading:
        """Give what is in force now. Waits for the first list: nothing seen is not "nothing"."""
        for informer in self._desk.informers.values():
            await informer.synced.wait()
        async with self._reading_now:
            items = self._desk.items()
            if self._reading is not None and self._seen is not None and _same(items, self._seen):
                return self._reading
            loop = asyncio.get_running_loop()
            self._reading = await loop.run_in_executor(self._thread, self._read, items)
            # What the disk did not take is offered again at the next reading.
            self._seen = items if self._desk.is_kept else None
            return self._reading

    def close(self) -> None:
        """Let go of the thread."""
        self._thread.shutdown(wait=False)

    def _read(self, items: Mapping[Identity, Json]) -> SpecReading:
        judged = self._desk.look(items)
        documents = sorted(
            (j.document for j in judged.values() if j.document is not None),
            key=lambda d: (d.kind, d.name),
        )
        findings = tuple(f for at in sorted(judged) for f in judged[at].faults)
        findings += self._desk.lost
        lines = "".join(f"{d.kind} {d.name} {d.digest}\n" for d in documents)
        revision = f"{SOURCE}@sha256:{hashlib.sha256(lines.encode()).hexdigest()[:12]}"
        return SpecReading(
            revision=revision,
            documents=tuple(documents),
            findings=findings,
            state=SourceState(name=SOURCE, revision=revision),
        )


def clusters_in_force(judged: Mapping[Identity, Judged]) -> tuple[Document, ...]:
    """The FailoverClusters in force, in order of their names."""
    found = (j.document for j in judged.values() if j.document is not None)
    return tuple(sorted(found, key=lambda document: document.name))


def _same(items: Mapping[Identity, Json], seen: Mapping[Identity, Json]) -> bool:
    """Whether no object is another one: the informer gives a new one for each change."""
    return items.keys() == seen.keys() and all(items[at] is seen[at] for at in items)


def _judged(identity: Identity, item: Json, before: Judged | None) -> Judged:
    metadata = item["metadata"]
    labels = metadata.get("labels") or {}
    generation = int(metadata.get("generation") or 0)
    known = before if before is not None and before.uid == metadata["uid"] else None
    if known is not None and (known.generation, known.labels) == (generation, labels):
        return known
    judged = Judged(
        uid=metadata["uid"],
        generation=generation,
        labels=labels,
        document=known.document if known is not None else None,
        text=known.text if known is not None else "",
    )
    kind, name = identity
    data = _as_written(kind, item)
    model, faults = judge(kind, data)
    if model is None:
        file = _file(kind, name)
        return replace(judged, faults=tuple(_finding(file, fault) for fault in faults))
    text = json.dumps(data, sort_keys=True, ensure_ascii=False)
    document = _document(kind, name, model, text, generation)
    return replace(judged, document=document, text=text)


def _document(kind: str, name: Name, model: Resource, text: str, generation: int) -> Document:
    return Document(
        kind=kind,
        name=model.metadata.full_name,
        model=model,
        file=_file(kind, name),
        line=0,
        digest=hashlib.sha256(text.encode()).hexdigest(),
        namespace=name[0],
        generation=generation,
    )


def _file(kind: str, name: Name) -> str:
    """What stands for a file where there is none."""
    return f"{kind}/{'/'.join(part for part in name if part)}"


def _recall(shelf: Shelf) -> tuple[dict[Identity, Judged], tuple[Finding, ...]]:
    """The last good versions of an earlier run, judged again by the rules of this one."""
    texts, lost = shelf.load()
    found: dict[Identity, Judged] = {}
    for (kind, full_name), raw in texts.items():
        namespace, _, name = full_name.rpartition("/")
        kept = json.loads(raw)
        text = kept["text"]
        model, _ = judge(kind, json.loads(text))
        if model is None:
            message = f"the last good version of {full_name} is good no longer"
            lost += (replace(_said(message), file=_file(kind, (namespace, name))),)
            continue
        document = _document(kind, (namespace, name), model, text, kept["generation"])
        found[kind, (namespace, name)] = Judged(
            uid=kept["uid"], generation=NEVER_JUDGED, labels={}, document=document, text=text
        )
    return found, lost


def _keepsakes(judged: Mapping[Identity, Judged]) -> dict[Identity, tuple[str, int, str]]:
    """Uid, generation and text of each last good version."""
    return {
        at: (j.uid, j.document.generation, j.text)
        for at, j in judged.items()
        if j.document is not None
    }


def _flat(identity: Identity) -> tuple[str, str]:
    kind, name = identity
    return kind, "/".join(part for part in name if part)


def _shelved(keepsake: tuple[str, int, str]) -> bytes:
    uid, generation, text = keepsake
    return json.dumps({"uid": uid, "generation": generation, "text": text}).encode()


def _said(message: str) -> Finding:
    return Finding(file=SOURCE, line=0, column=0, path="", message=message)


def _as_written(kind: str, item: Mapping[str, Any]) -> Json:
    """The object as a person would have written it in a file.

    Annotations belong to tools, some of which keep the whole object in one; they decide nothing.
    """
    metadata = item["metadata"]
    kept = {key: metadata[key] for key in ("name", "namespace", "labels") if metadata.get(key)}
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": kept,
        "spec": item.get("spec", {}),
    }


def _finding(file: str, fault: Fault) -> Finding:
    return Finding(
        file=file,
        line=0,
        column=0,
        path=printable(path_text(fault.path)),
        message=printable(fault.message),
        expected=None if fault.expected is None else printable(fault.expected),
        suggestion=fault.suggestion,
    )
