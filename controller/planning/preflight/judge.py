"""Puts the questions of the table and says what the answers mean for an action."""

from collections.abc import Iterator
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
    for check in OF_PLACE:
        if kind in check.on and (answer := _answer(check, kind, ask)) is not None and answer.holds:
            yield answer


def in_the_way(
    kind: ActionKind, want: VMDesired, seen: VMObserved, around: Surroundings
) -> CheckResult | None:
    """The first check of the VM that keeps it from being moved, registered or started."""
    ask = Ask(want=want, seen=seen, node=None, around=around)
    found = (_answer(check, kind, ask) for check in OF_VM if kind in check.on)
    return next((answer for answer in found if answer is not None and answer.holds), None)


def availability(
    want: VMDesired, seen: VMObserved, around: Surroundings
) -> tuple[CheckResult, ...]:
    """The high-availability report of a VM: every check of a registration, passed or not."""
    ask = Ask(want=want, seen=seen, node=None, around=around)
    answers = [_answer(check, ActionKind.REGISTER, ask) for check in _AVAILABLE]
    if not any(answers):
        return _ALL_PASS
    return tuple(answer or passed for answer, passed in zip(answers, _ALL_PASS, strict=True))


def lasts(result: CheckResult) -> bool:
    """Whether it stays so until a person changes something."""
    if result.name is CheckName.NODE_EXISTS:
        return True
    return result.verdict is CheckVerdict.BLOCKS and BY_NAME[result.name].lasts


def _answer(check: Check, kind: ActionKind, ask: Ask) -> CheckResult | None:
    """What the check says against it; None where it passes."""
    why = missing(ask, check.needs)
    finding = check.rule(ask) if why is None else Untold(why)
    if finding is None:
        return None
    remedy = check.remedy.format(
        vm=ask.want.title, node=ask.node.name if ask.node is not None else "another node"
    )
    if isinstance(finding, Untold):
        return CheckResult(
            name=check.name,
            verdict=CheckVerdict.CANNOT_TELL,
            found=finding.why,
            remedy=remedy,
            holds=kind in check.holds_untold,
        )
    verdict = check.on[kind]
    return CheckResult(
        name=check.name,
        verdict=verdict,
        found=finding,
        remedy=remedy,
        holds=verdict is CheckVerdict.BLOCKS,
    )


_AVAILABLE: Final = tuple(check for check in CHECKS if ActionKind.REGISTER in check.on)
# One tuple for the many VMs that pass: a report of 8,000 VMs is made every cycle.
_ALL_PASS: Final = tuple(
    CheckResult(name=check.name, verdict=CheckVerdict.PASSES, found="") for check in _AVAILABLE
)
