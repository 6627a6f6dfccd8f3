"""Turns what happened into lines: virtual time, who, and one sentence. Only what changed is said.

Lines are rendered here from the structured reports, never from production's own sentences, so that
rewording those breaks no scenario.
"""

from collections.abc import Mapping
from datetime import datetime

from controller.model.checks import CheckVerdict
from controller.model.plan import Action, FolderStanding, Hold, MaintenanceStanding
from controller.model.report import ClusterReport, Outcome, OutcomeResult, VMReport
from controller.planning.sentences import change_words
from tests.support.virtual_time import EPOCH


class Narrator:
    """Collects the lines of one run, and is shown every report."""

    def __init__(self, who: str = "controller", chief: "Narrator | None" = None) -> None:
        self.lines: list[str] = []
        self.now_seconds = 0.0
        self._who = who
        self._chief = chief
        self._said: dict[str, str] = {}
        self._foreign: set[object] = set()

    def other(self, who: str) -> "Narrator":
        """One who is shown another controller's reports, and tells them to this one."""
        return Narrator(who, self)

    def say(self, who: str, sentence: str) -> None:
        """Add a line at the present instant."""
        if self._chief is not None:
            self._chief.say(who, sentence)
            return
        self.lines.append(f"{self.now_seconds:8.1f}  {who:<10}  {sentence}")

    def forget(self) -> None:
        """A new controller says everything anew."""
        self._said.clear()

    async def show(self, report: ClusterReport) -> None:
        """Say what this report changes (a StatusSink)."""
        for gap in report.gaps:
            self._once(f"gap {gap.node}", f"cannot see {gap.node or 'the lists'}: {gap.reason}")
        seen = {f"gap {gap.node}" for gap in report.gaps}
        self._no_longer("gap ", seen, "has no gap at {} any more")
        holds = {f"all {hold.reason}": hold for hold in report.cluster_holds}
        for key, hold in holds.items():
            self._once(key, f"starts nothing: {hold.reason}{_evidence(hold)}")
        self._no_longer("all ", set(holds), "is free of {} again")
        for move in report.foreign:
            if move not in self._foreign:
                self._foreign.add(move)
                name = next((vm.vm for vm in report.vms if vm.vm_id == move.vm_id), move.vm_id)
                self.say(self._who, f"notices {name} moved {move.source} -> {move.target}")
        for wish in report.plan.impossible:
            vms = ", ".join(wish.vms)
            self._once(f"wish {vms}", f"cannot place {vms}: {', '.join(wish.rules)}")
        for finding in report.audit:
            self._once(f"audit {finding}", f"AUDIT {finding.rule}: {finding.detail}")
        for vm in report.vms:
            self._once(f"vm {vm.key}", _standing(vm))
            for change in vm.differs:
                said = f"{vm.vm} is not set as declared: {change_words(change)}"
                self._once(f"differs {vm.key} {change.setting}", said)
            for check in vm.ha:
                if check.verdict is not CheckVerdict.PASSES:
                    said = f"{check.name} {check.verdict}: {check.found}"
                    self._once(
                        f"ha {vm.key} {check.name}", f"{vm.vm} for high availability: {said}"
                    )
        for maintenance in report.plan.maintenances:
            said = _maintenance(maintenance, report.plan.hold_for(maintenance.key))
            self._once(f"node {maintenance.key}", said)
        for found in report.plan.folders:
            said = _folders(found, report.plan.hold_for(found.key))
            self._once(f"folders of {found.node}", said)
        wrong = {f"folders of {found.node}" for found in report.plan.folders}
        self._no_longer("folders of ", wrong, "has nothing to say of the folders of {} any more")
        for outcome in report.outcomes:
            self.say(self._who, _answer(outcome))
        state = "converged" if report.converged else "not converged"
        self._once("converged", state)

    def _once(self, key: str, sentence: str) -> None:
        if self._said.get(key) != sentence:
            self._said[key] = sentence
            self.say(self._who, sentence)

    def _no_longer(self, prefix: str, now: set[str], sentence: str) -> None:
        for key in [k for k in self._said if k.startswith(prefix) and k not in now]:
            del self._said[key]
            self.say(self._who, sentence.format(key.removeprefix(prefix)))


def _standing(vm: VMReport) -> str:
    declared = "" if vm.declared in (None, vm.owner) else f", belongs on {vm.declared}"
    where = f" on {vm.owner}" if vm.owner else ""
    text = f"{vm.vm} {vm.verdict}{where}{declared}"
    if vm.hold is None:
        return text
    action = f"{vm.hold.action} " if vm.hold.action else ""
    until = f" until {_seconds(vm.hold.until):.1f}" if vm.hold.until else ""
    return f"{text}; {action}held: {vm.hold.reason}{_evidence(vm.hold)}{until}"


def _maintenance(standing: MaintenanceStanding, hold: Hold | None) -> str:
    left = "".join(f"; {vm.vm} {vm.why}" for vm in standing.remaining)
    held = f"; held: {hold.reason}{_evidence(hold)}" if hold is not None else ""
    return f"maintenance of {standing.node} is {standing.phase}{left}{held}"


def _folders(standing: FolderStanding, hold: Hold | None) -> str:
    held = f"; held: {hold.reason}{_evidence(hold)}" if hold is not None else ""
    wanted = f", not {standing.declared}" if standing.declared else ""
    return f"{standing.node} puts VMs in {standing.vms}, disks in {standing.disks}{wanted}{held}"


def _evidence(hold: Hold) -> str:
    shown = _steady(hold.evidence)
    return f" ({', '.join(f'{k} {v}' for k, v in shown.items())})" if shown else ""


def _steady(evidence: Mapping[str, str]) -> dict[str, str]:
    """What neither ticks nor is derived: an age would make a line of every cycle."""
    return {
        key: value
        for key, value in sorted(evidence.items())
        if key != "intent" and not key.endswith(("_at", "_seconds", "since", "until", "seen"))
    }


def _seconds(at: datetime) -> float:
    return (at - EPOCH).total_seconds()


def _answer(outcome: Outcome) -> str:
    said = outcome.result.value
    if outcome.result is OutcomeResult.REFUSED:
        said += f" ({outcome.condition}: {outcome.found})"
    elif outcome.result is OutcomeResult.NOT_SENT:
        said += f" ({outcome.detail})"
    return f"{_order(outcome.action)}: {said}"


def _order(action: Action) -> str:
    way = f"{action.source} -> {action.target}" if action.source else f"on {action.target}"
    if action.source == action.target:
        way = f"on {action.target}"
    if action.change is not None:
        return f"{action.kind} {action.vm} {way}: {change_words(action.change)}"
    for_whom = f" for {action.because_of}" if action.because_of else ""
    return f"{action.kind} {action.vm} {way} because {action.reason}{for_whom}"
