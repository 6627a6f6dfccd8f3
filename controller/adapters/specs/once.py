"""Specs read once, for a command: all of them right, or every fault told. No cluster is needed."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from controller.adapters.specs import folder
from controller.adapters.specs.directory import DirectorySource
from controller.adapters.specs.documents import OPERATOR_KINDS, PLACEMENT_KINDS, read_documents
from controller.errors import SpecError
from controller.model.document import Document
from controller.model.findings import Finding
from controller.model.spec import FailoverCluster
from controller.ports import SpecReading


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What `check_specs` found."""

    files: int
    documents: int
    findings: tuple[Finding, ...]


def check_specs(paths: Sequence[Path]) -> Checked:
    """Read specs as the controller would: folders hold placements, a single file any kind."""
    placements: dict[str, bytes] = {}
    anything: dict[str, bytes] = {}
    findings: list[Finding] = []
    for path in paths:
        if path.is_dir():
            files, faults = _folder(path)
            placements |= files
            findings += faults
        else:
            anything[str(path)] = bytes_of(path)
    readings = (
        read_documents(placements, allowed=PLACEMENT_KINDS),
        read_documents(anything, allowed=PLACEMENT_KINDS | OPERATOR_KINDS),
    )
    findings += [finding for reading in readings for finding in reading.findings]
    return Checked(
        files=len(placements) + len(anything),
        documents=sum(len(reading.documents) for reading in readings),
        findings=tuple(sorted(findings, key=lambda f: (f.file, f.line, f.column, f.path))),
    )


def read_clusters(config: Path) -> tuple[Document, ...]:
    """The FailoverCluster documents of the operator's configuration, a file or a folder of files.

    Raises SpecError with every finding: a controller with half a configuration would act by it.
    """
    files, findings = _folder(config) if config.is_dir() else ({str(config): bytes_of(config)}, ())
    reading = read_documents(files, allowed=OPERATOR_KINDS)
    _refuse((*findings, *reading.findings))
    for cluster in reading.documents:
        assert isinstance(cluster.model, FailoverCluster)
        if cluster.model.spec.connection.credentials.secret_ref is not None:
            raise SpecError(f"{cluster.place}: secretRef is for `run --kubernetes` only")
    check_identities(reading.documents)
    return reading.documents


def read_placements(specs: Path) -> SpecReading:
    """The placements of a folder or file. Raises SpecError with every finding.

    The revision of a folder is the one that a controller gives it.
    """
    if specs.is_dir():
        with TemporaryDirectory(prefix="ownernode-") as state:
            reading = DirectorySource(specs, Path(state)).read_now()
    else:
        raw = bytes_of(specs)
        found = read_documents({str(specs): raw}, allowed=PLACEMENT_KINDS)
        reading = SpecReading(
            revision=f"sha256:{hashlib.sha256(raw).hexdigest()[:12]}",
            documents=found.documents,
            findings=found.findings,
        )
    _refuse(reading.findings)
    return reading


def choose_cluster(clusters: Sequence[Document], name: str | None) -> Document:
    """The cluster of that name, or the only one. Raises SpecError when it is not clear which."""
    names = ", ".join(sorted(c.name for c in clusters))
    found = [c for c in clusters if name is None or c.name == name]
    if len(found) != 1:
        wanted = f"no cluster {name!r} is" if name else f"{len(clusters)} clusters are"
        raise SpecError(f"{wanted} configured; give --cluster with one of: {names}")
    return found[0]


def check_identities(clusters: Sequence[Document]) -> None:
    """One Kerberos identity a process: its tickets and its krb5.conf belong to the process.

    Several on one cache have been seen to throw one another out (rundeck/rundeck-winrm #118).
    """
    found: dict[str, Document] = {}
    for cluster in clusters:
        assert isinstance(cluster.model, FailoverCluster)
        connection = cluster.model.spec.connection
        if connection.authentication == "Kerberos":
            found[connection.credentials.model_dump_json()] = cluster
    if len(found) > 1:
        names = ", ".join(f"{c.name} ({c.place})" for c in found.values())
        raise SpecError(
            f"{names} log on by Kerberos with credentials of their own; one process has one"
            " Kerberos identity: give them the same credentials, or run a controller for each"
        )


def _folder(path: Path) -> tuple[dict[str, bytes], tuple[Finding, ...]]:
    contents = folder.read(path)
    if contents is None:
        raise SpecError(f"{path} keeps changing while it is read")
    files = {str(path / name): raw for name, raw in contents.files.items()}
    if not files and not contents.findings:
        raise SpecError(f"{path} holds no YAML file")
    return files, contents.findings


def bytes_of(path: Path) -> bytes:
    """The file's content. Raises SpecError where it can't be read."""
    if path.exists() and not path.is_file():  # a pipe would be waited for, and a device never ends
        raise SpecError(f"{path} is not a regular file")
    try:
        return path.read_bytes()
    except OSError as error:
        raise SpecError(f"{path} can't be read: {error.strerror}") from error


def _refuse(findings: Sequence[Finding]) -> None:
    if findings:
        raise SpecError("\n".join(str(finding) for finding in findings))
