"""Keeps VMs of one anti-affinity class apart also where none of them is yet.

Preflight knows where each of them is and where a move under way leads; that two moves of one plan
would meet on a node shows only once both are chosen.
"""

from collections.abc import Iterable

from controller.model.names import fold
from controller.model.plan import Hold, HoldReason
from controller.planning.choices import Chosen
from controller.planning.holds import hold_on
from controller.planning.schedule import Timed
from controller.planning.view import View


def holds_on_meeting(view: View, chosen: Chosen, timed: Iterable[Timed]) -> dict[str, Hold]:
    """By key: moves that would meet an earlier one of their class on a node, if only on a hop.

    They wait until the earlier one is seen there, and then take what is left to them: the cluster
    keeps the second of a class offline where it enforces the classes.
    """
    if not view.around.classes_enforced:
        return {}
    taken: dict[tuple[str, str], str] = {}
    holds: dict[str, Hold] = {}
    for step in (t.step for t in timed):
        case = chosen.movers[step.key]
        role = case.seen.role if case.seen is not None else None
        classes = role.anti_affinity if role is not None else ()
        met = [c for c in classes if taken.get((fold(c), step.target), step.key) != step.key]
        if not met:
            taken |= dict.fromkeys(((fold(c), step.target) for c in classes), step.key)
            continue
        node = view.title(step.target)
        holds[step.key] = hold_on(
            case.want,
            HoldReason.TARGET_UNFIT,
            target=node,
            found=f"another VM of anti-affinity class {min(met)} goes to {node}",
        )
    return holds
