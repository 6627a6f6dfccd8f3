"""Rules of a node as the place for a VM, apart from who else is there."""

from controller.model.names import fold
from controller.model.observed import NodeObserved, NodeState
from controller.planning.holds import gib
from controller.planning.preflight.ask import Ask, Finding, Untold


def possible(ask: Ask) -> Finding:
    """The spec's own list."""
    node = _node(ask)
    if ask.want.allows(node.name):
        return None
    return f"{node.name} is not among its possible owners"


def cluster_possible(ask: Ask) -> Finding:
    """The lists of both resources of the role. Windows lists every possible owner."""
    node, seen = _node(ask), ask.seen
    if seen is None or seen.role is None:
        return None
    if not seen.role.possible_owners:
        return Untold("the cluster's possible owners were not told")
    if fold(node.name) in {fold(name) for name in seen.role.possible_owners}:
        return None
    return f"the cluster does not list {node.name} as possible owner"


def target_state(ask: Ask) -> Finding:
    """Whether the cluster itself would take a VM there now."""
    node = _node(ask)
    return None if node.is_target else f"{node.name} is {state_of(node)}"


def memory(ask: Ask) -> Finding:
    """Whether the VM is larger than the node; room beside the others is the planner's to find."""
    node, total = _node(ask), _node(ask).memory_total_bytes
    if not node.answered:
        return None  # it is no target for that reason already
    if total is None:
        return Untold(f"{node.name} gave no memory figure")
    needed, usable = _memory(ask), total - ask.around.policy.reserve_bytes(total)
    if needed <= usable:
        return None
    return f"{gib(needed)} is more than the {gib(usable)} that {node.name} has for VMs"


def switch(ask: Ask) -> Finding:
    """A switch of the same name for each adapter."""
    node = _node(ask)
    there = {fold(name) for name in node.switches}
    lacking = [name for name in _switches(ask) if fold(name) not in there]
    if not lacking:
        return None
    if not node.answered:
        return Untold(f"{node.name} did not tell its switches")
    return f"{node.name} has no virtual switch {', '.join(map(repr, lacking))}"


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


def _node(ask: Ask) -> NodeObserved:
    assert ask.node is not None, "asked about no node"
    return ask.node


def _switches(ask: Ask) -> tuple[str, ...]:
    if ask.seen is not None:
        return ask.seen.switches
    name = ask.want.template.switch if ask.want.template is not None else None
    return (name,) if name is not None else ()


def _memory(ask: Ask) -> int:
    if ask.seen is not None:
        return ask.seen.memory_bytes
    return ask.want.template.memory_startup_bytes if ask.want.template is not None else 0
