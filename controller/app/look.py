"""One look at one cluster: what a command without a running controller needs."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from controller.adapters.http.explanation import explain
from controller.adapters.local.clock import SystemClock
from controller.adapters.specs.documents import OPERATOR_KINDS, read_documents
from controller.adapters.specs.git.address import is_address, parse_address
from controller.adapters.specs.git.source import GitSource
from controller.adapters.specs.once import read_placements
from controller.adapters.winrm.logons import LogonGates
from controller.app.reach import Reach
from controller.errors import SpecError
from controller.model.desired import DesiredState
from controller.model.document import Document
from controller.model.history import History
from controller.model.observed import ObservedState
from controller.model.plan import AuditFinding, Plan
from controller.model.spec import API_VERSION
from controller.planning.absorb import absorb
from controller.planning.decide import decide
from controller.planning.resolve import resolve, strays
from controller.planning.summary import summarise
from controller.ports import SpecReading


def read_specs(specs: Sequence[str]) -> SpecReading:
    """The placements that `--specs` names, read once. Raises SpecError with every finding."""
    readings = [_read_repository(t) if is_address(t) else read_placements(Path(t)) for t in specs]
    return SpecReading(
        revision=",".join(reading.revision for reading in readings),
        documents=tuple(document for reading in readings for document in reading.documents),
        findings=(),
    )


def _read_repository(text: str) -> SpecReading:
    with TemporaryDirectory(prefix="ownernode-") as state:
        source = GitSource(parse_address(text), Path(state))
        try:
            reading = source.read_now()
        finally:
            source.close()
    if reading.findings:
        raise SpecError("\n".join(map(str, reading.findings)))
    return reading


def declare(
    cluster: Document, specs: SpecReading, *, clusters: Sequence[Document] = ()
) -> DesiredState:
    """The desired state of one cluster, of specs that are read once.

    `clusters` are all that are configured: a placement of none of them is a finding.
    """
    findings = strays(clusters or (cluster,), specs.documents)
    return resolve(cluster, specs.documents, findings, specs.revision)


def declare_with_defaults(name: str, specs: SpecReading) -> DesiredState:
    """The desired state of a cluster of which there is a snapshot only: default limits."""
    nobody = {"nodes": ["nobody.invalid"], "authentication": "NTLM", "credentials": {"env": "NONE"}}
    document = {
        "apiVersion": API_VERSION,
        "kind": "FailoverCluster",
        "metadata": {"name": name},
        "spec": {"connection": nobody},
    }
    text = yaml.safe_dump(document).encode()
    (cluster,) = read_documents({"defaults": text}, allowed=OPERATOR_KINDS).documents
    return declare(cluster, specs)


async def observe_once(cluster: Document) -> ObservedState:
    """What the cluster says now."""
    desired = resolve(cluster, (), (), "")
    reach = Reach(cluster.name, desired.connection, gates=LogonGates(), clock=SystemClock())
    try:
        return await reach.watched.observe()
    finally:
        await reach.watched.close()


def plan_once(
    desired: DesiredState, observed: ObservedState, before: DesiredState | None = None
) -> tuple[Plan, tuple[AuditFinding, ...]]:
    """What a controller would do that saw this state often enough to believe it.

    `before`: what was declared until now, so that the brakes see what changes.
    """
    history = _as_if_watched(before or desired, observed)
    if before is not None:
        history = absorb(history, desired, observed, observed.completed_at)
    return decide(desired, observed, history, observed.completed_at)


def explain_once(desired: DesiredState, observed: ObservedState, vm: str) -> list[dict[str, Any]]:
    """Explanations of every VM of that name, spec name or id, as `plan_once` sees them."""
    history = _as_if_watched(desired, observed)
    plan, findings = decide(desired, observed, history, observed.completed_at)
    report = summarise(
        desired, observed, history, plan, findings, (), cycle=1, acted=False, previous=None
    )
    return explain(desired, observed, history, report, vm)


def _as_if_watched(desired: DesiredState, observed: ObservedState) -> History:
    history = History(cluster=desired.cluster, trusted=True)
    for _ in range(desired.policy.complete_cycles_before_acting):
        history = absorb(history, desired, observed, observed.completed_at)
    return history
