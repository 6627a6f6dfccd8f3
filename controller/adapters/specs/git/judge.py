"""Whether a revision is taken: as a whole or not at all, and never because something is missing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from controller.adapters.specs.cut_short import cut_short, is_cut_short
from controller.adapters.specs.documents import (
    PLACEMENT_KINDS,
    Identity,
    Reading,
    read_documents,
)
from controller.adapters.specs.git.mirror import Refused
from controller.model.document import Document
from controller.model.findings import Finding
from controller.model.names import fold
from controller.model.policy import Policy
from controller.model.source import SourceRefusal, Undeclared
from controller.model.spec import VirtualMachinePlacement
from controller.planning.tally import may_vanish

UNDECLARED_MAX: Final = 1_000
"""Listed; the oldest are forgotten."""
_LFS = b"version https://git-lfs.github.com/spec/"


class NotTaken(Refused):
    """A revision was read and is not taken; each finding says where and what."""

    def __init__(self, reason: SourceRefusal, why: str, findings: Iterable[Finding] = ()) -> None:
        super().__init__(reason, why)
        self.findings = tuple(findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """A revision that was taken, read."""

    revision: str
    commit: str
    files: Mapping[str, bytes]
    documents: tuple[Document, ...]
    texts: Mapping[Identity, bytes]
    undeclared: tuple[Undeclared, ...] = ()


def read_files(name: str, files: Mapping[str, bytes], known: Iterable[Document]) -> Reading:
    """Read the spec files of a source; findings name a file as `source:path`."""
    return read_documents(
        {f"{name}:{path}": raw for path, raw in files.items()},
        allowed=PLACEMENT_KINDS,
        known={document.digest: document for document in known},
    )


def in_force(revision: str, commit: str, files: Mapping[str, bytes], reading: Reading) -> InForce:
    """A revision without findings as what is in force."""
    return InForce(
        revision=revision,
        commit=commit,
        files=files,
        documents=reading.documents,
        texts={
            (d.kind, d.name): s.raw
            for d, s in zip(reading.documents, reading.segments, strict=True)
        },
    )


def judge(
    name: str, fresh: tuple[str, str], files: Mapping[str, bytes], before: InForce | None,
    *, approved: bool,
) -> InForce:  # fmt: skip
    """Give what comes into force with the `fresh` revision (its name and commit).

    Raises NotTaken. `approved`: a person looked at exactly this commit, so neither what vanished
    from it nor what seems cut off speaks against it.
    """
    pointers = [path for path, raw in files.items() if raw.startswith(_LFS)]
    if pointers:
        message = "is a pointer of Git LFS and not the file"
        raise NotTaken(
            SourceRefusal.UNSAFE,
            f"{pointers[0]} {message}",
            (
                _about(f"{name}:{path}", message, "the file itself, without LFS")
                for path in pointers
            ),
        )
    if not files:
        raise NotTaken(SourceRefusal.EMPTY, "it holds no YAML file where specs are looked for")
    reading = read_files(name, files, before.documents if before is not None else ())
    cut = () if before is None or approved else _cut(reading, before)
    if findings := (*reading.findings, *cut):
        raise NotTaken(SourceRefusal.INVALID, _first(findings), findings)
    taken = in_force(*fresh, files, reading)
    placements = _placements(taken.documents)
    if not placements:
        raise NotTaken(SourceRefusal.EMPTY, "it holds no VirtualMachinePlacement")
    if before is None:
        return taken
    gone = tuple(vm for key, vm in _placements(before.documents).items() if key not in placements)
    may = may_vanish(Policy(), len(before.documents))
    if len(gone) > may and not approved:
        some = ", ".join(sorted(vm.vm for vm in gone)[:5])
        raise NotTaken(
            SourceRefusal.SHRUNKEN,
            f"{len(gone)} of {len(_placements(before.documents))} placements vanish ({some}, ...), "
            f"at most {may} may at once",
        )
    left = tuple(replace(vm, revision=fresh[0]) for vm in gone)
    listed = {(vm.cluster, fold(vm.vm)): vm for vm in (*before.undeclared, *left)}
    undeclared = tuple(vm for key, vm in listed.items() if key not in placements)
    return replace(taken, undeclared=undeclared[-UNDECLARED_MAX:])


def _placements(documents: Iterable[Document]) -> dict[tuple[str, str], Undeclared]:
    """Cluster and VM of each placement, with what would be said of it if it were gone."""
    found = {}
    for document in documents:
        if isinstance(document.model, VirtualMachinePlacement):
            spec = document.model.spec
            vm = spec.vm.name or spec.vm.id or ""
            found[spec.cluster, fold(vm)] = Undeclared(
                cluster=spec.cluster, vm=vm, spec=document.name, revision=""
            )
    return found


def _cut(reading: Reading, before: InForce) -> tuple[Finding, ...]:
    was = {(d.kind, d.name): d for d in before.documents}
    return tuple(
        cut_short(document)
        for document, segment in zip(reading.documents, reading.segments, strict=True)
        if (document.kind, document.name) in was
        and is_cut_short(
            document,
            segment,
            was[document.kind, document.name],
            before.texts[document.kind, document.name],
        )
    )


def _first(findings: tuple[Finding, ...]) -> str:
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return f"{findings[0]}{more}"


def _about(file: str, message: str, expected: str | None = None) -> Finding:
    return Finding(file=file, line=0, column=0, path="", message=message, expected=expected)
