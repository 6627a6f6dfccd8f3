"""Guards against a big change that nobody meant: a bad merge, a wrong path, a hasty first day."""

from collections.abc import Iterable, Iterator, Sequence

from controller.model.plan import Action, ActionKind, Hold, HoldReason
from controller.model.policy import Policy
from controller.planning.holds import hold_on_action, hold_on_cluster
from controller.planning.standing import Case
from controller.planning.tally import changed, declaration_digest, may_change, vanished
from controller.planning.view import View


def specs_shrank(view: View, cases: Sequence[Case]) -> Hold | None:
    """Many VMs vanished at once: the specs as a whole are doubtful, until back or approved."""
    # `absorb` has let go already what few vanished, or what was approved.
    gone = vanished(view.history, view.desired)
    if not gone:
        return None
    evidence = {
        "vanished": ", ".join(key.partition(":")[2] for key in gone[:10]),
        "vanished_vms": str(len(gone)),
        "digest": declaration_digest(view.desired),
    }
    return hold_on_cluster(HoldReason.SPECS_SHRANK, evidence)


def approval_needed(view: View, actions: Sequence[Action]) -> Iterator[Hold]:
    """A change of the specs makes more VMs due than may be changed unasked: all of them wait.

    Actions that no change of the specs brought about, such as a failback, go on.
    """
    due = changed(view.history) & {action.key for action in actions}
    allowed = may_change(view.desired.policy, len(view.desired.vms))
    if len(due) <= allowed:
        return
    evidence = {
        "changed_vms": str(len(due)),
        "allowed": str(allowed),
        "digest": declaration_digest(view.desired),
    }
    for action in actions:
        if action.key in due:
            yield hold_on_action(action, HoldReason.APPROVAL_NEEDED, evidence)


def domain_at_work(policy: Policy, source: str, under_way: Iterable[str]) -> str | None:
    """The fault domain that a move from `source` has to wait for; None: it waits for none.

    `under_way` are the sources of the moves under way, whoever began them. While a VM moves it can
    be lost by a fault at either end; as long as all that move come from one domain, no more is at
    stake than what its loss would take, which replicas in other domains are there for.
    """
    own = policy.fault_domain(source)
    others = {policy.fault_domain(node) for node in under_way} - {own}
    return min(others, default=None)


def canary_width(view: View, due_moves: int) -> int | None:
    """How many more moves may start now while a big change is not proved yet; None: all.

    First one, then two, then the rest. Proof is a move under this revision that was seen done, not
    longer ago than a day: after that, anybody may have changed the cluster.
    """
    policy, revision = view.desired.policy, view.desired.revision
    done = sum(1 for m in view.history.moves if m.revision == revision and not m.hop)
    under_way = sum(
        1 for i in view.history.open_intents if i.kind == ActionKind.MOVE and i.revision == revision
    )
    proved = done >= _CANARIES
    if proved or due_moves + under_way + done <= policy.canary_free_moves:
        return None
    return max((2 if done else 1) - under_way, 0)


_CANARIES = 3
"""One, and two more."""
