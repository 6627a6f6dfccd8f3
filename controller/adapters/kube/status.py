"""What stands in the status of each object, made of the reports and of what was refused."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from controller.adapters.kube.api import Json
from controller.adapters.kube.conditions import (
    MESSAGE_CHARACTERS_MAX,
    SPEC_REFUSED,
    Condition,
    conditions_of_maintenance,
    conditions_of_vm,
    refused,
    untouched,
    written,
)
from controller.adapters.kube.kinds import CLUSTER, MAINTENANCE
from controller.adapters.kube.source import SOURCE, Identity, Judged
from controller.model.plan import MaintenanceStanding, Verdict
from controller.model.policy import Mode
from controller.model.report import ClusterReport, VMReport
from controller.planning.approvals import waiting_for_approval
from controller.planning.sentences import (
    REMAINS,
    change_words,
    folders_sentence,
    hold_sentence,
    maintenance_sentence,
    why,
)

ACTIONS_MAX: Final = 20
"""Of a plan, in a status: enough to decide by; the rest is counted, and in `ownernode plan`."""
NAMES_MAX: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Everything that statuses are made of."""

    judged: Mapping[Identity, Judged]
    reports: Mapping[str, ClusterReport]
    """By cluster."""
    strays: Mapping[str, str]
    """File of a document (see `source`) -> why no cluster takes it."""
    handled: Mapping[Identity, str]
    """The wish for a cycle that was last fulfilled, of each object on which one stood."""


def statuses(
    told: Told, items: Mapping[Identity, Json], now: str
) -> Iterator[tuple[Identity, Json]]:
    """The status that each object should have where it is not the one that it has."""
    vms = {spec: (vm, report) for spec, vm, report in _by_spec(told.reports)}
    for identity, item in items.items():
        judged = told.judged.get(identity)
        if judged is None or judged.generation > item["metadata"].get("generation", 0):
            continue
        before = item.get("status") or {}
        if identity[0] == CLUSTER:
            report = told.reports.get(identity[1][1])
            status = _of_cluster(judged, report, before, now)
        elif identity[0] == MAINTENANCE:
            status = _of_maintenance(judged, identity, told, before, now)
        else:
            status = _of_placement(judged, identity, vms, told.strays, before, now)
        handled = told.handled.get(identity, before.get("lastHandledReconcileAt"))
        if handled is not None:
            status["lastHandledReconcileAt"] = handled
        if not _says(before, status):
            yield identity, status


def _by_spec(
    reports: Mapping[str, ClusterReport],
) -> Iterator[tuple[str, VMReport, ClusterReport]]:
    for report in reports.values():
        for vm in report.vms:
            # Of specs in conflict there is one report, which names them all.
            for spec in vm.spec.split(", "):
                yield spec, vm, report


def _of_placement(
    judged: Judged,
    identity: Identity,
    vms: Mapping[str, tuple[VMReport, ClusterReport]],
    strays: Mapping[str, str],
    before: Json,
    now: str,
) -> Json:
    old = before.get("conditions") or ()
    generation = judged.generation
    if (conditions := _not_taken(judged, strays)) is not None:
        return _status(conditions, old, generation, now)
    namespace, name = identity[1]
    vm, report = vms.get(f"{namespace}/{name}", (None, None))
    if vm is None or report is None:
        return _not_looked_at(before, now)
    is_conflict = vm.verdict is Verdict.CONFLICT
    seen = generation if is_conflict else vm.generation
    status = _status(conditions_of_vm(vm, report.mode), old, seen, now)
    status |= {"cluster": report.cluster, "verdict": vm.verdict.value, "message": vm.sentence}
    optional = {"node": vm.owner, "wanted": vm.declared, "vmID": vm.vm_id}
    return status | {key: value for key, value in optional.items() if value is not None}


def _not_looked_at(before: Json, now: str) -> Json:
    """What was said stands until a look says otherwise: whoever begins to lead has made none yet.

    That a spec was edited since is told by `observedGeneration`.
    """
    if before.get("conditions"):
        return {key: value for key, value in before.items() if key not in OF_OTHERS}
    return _status(untouched(), (), 0, now)


def _not_taken(judged: Judged, strays: Mapping[str, str]) -> tuple[Condition, ...] | None:
    """What is said of an object that is not in force as it is; None of one that is."""
    if judged.faults:
        message = "; ".join(map(_fault, judged.faults))
        if judged.document is not None:
            message += f" (generation {judged.document.generation} stays in force)"
        return refused(SPEC_REFUSED, message)
    assert judged.document is not None, "what has no fault is a document"
    stray = strays.get(judged.document.file)
    return refused("NotTaken", stray) if stray is not None else None


def _of_maintenance(judged: Judged, identity: Identity, told: Told, before: Json, now: str) -> Json:
    old = before.get("conditions") or ()
    if (conditions := _not_taken(judged, told.strays)) is not None:
        return _status(conditions, old, judged.generation, now)
    _, name = identity[1]
    for report in told.reports.values():
        for standing in report.plan.maintenances:
            if standing.name == name:
                return _of_standing(standing, report, old, now)
    return _not_looked_at(before, now)


def _of_standing(
    standing: MaintenanceStanding, report: ClusterReport, old: Sequence[Json], now: str
) -> Json:
    """How far it got, and what is still on the node; of very many VMs the first, and how many."""
    hold = report.plan.hold_for(standing.key)
    conditions = conditions_of_maintenance(standing, hold, report.mode)
    return _status(conditions, old, standing.generation, now) | {
        "cluster": report.cluster,
        "phase": standing.phase.value,
        "message": maintenance_sentence(standing, hold)[:MESSAGE_CHARACTERS_MAX],
        "remainingCount": len(standing.remaining),
        "remaining": [
            {"vm": left.vm, "vmID": left.vm_id, "why": left.why.value, "message": REMAINS[left.why]}
            for left in standing.remaining[:NAMES_MAX]
        ],
    }


def _of_cluster(judged: Judged, report: ClusterReport | None, before: Json, now: str) -> Json:
    old = before.get("conditions") or ()
    if judged.faults:
        message = "; ".join(map(_fault, judged.faults))
        if judged.document is not None:
            message += f" (generation {judged.document.generation} stays in force)"
        return _status(refused(SPEC_REFUSED, message), old, judged.generation, now)
    if report is None:
        return _not_looked_at(before, now)
    status = _status(_conditions_of_cluster(report), old, judged.generation, now)
    verdicts = Counter(vm.verdict for vm in report.vms)
    settled = verdicts[Verdict.SETTLED]
    status |= {
        "mode": report.mode.value,
        "vms": {
            "declared": len(report.vms),
            "settled": settled,
            "moving": verdicts[Verdict.MOVING],
            "unknown": verdicts[Verdict.UNKNOWN],
            "undeclared": report.unmanaged_vms,
        },
        "summary": f"{settled}/{len(report.vms)}",
        "nodes": len(report.nodes),
        "holds": [hold_sentence(hold) for hold in report.cluster_holds][:NAMES_MAX],
    }
    optional = {"revision": _revision(report), "plan": _plan(report)}
    return status | {key: value for key, value in optional.items() if value}


def _revision(report: ClusterReport) -> str:
    """Of the sources beside Kubernetes: of an object its own generation tells, and who edits one
    of thousands makes no write to the cluster's."""
    others = (r for r in report.revision.split(",") if not r.startswith(f"{SOURCE}@"))
    return ",".join(others)


def _plan(report: ClusterReport) -> Json:
    """Digest, counts and the first actions: what somebody approves by the digest."""
    plan = report.plan
    if not plan.actions:
        return {}
    waiting = waiting_for_approval(report)
    shown: Json = {
        "digest": plan.digest,
        "actions": dict(sorted(Counter(a.kind.value for a in plan.actions).items())),
        "first": [
            f"{a.kind} {a.vm}: {a.source or 'nowhere'} -> {a.target}"
            f"{f', {change_words(a.change)}' if a.change else ''}, because {why(a)}"
            for a in plan.actions[:ACTIONS_MAX]
        ],
    }
    if waiting:
        shown["waitingForApproval"] = sorted({hold.evidence["digest"] for hold in waiting})
    return shown


def _conditions_of_cluster(report: ClusterReport) -> Iterator[Condition]:
    gaps = "; ".join(
        sorted(f"{g.node or 'the lists'}: {g.reason}" for g in report.gaps)[:NAMES_MAX]
    )
    complete = report.observation_complete
    yield Condition(
        type="Reachable",
        status="True" if complete else "False",
        reason="Seen" if complete else "NotSeen",
        message=gaps,
    )
    if report.plan.folders:
        told = " ".join(
            folders_sentence(f, report.plan.hold_for(f.key)) for f in report.plan.folders
        )
        yield Condition(type="DefaultPaths", status="False", reason="NotAsDeclared", message=told)
    waiting = [vm for vm in report.vms if vm.verdict is not Verdict.SETTLED]
    told = f"{len(report.vms) - len(waiting)} of {len(report.vms)} declared VMs are settled."
    holds = " ".join(f"Held because {hold_sentence(h)}." for h in report.cluster_holds)
    message = f"{told} {holds}".strip()
    if waiting:
        names = ", ".join(sorted(vm.vm for vm in waiting)[:NAMES_MAX])
        yield Condition(type="Drifted", status="True", reason="NotSettled", message=names)
    if report.converged:
        yield Condition(type="Ready", status="True", reason="Converged", message=message)
        return
    reason = report.cluster_holds[0].reason.value if report.cluster_holds else "Converging"
    if report.mode is Mode.OBSERVE:
        reason = "ModeObserve"
    ready = "False" if complete else "Unknown"
    yield Condition(type="Ready", status=ready, reason=reason, message=message)
    kind = "Stalled" if report.mode is Mode.OBSERVE and complete else "Reconciling"
    yield Condition(type=kind, status="True", reason=reason, message=message)


def _status(conditions: Any, before: Sequence[Json], generation: int, now: str) -> Json:
    return {
        "observedGeneration": generation,
        "conditions": written(conditions, before, generation=generation, now=now),
    }


def _fault(finding: Any) -> str:
    """A finding without its file, which is the object itself."""
    return str(finding).removeprefix(f"{finding.file}:0:0:").strip()


OF_OTHERS: Final = frozenset({"memory", "approval"})
"""Fields of a FailoverCluster's status that other writers of ours own."""


def _says(before: Json, status: Json) -> bool:
    """Whether the object's status is that already."""
    own = {key: value for key, value in before.items() if key not in OF_OTHERS}
    return own == status
