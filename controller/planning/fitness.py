"""Whether a node may take a VM, apart from who else is there: the hard rules one by one."""

from collections.abc import Iterator
from dataclasses import dataclass

from controller.model.desired import VMDesired
from controller.model.names import fold
from controller.model.observed import NodeObserved, NodeState, VMObserved
from controller.model.plan import RuleName
from controller.model.policy import Policy


@dataclass(frozen=True, slots=True)
class Unfit:
    """A rule that keeps a VM off a node, and what was found."""

    rule: RuleName
    detail: str


LASTING = frozenset(
    {
        RuleName.NODE_EXISTS,
        RuleName.POSSIBLE,
        RuleName.CLUSTER_POSSIBLE,
        RuleName.SWITCH,
        RuleName.MEMORY,
    }
)
"""Rules that hold until a person changes something. `targetState` passes by itself.

Memory is among them because here it means a VM larger than the node."""


def is_fit(want: VMDesired, seen: VMObserved | None, node: NodeObserved, policy: Policy) -> bool:
    """Whether no rule keeps the VM off the node; room is another question."""
    return next(unfit(want, seen, node, policy), None) is None


def unfit(
    want: VMDesired, seen: VMObserved | None, node: NodeObserved, policy: Policy
) -> Iterator[Unfit]:
    """Every rule that keeps the VM off the node. `seen` None: the VM is to be created."""
    if not want.allows(node.name):
        yield Unfit(RuleName.POSSIBLE, f"{node.name} is not among its possible owners")
    # Windows lists every possible owner; an empty list was not told, and the node checks again.
    possible = seen.role.possible_owners if seen is not None and seen.role is not None else ()
    if possible and fold(node.name) not in {fold(n) for n in possible}:
        yield Unfit(
            RuleName.CLUSTER_POSSIBLE, f"the cluster does not list {node.name} as possible owner"
        )
    if not node.is_target:
        yield Unfit(RuleName.TARGET_STATE, f"{node.name} is {state_of(node)}")
    # What an unanswered node has is not known; it is no target for that reason already.
    if node.answered:
        yield from _unfit_hardware(want, seen, node, policy)


def state_of(node: NodeObserved) -> str:
    """Why a node takes no VM, in the cluster's words."""
    flags = (
        (node.draining, "draining"),
        (node.isolated, "isolated"),
        (node.quarantined, "quarantined"),
        (node.placement_avoided, "to be avoided"),
        (node.failback_in_progress, "taking back what was drained from it"),
    )
    words = [word for flag, word in flags if flag]
    if node.state is not NodeState.UP or not words:
        words.insert(0, node.state.value)
    if not node.answered:
        words.append("silent")
    return ", ".join(words)


def _unfit_hardware(
    want: VMDesired, seen: VMObserved | None, node: NodeObserved, policy: Policy
) -> Iterator[Unfit]:
    switches = {fold(s) for s in node.switches}
    for switch in _switches(want, seen):
        if fold(switch) not in switches:
            yield Unfit(RuleName.SWITCH, f"{node.name} has no virtual switch {switch!r}")
    memory, total = _memory(want, seen), node.memory_total_bytes
    if total is None:
        yield Unfit(RuleName.MEMORY, f"{node.name} gave no memory figure")
    elif memory > total - policy.reserve_bytes(total):
        yield Unfit(
            RuleName.MEMORY,
            f"{gib(memory)} is more than the {gib(total - policy.reserve_bytes(total))}"
            f" that {node.name} has for VMs",
        )


def gib(memory_bytes: int) -> str:
    """A size for people."""
    return f"{memory_bytes / 1024**3:.4g} GiB"


def _switches(want: VMDesired, seen: VMObserved | None) -> tuple[str, ...]:
    if seen is not None:
        return seen.switches
    switch = want.template.switch if want.template is not None else None
    return (switch,) if switch is not None else ()


def _memory(want: VMDesired, seen: VMObserved | None) -> int:
    if seen is not None:
        return seen.memory_bytes
    return want.template.memory_startup_bytes if want.template is not None else 0
