"""Keeps VMs of one anti-affinity class or affinity rule apart also where none of them is yet.

Preflight knows where each of them is and where a move under way leads; that two moves of one plan
would meet on a node shows only once both are chosen.
"""

from collections.abc import Iterable

from controller.model.plan import Hold, HoldReason
from controller.planning.choices import Chosen
from controller.planning.holds import hold_on
from controller.planning.preflight import Group
from controller.planning.schedule import Timed
from controller.planning.view import View


def holds_on_meeting(view: View, chosen: Chosen, timed: Iterable[Timed]) -> dict[str, Hold]:
    """By key: moves that would meet an earlier one of their class on a node, if only on a hop.

    They wait until the earlier one is seen there, and then take what is left to them: the cluster
    keeps the second of a class offline where it enforces the classes.
    """
    apart = view.around.apart
    if not apart:
        return {}
    taken: dict[tuple[Group, str], str] = {}
    holds: dict[str, Hold] = {}
    for step in (t.step for t in timed):
        case = chosen.movers[step.key]
        groups = apart.get(case.seen.id, ()) if case.seen is not None else ()
        met = [g for g in groups if taken.get((g, step.target), step.key) != step.key]
        if not met:
            taken |= dict.fromkeys(((g, step.target) for g in groups), step.key)
            continue
        node = view.title(step.target)
        holds[step.key] = hold_on(
            case.want,
            HoldReason.TARGET_UNFIT,
            target=node,
            found=f"another VM of {' '.join(min(met))} goes to {node}",
        )
    return holds
