"""The report of one cycle: every declared VM with its verdict, and what changed since the last."""

from collections.abc import Iterator, Set
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from controller.model.checks import CheckResult
from controller.model.desired import DesiredState, VMDesired
from controller.model.history import History, IntentState
from controller.model.names import fold, same_name
from controller.model.observed import ObservedState, VMObserved
from controller.model.plan import (
    ActionKind,
    AuditFinding,
    Hold,
    HoldReason,
    Plan,
    Standing,
    Verdict,
)
from controller.model.report import ClusterReport, Outcome, OutcomeResult, VMReport
from controller.model.setting import Change
from controller.model.source import Undeclared, short
from controller.planning.holds import STOPS_ACTING, WAITS_FOR_OTHERS
from controller.planning.identity import roster
from controller.planning.native import differences
from controller.planning.preflight import availability, surroundings
from controller.planning.sentences import (
    ended_sentence,
    failure_words,
    folders_sentence,
    foreign_sentence,
    hold_sentence,
    maintenance_sentence,
    outcome_sentence,
    vm_sentence,
)
from controller.planning.traces import just_ended


def summarise(
    desired: DesiredState,
    observed: ObservedState,
    history: History,
    plan: Plan,
    findings: tuple[AuditFinding, ...],
    outcomes: tuple[Outcome, ...],
    *,
    cycle: int,
    acted: bool,
    previous: ClusterReport | None,
) -> ClusterReport:
    """Say everything that this cycle has to say; `previous` is what the last one said."""
    holds = _with_since(plan.holds, previous, observed.started_at)
    reporter = _Reporter(desired, observed, history, replace(plan, holds=holds))
    vms = tuple(reporter.report(standing) for standing in plan.standings)
    declared = {standing.vm_id for standing in plan.standings}
    report = ClusterReport(
        cluster=desired.cluster,
        revision=desired.revision,
        mode=desired.policy.mode,
        cycle=cycle,
        observed_at=observed.started_at,
        completed_at=observed.completed_at,
        observation_complete=observed.is_complete,
        acted=acted,
        converged=observed.is_complete
        and not findings
        and _is_converged(plan, vms)
        and not _may_free_room(plan, history, desired, observed),
        vms=vms,
        nodes=observed.nodes,
        gaps=observed.gaps,
        cluster_holds=tuple(hold for hold in holds if hold.key == ""),
        plan=plan,
        audit=findings,
        outcomes=outcomes,
        findings=desired.findings,
        foreign=history.foreign,
        ended_moves=tuple(just_ended(history)),
        unmanaged_vms=sum(1 for vm in observed.vms if vm.id not in declared),
        sources=desired.sources,
        undeclared=_undeclared(desired, observed, history, declared),
    )
    return replace(report, events=tuple(_events(report, previous)))


def _undeclared(
    desired: DesiredState, observed: ObservedState, history: History, declared: Set[str | None]
) -> tuple[Undeclared, ...]:
    """Whom a source let go, and whom the journal knows by a spec that is gone, while it is seen."""
    left = {fold(vm.vm): vm for source in desired.sources for vm in source.undeclared}
    once = set(history.bound.values()) - declared
    for vm in observed.vms:
        if vm.id in once:
            unknown = Undeclared(cluster=desired.cluster, vm=vm.name, spec="", revision="")
            left.setdefault(fold(vm.name), unknown)
    return tuple(left[name] for name in sorted(left))


def _with_since(
    holds: tuple[Hold, ...], previous: ClusterReport | None, now: datetime
) -> tuple[Hold, ...]:
    told = [vm.hold for vm in previous.vms if vm.hold is not None] if previous is not None else []
    told += previous.cluster_holds if previous is not None else ()
    since = {(hold.key, hold.reason): hold.since for hold in told}
    return tuple(replace(hold, since=since.get((hold.key, hold.reason)) or now) for hold in holds)


def _is_converged(plan: Plan, vms: tuple[VMReport, ...]) -> bool:
    """Whether nothing that this program could do is due, now or when some time has passed."""
    at_rest = all(
        vm.intent is None and vm.migration is None and vm.verdict is not Verdict.UNKNOWN
        for vm in vms
    )
    waits = all(hold.reason in WAITS_FOR_OTHERS | STOPS_ACTING for hold in plan.holds)
    return at_rest and waits and not plan.actions


def _may_free_room(
    plan: Plan, history: History, desired: DesiredState, observed: ObservedState
) -> bool:
    """Whether a VM has no room, and room may come once a node that came back is steady."""
    stable = timedelta(seconds=desired.policy.node_stable_seconds)
    settles = any(
        observed.completed_at < since + stable for since in history.node_up_since.values()
    )
    cramped = (HoldReason.NO_ROOM, HoldReason.NO_HOP)
    return settles and any(hold.reason in cramped for hold in plan.holds)


class _Reporter:
    """Indexes made once, so that each of thousands of VMs costs a few look-ups."""

    def __init__(
        self, desired: DesiredState, observed: ObservedState, history: History, plan: Plan
    ) -> None:
        vms = roster(observed)
        self._seen = vms.by_id
        self._observed, self._policy = observed, desired.policy
        self._around = surroundings(
            observed, vms, desired.policy, observed.completed_at, targets={}
        )
        self._wants = {want.key: want for want in desired.vms}
        self._conflicts = {conflict.key: conflict for conflict in desired.conflicts}
        self._holds = {hold.key: hold for hold in plan.holds}
        self._intents = {intent.key: intent for intent in history.open_intents}
        moves = {
            i.key: i
            for i in history.intents
            if i.kind == ActionKind.MOVE and i.state is not IntentState.OPEN
        }
        self._failed = {
            key: move
            for key, move in moves.items()
            if move.state is IntentState.NOT_DONE and move.code is not None
        }
        self._actions = {action.key: action for action in reversed(plan.actions)}

    def report(self, standing: Standing) -> VMReport:
        """Everything about one declared VM."""
        key = standing.key
        want, seen = self._wants.get(key), self._seen.get(standing.vm_id or "")
        hold, intent = self._holds.get(key), self._intents.get(key)
        differs = self._differences(want, seen)
        migration = seen.migration if seen is not None else None
        failed = self._failed.get(key) if standing.verdict is not Verdict.SETTLED else None
        ways = [(m.source, m.target) for m in (migration, intent) if m is not None]
        return VMReport(
            key=key,
            vm=standing.vm,
            vm_id=standing.vm_id,
            spec=want.spec_name if want is not None else self._specs_in_conflict(key),
            verdict=standing.verdict,
            owner=standing.owner,
            declared=standing.declared,
            group=seen.role.name if seen is not None and seen.role is not None else None,
            hold=hold,
            migration=migration,
            intent=intent,
            generation=want.generation if want is not None else 0,
            differs=differs,
            ha=self._checks(want, seen),
            failed=failed,
            sentence=vm_sentence(
                standing,
                want,
                way=(
                    next((source for source, _ in ways if source), None),
                    next((target for _, target in ways if target), None),
                ),
                hold=hold,
                action=self._actions.get(key),
                differs=differs,
            )
            + (f" Its last move had no effect: {failure_words(failed)}." if failed else ""),
        )

    def _specs_in_conflict(self, key: str) -> str:
        return ", ".join(want.spec_name for want in self._conflicts[key].vms)

    def _differences(self, want: VMDesired | None, seen: VMObserved | None) -> tuple[Change, ...]:
        if want is None:
            return ()
        return differences(want, seen, self._observed, self._policy)

    def _checks(self, want: VMDesired | None, seen: VMObserved | None) -> tuple[CheckResult, ...]:
        if want is None or seen is None or not want.register:
            return ()
        return availability(want, seen, self._around)


def _events(report: ClusterReport, previous: ClusterReport | None) -> Iterator[str]:
    """One sentence for each thing that is not as it was."""
    if previous is None:
        yield _first_sentence(report)
        known: set[object] = set()
    else:
        known = set(previous.foreign)
        yield from _changes_of_view(report, previous)
    yield from _changes_of_sources(report, previous)
    yield from _changes_of_holds(report, previous)
    names = {vm.vm_id: vm.vm for vm in report.vms}
    for move in report.foreign:
        if move not in known and previous is not None:
            yield foreign_sentence(move, names.get(move.vm_id, move.vm_id))
    yield from (ended_sentence(move) for move in report.ended_moves)
    before = {vm.key: _state(vm) for vm in previous.vms} if previous is not None else {}
    ordered = {o.action.key for o in report.outcomes if o.result is OutcomeResult.SUBMITTED}
    for vm in report.vms:
        if vm.key in ordered:
            continue  # What was ordered, and why, says where it was and belongs.
        news = before.get(vm.key) != _state(vm)
        if news and (previous is not None or vm.verdict is not Verdict.SETTLED):
            yield vm.sentence
    yield from _changes_of_maintenances(report, previous)
    yield from _changes_of_folders(report, previous)
    yield from (outcome_sentence(outcome) for outcome in report.outcomes)
    if report.converged and (previous is None or not previous.converged):
        yield f"{report.cluster} has converged."


class _State(NamedTuple):
    """What makes a VM's sentence news: not a progress, not a time."""

    verdict: Verdict
    owner: str | None
    held: str | None
    differs: tuple[Change, ...]


def _state(vm: VMReport) -> _State:
    # While it moves its owner changes, and that is how a move goes.
    owner = vm.owner if vm.verdict is not Verdict.MOVING else None
    return _State(vm.verdict, owner, vm.hold.reason if vm.hold is not None else None, vm.differs)


def _first_sentence(report: ClusterReport) -> str:
    misplaced = sum(1 for vm in report.vms if vm.verdict is not Verdict.SETTLED)
    return (
        f"Watching {report.cluster} in mode {report.mode}: {len(report.nodes)} nodes,"
        f" {len(report.vms)} declared VMs of which {misplaced} are not settled,"
        f" {report.unmanaged_vms} VMs of no spec."
    )


def _changes_of_view(report: ClusterReport, previous: ClusterReport) -> Iterator[str]:
    old, new = ({g.node: g for g in r.gaps} for r in (previous, report))
    for name in sorted(new.keys() - old.keys()):
        who = name or "The cluster's lists"
        yield f"{who} could not be seen ({new[name].reason}): {new[name].detail}."
    for name in sorted(old.keys() - new.keys()):
        yield f"{name or 'The cluster lists'} can be seen again."
    for node in report.nodes:
        was = next((n for n in previous.nodes if same_name(n.name, node.name)), None)
        if was is not None and was.state is not node.state:
            yield f"{node.name} is {node.state}, it was {was.state}."
    if report.revision != previous.revision:
        yield f"The specs are now those of revision {report.revision}."


def _changes_of_sources(report: ClusterReport, previous: ClusterReport | None) -> Iterator[str]:
    """What is refused now and why, what no longer is, and whom no source declares any more."""
    before = {s.name: s for s in previous.sources} if previous is not None else {}
    for source in report.sources:
        was = before.get(source.name)
        said = (was.refused, was.reason, was.why) if was is not None else ("", None, "")
        if said != (source.refused, source.reason, source.why):
            yield f"Specs of {source.name}: {source.sentence()}."
    known = previous.undeclared if previous is not None else report.undeclared
    for vm in report.undeclared:
        if not any(same_name(vm.vm, old.vm) for old in known):
            since = f" since {short(vm.revision)}" if vm.revision else ""
            yield f"{vm.vm} is no longer declared{since}; nothing is done about it."


def _changes_of_maintenances(
    report: ClusterReport, previous: ClusterReport | None
) -> Iterator[str]:
    """How far each maintenance is, where it was not so far before."""
    former = previous.plan if previous is not None else None
    before = {m.key: m for m in former.maintenances} if former is not None else {}
    for standing in report.plan.maintenances:
        was, hold = before.get(standing.key), report.plan.hold_for(standing.key)
        held = former.hold_for(standing.key) if former is not None else None
        news = was is None or was.phase is not standing.phase
        if news or (held and held.reason) != (hold and hold.reason):
            yield maintenance_sentence(standing, hold)


def _changes_of_folders(report: ClusterReport, previous: ClusterReport | None) -> Iterator[str]:
    """Nodes whose default folders were not as they are, or not held as they are; or right."""
    former = previous.plan if previous is not None else None
    before = {f.key: f for f in former.folders} if former is not None else {}
    for standing in report.plan.folders:
        hold = report.plan.hold_for(standing.key)
        held = former.hold_for(standing.key) if former is not None else None
        if before.get(standing.key) != standing or (held and held.reason) != (hold and hold.reason):
            yield folders_sentence(standing, hold)
    wrong = {standing.key for standing in report.plan.folders}
    for key in sorted(before.keys() - wrong):
        yield f"The default folders of {before[key].node} are no longer reported."


def _changes_of_holds(report: ClusterReport, previous: ClusterReport | None) -> Iterator[str]:
    """What holds everything now, and what no longer does; then also what still does."""
    held = {h.reason: h for h in report.cluster_holds}
    before = {h.reason: h for h in previous.cluster_holds} if previous is not None else {}
    for reason in sorted(held.keys() - before.keys()):
        yield f"Nothing new starts: {hold_sentence(held[reason])}."
    freed = sorted(before.keys() - held.keys())
    for reason in freed:
        yield f"No longer so: {hold_sentence(before[reason])}."
    for reason in sorted(held.keys() & before.keys()) if freed else ():
        yield f"Still so: {hold_sentence(held[reason])}."
