"""Custom resources as a source of specs: each object on its own, its last good version kept.

What the API server took is not yet right: its schema can't say everything, and drops what it does
not know. So each object is judged here as a file would be.
"""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from controller.adapters.kube.api import Json
from controller.adapters.kube.informer import Informer, Name
from controller.model.document import Document
from controller.model.faults import Fault, judge, path_text, printable
from controller.model.findings import Finding
from controller.model.source import SourceState
from controller.model.spec import API_VERSION
from controller.ports import SpecReading

SOURCE = "kubernetes"
Identity = tuple[str, Name]
"""Kind, and namespace and name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One object: the document in force, and what is wrong with the object as it is now."""

    uid: str
    generation: int
    labels: Mapping[str, str]
    document: Document | None
    """The last good version; None where there never was one."""
    faults: tuple[Finding, ...] = ()


@dataclass(slots=True)
class Desk:
    """Judges the objects of some kinds, each once for each version of its spec."""

    informers: Mapping[str, Informer]
    """By kind."""
    judged: dict[Identity, Judged] = field(default_factory=dict)

    def items(self) -> dict[Identity, Json]:
        """Every object there is, but for those that somebody is deleting."""
        return {
            (kind, name): item
            for kind, informer in self.informers.items()
            for name, item in informer.items.items()
            if "deletionTimestamp" not in item["metadata"]
        }

    def look(self, items: Mapping[Identity, Json]) -> Mapping[Identity, Judged]:
        """The verdict on each. Pure but for its memory; for one thread at a time."""
        self.judged = {
            identity: _judged(identity, item, self.judged.get(identity))
            for identity, item in items.items()
        }
        return self.judged


class KubernetesSource:
    """Placements, and whatever else may come from namespaces."""

    def __init__(self, informers: Mapping[str, Informer]) -> None:
        self._desk = Desk(informers=informers)
        self._seen: Mapping[Identity, Json] | None = None
        self._reading: SpecReading | None = None
        # One thread, so that judging thousands of objects holds nobody up and never overlaps.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="kubernetes specs")

    @property
    def judged(self) -> Mapping[Identity, Judged]:
        """What the last reading found of each object."""
        return self._desk.judged

    async def read(self) -> SpecReading:
        """Give what is in force now. Waits for the first list: nothing seen is not "nothing"."""
        for informer in self._desk.informers.values():
            await informer.synced.wait()
        items = self._desk.items()
        if self._reading is not None and self._seen is not None and _same(items, self._seen):
            return self._reading
        loop = asyncio.get_running_loop()
        self._reading = await loop.run_in_executor(self._thread, self._read, items)
        self._seen = items
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
        lines = "".join(f"{d.kind} {d.name} {d.digest}\n" for d in documents)
        revision = f"{SOURCE}@sha256:{hashlib.sha256(lines.encode()).hexdigest()[:12]}"
        return SpecReading(
            revision=revision,
            documents=tuple(documents),
            findings=findings,
            state=SourceState(name=SOURCE, revision=revision),
        )


def clusters_of(desk: Desk) -> tuple[Document, ...]:
    """The FailoverClusters in force, in order of their names."""
    judged = desk.look(desk.items())
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
    )
    kind, (namespace, name) = identity
    data = _as_written(kind, item)
    model, faults = judge(kind, data)
    file = f"{kind}/{namespace}/{name}" if namespace else f"{kind}/{name}"
    if model is None:
        return replace(judged, faults=tuple(_finding(file, fault) for fault in faults))
    text = json.dumps(data, sort_keys=True, ensure_ascii=False)
    document = Document(
        kind=kind,
        name=model.metadata.full_name,
        model=model,
        file=file,
        line=0,
        digest=hashlib.sha256(text.encode()).hexdigest(),
        namespace=namespace,
        generation=generation,
    )
    return replace(judged, document=document)


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
