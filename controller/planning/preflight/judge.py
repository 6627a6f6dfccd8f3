"""Puts the questions of the table and says what the answers mean for an action."""

from collections.abc import Iterable, Iterator
from typing import Final

from controller.model.checks import CheckName, CheckResult, CheckVerdict
from controller.model.desired import VMDesired
from controller.model.observed import NodeObserved, VMObserved
from controller.model.plan import ActionKind
from controller.planning.preflight.ask import Ask, Surroundings, Untold, missing
from controller.planning.preflight.table import BY_NAME, CHECKS, OF_PLACE, OF_VM, Check


def is_fit(
    want: VMDesired, seen: VMObserved | None, node: NodeObserved, around: Surroundings
) -> bool:
    """Whether no check keeps the VM off the node; room is another question."""
    return next(unfit(want, seen, node, around), None) is None


def unfit(
    want: VMDesired, seen: VMObserved | None, node: NodeObserved, around: Surroundings
) -> Iterator[CheckResult]:
    """Every check that keeps the VM off the node. `seen` None: the VM is to be created."""
    kind = ActionKind.MOVE if seen is not None else ActionKind.CREATE
    ask = Ask(want=want, seen=seen, node=node, around=around)
    checks = (check for check in OF_PLACE if kind in check.on)
    return (answer for answer in _answers(checks, kind, ask) if answer.holds)


def in_the_way(
    kind: ActionKind, want: VMDesired, seen: VMObserved, around: Surroundings
) -> CheckResult | None:
    """The first check of the VM that keeps it from being moved, registered or started."""
    ask = Ask(want=want, seen=seen, node=None, around=around)
    checks = (check for check in OF_VM if kind in check.on)
    return next((answer for answer in _answers(checks, kind, ask) if answer.holds), None)


def availability(
    want: VMDesired, seen: VMObserved, around: Surroundings
) -> tuple[CheckResult, ...]:
    """The high-availability report of a VM: every check of a registration, passed or not."""
    ask = Ask(want=want, seen=seen, node=None, around=around)
    answers = {answer.name: answer for answer in _answers(_AVAILABLE, ActionKind.REGISTER, ask)}
    if not answers:
        return _ALL_PASS
    return tuple(answers.get(passed.name, passed) for passed in _ALL_PASS)


def lasts(result: CheckResult) -> bool:
    """Whether it stays so until a person changes something."""
    if result.name is CheckName.NODE_EXISTS:
        return True
    return result.verdict is CheckVerdict.BLOCKS and BY_NAME[result.name].lasts


def _answers(checks: Iterable[Check], kind: ActionKind, ask: Ask) -> Iterator[CheckResult]:
    """What the checks say against it."""
    untold = missing(ask)
    for check in checks:
        why = next((untold[fact] for fact in check.needs if fact in untold), None) if untold else ""
        finding = Untold(why) if why else check.rule(ask)
        if finding is not None:
            yield _result(check, kind, ask, finding)


def _result(check: Check, kind: ActionKind, ask: Ask, finding: str | Untold) -> CheckResult:
    remedy = check.remedy.format(
        vm=ask.want.title, node=ask.node.name if ask.node is not None else "another node"
    )
    accepted = check.name in ask.want.accepts
    if isinstance(finding, Untold):
        return CheckResult(
            name=check.name,
            verdict=CheckVerdict.CANNOT_TELL,
            found=finding.why,
            remedy=remedy,
            holds=kind in check.holds_untold and not accepted,
        )
    verdict = CheckVerdict.WARNS if accepted else check.on[kind]
    return CheckResult(
        name=check.name,
        verdict=verdict,
        found=f"{finding} (accepted by the spec)" if accepted else finding,
        remedy=remedy,
        holds=verdict is CheckVerdict.BLOCKS,
    )


_AVAILABLE: Final = tuple(check for check in CHECKS if ActionKind.REGISTER in check.on)
# One tuple for the many VMs that pass: a report of 8,000 VMs is made every cycle.
_ALL_PASS: Final = tuple(
    CheckResult(name=check.name, verdict=CheckVerdict.PASSES, found="") for check in _AVAILABLE
)
