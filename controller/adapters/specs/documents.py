"""The texts of some files become documents, and everything that is wrong with them findings.

A fault in one document leaves the others alone. Nothing here touches a disk.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from controller.adapters.specs import yaml_text
from controller.adapters.specs.findings import from_fault, from_trouble
from controller.adapters.specs.yaml_text import FILE_BYTES_MAX, Segment, Tree
from controller.model.document import Document
from controller.model.faults import Fault, judge, nearest
from controller.model.findings import Finding
from controller.model.spec import KINDS, Resource

OPERATOR_KINDS = frozenset({"FailoverCluster"})
"""What says where credentials go and how much may be changed: the operator's own configuration."""
PLACEMENT_KINDS = frozenset(KINDS) - OPERATOR_KINDS
"""What may come from a source that others write to."""
DOCUMENTS_MAX = 2_000
"""Of one file."""

Identity = tuple[str, str]
"""Kind and metadata.name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A document that is not taken, as far as it could be told which one it is."""

    file: str
    identity: Identity | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The documents that are right, every finding, and which documents are refused."""

    documents: tuple[Document, ...]
    findings: tuple[Finding, ...]
    refused: tuple[Refused, ...]
    segments: tuple[Segment, ...]
    """The texts of the documents, in their order."""


def read_documents(
    files: Mapping[str, bytes],
    *,
    allowed: frozenset[str],
    known: Mapping[str, Document] | None = None,
) -> Reading:
    """Read every document of every file.

    `allowed`: the kinds that whoever wrote these files may decide about. `known`: documents read
    before, by digest, so that an unchanged one costs nothing. The order of files is irrelevant.
    Two documents of one kind and name are both given: whoever resolves them freezes both.
    """
    good: list[_Good] = []
    findings: list[Finding] = []
    refused: list[Refused] = []
    for file in sorted(files):
        for item in _read_file(file, files[file], allowed, known or {}):
            match item:
                case _Good():
                    good.append(item)
                case _Fault():
                    refused.append(Refused(file=file, identity=item.identity))
                    findings.extend(item.findings)
    documents = tuple(item.document for item in good)
    findings.extend(_same_names(documents))
    return Reading(
        documents=documents,
        findings=tuple(sorted(findings, key=lambda f: (f.file, f.line, f.column, f.path))),
        refused=tuple(refused),
        segments=tuple(item.segment for item in good),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Good:
    """A document that is taken, and its text."""

    document: Document
    segment: Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fault:
    """A document that is not taken, or a whole file."""

    findings: tuple[Finding, ...]
    identity: Identity | None = None


def _read_file(
    file: str, raw: bytes, allowed: frozenset[str], known: Mapping[str, Document]
) -> tuple[_Good | _Fault, ...]:
    """Each document of the file, taken or not; a file without any is a fault, never "nothing"."""
    if len(raw) > FILE_BYTES_MAX:
        return (_whole(file, f"has {len(raw)} bytes", f"at most {FILE_BYTES_MAX}; split it"),)
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return (_whole(file, "is UTF-16", "the file saved as UTF-8"),)
    segments = yaml_text.split(raw.removeprefix(b"\xef\xbb\xbf"))
    if len(segments) > DOCUMENTS_MAX:
        return (_whole(file, "has too many documents", f"at most {DOCUMENTS_MAX}; split it"),)
    read = tuple(
        item
        for segment in segments
        if (item := _read_segment(file, segment, allowed, known)) is not None
    )
    return read or (_whole(file, "holds no document", "documents, or no such file"),)


def _whole(file: str, message: str, expected: str) -> _Fault:
    finding = Finding(file=file, line=0, column=0, path="", message=message, expected=expected)
    return _Fault(findings=(finding,))


def _read_segment(
    file: str, segment: Segment, allowed: frozenset[str], known: Mapping[str, Document]
) -> _Good | _Fault | None:
    """One document; None where there are only blanks and comments."""
    digest = hashlib.sha256(segment.raw).hexdigest()
    if digest in known:
        document = replace(known[digest], file=file, line=segment.first_line)
        return _Good(document=document, segment=segment)
    tree = yaml_text.read(segment)
    if tree is None:
        return None
    model, findings = _judge(file, tree, allowed)
    if model is None or findings:
        return _Fault(findings=findings, identity=_identity(tree))
    document = Document(
        kind=model.kind,
        name=model.metadata.full_name,
        namespace=getattr(model.metadata, "namespace", None) or "",
        model=model,
        file=file,
        line=segment.first_line,
        digest=digest,
    )
    return _Good(document=document, segment=segment)


def _judge(
    file: str, tree: Tree, allowed: frozenset[str]
) -> tuple[Resource | None, tuple[Finding, ...]]:
    """The model of a document, and every fault of it: of the text, of the kind, of the fields."""
    troubles = tuple(from_trouble(file, trouble) for trouble in tree.troubles)
    if not tree.is_whole:  # looking for its fields would find only ghosts
        return None, troubles
    if not isinstance(tree.data, dict):
        message, expected = "is no mapping", "a mapping with apiVersion, kind, metadata and spec"
        return None, (*troubles, from_fault(file, tree, _at((), message, expected)))
    stranger = _stranger(tree.data, allowed)
    if stranger is not None:
        return None, (*troubles, from_fault(file, tree, stranger))
    kind = tree.data["kind"]
    model, faults = judge(kind, tree.data)
    findings = tuple(from_fault(file, tree, fault) for fault in faults)
    spoilt = tuple(trouble.path for trouble in troubles)
    return model, (*troubles, *(f for f in findings if not _below(f.path, spoilt)))


def _stranger(data: Mapping[str, Any], allowed: frozenset[str]) -> Fault | None:
    """Why a document of this kind is not taken from here at all."""
    kind = data.get("kind")
    if kind is None:
        return _at(("kind",), "is missing", " or ".join(KINDS))
    if not isinstance(kind, str) or kind not in KINDS:
        close = nearest(str(kind), tuple(KINDS))
        return _at(("kind",), f"{str(kind)[:60]!r} is not known", close or " or ".join(KINDS))
    if kind in allowed:
        return None
    if kind in OPERATOR_KINDS:
        return _at(
            ("kind",),
            f"{kind} says where credentials go, so it is refused in a placement source",
            "it in the operator's own configuration (run --config)",
        )
    return _at(("kind",), f"{kind} is refused here", " or ".join(sorted(allowed)))


def _at(path: yaml_text.Path, message: str, expected: str) -> Fault:
    return Fault(path=path, message=message, expected=expected)


def _below(path: str, spoilt: tuple[str, ...]) -> bool:
    """Whether a fault at that path only follows from one that the text has there."""
    return any(path == s or path.startswith((f"{s}.", f"{s}[")) for s in spoilt)


def _identity(tree: Tree) -> Identity | None:
    """Which document it is, where a faulty text still says so beyond doubt."""
    if not tree.is_whole or not isinstance(tree.data, dict):
        return None
    kind, metadata = tree.data.get("kind"), tree.data.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(kind, str) or not isinstance(name, str):
        return None
    namespace = metadata.get("namespace") if isinstance(metadata, dict) else None
    return kind, f"{namespace}/{name}" if isinstance(namespace, str) else name


def _same_names(documents: Sequence[Document]) -> Iterator[Finding]:
    """A finding for each document whose kind and name another bears too."""
    first: dict[Identity, Document] = {}
    for document in documents:
        other = first.setdefault((document.kind, document.name), document)
        if other is not document:
            yield Finding(
                file=document.file,
                line=document.line,
                column=1,
                path="metadata.name",
                message=f"{document.kind} {document.name} is also in {other.file}:{other.line}; "
                "nothing is done about either",
                expected="a name of its own",
            )
