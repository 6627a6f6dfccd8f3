"""Each node, and why it is or is not fit for one VM: what `explain` shows."""

from dataclasses import dataclass
from datetime import datetime

from controller.model.checks import CheckName, CheckResult, CheckVerdict
from controller.model.desired import DesiredState, VMDesired
from controller.model.history import History
from controller.model.names import fold
from controller.model.observed import ObservedState
from controller.planning.cost import as_gib, hard_broken, place_cost
from controller.planning.holds import gib
from controller.planning.preflight import unfit
from controller.planning.view import View, look


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One node as a place for one VM."""

    node: str
    is_owner: bool
    rank: int | None
    """Place among the preferred owners, 0 first; None when it is not among them."""
    room_bytes: int
    """What the node could take in now, its reserve kept."""
    cost_gib: float
    """What the VM would cost there, in GiB of migration; broken hard rules not counted."""
    unfit: tuple[CheckResult, ...]
    """Every rule against it; empty: the node is fit."""


def candidates(
    desired: DesiredState, observed: ObservedState, history: History, now: datetime, key: str
) -> tuple[Candidate, ...]:
    """Every node for the VM of that key: the fit ones first, the cheapest first."""
    view = look(desired, observed, history, now)
    want = next((want for want in desired.vms if want.key == key), None)
    if want is None:
        return ()
    found = [_candidate(view, want, name) for name in view.nodes]
    return tuple(sorted(found, key=lambda c: (bool(c.unfit), c.cost_gib, fold(c.node))))


def _candidate(view: View, want: VMDesired, name: str) -> Candidate:
    node, seen = view.nodes[name], view.matches[want.key].vm
    policy = view.desired.policy
    home = fold(seen.owner or "") if seen is not None else ""
    memory = seen.memory_bytes if seen is not None else _startup_bytes(want)
    against = list(unfit(want, seen, node, view.around))
    if name != home and memory > view.room_now[name]:
        room = gib(max(view.room_now[name], 0))
        against.append(
            CheckResult(
                name=CheckName.MEMORY,
                verdict=CheckVerdict.BLOCKS,
                found=f"{node.name} has room for {room}, {gib(memory)} are needed",
                remedy=f"make room on {node.name}",
                holds=True,
            )
        )
    if name == home:
        # It is there already: only its own hard rules could make that wrong.
        against = [u for u in against if hard_broken(want, name) and u.name is CheckName.POSSIBLE]
    rank = want.rank(name)
    return Candidate(
        node=node.name,
        is_owner=name == home,
        rank=rank if rank < len(want.preferred) else None,
        room_bytes=max(view.room_now[name], 0),
        cost_gib=as_gib(place_cost(want, policy, memory_bytes=memory, home=home, node=name)),
        unfit=tuple(against),
    )


def _startup_bytes(want: VMDesired) -> int:
    return want.template.memory_startup_bytes if want.template is not None else 0
