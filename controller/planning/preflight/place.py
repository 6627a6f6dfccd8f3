"""Rules of a node as the place for a VM, apart from who else is there."""

from typing import Final

from controller.model.names import fold, same_name
from controller.model.observed import NodeObserved, NodeState
from controller.planning.holds import gib
from controller.planning.preflight.ask import Apart, Ask, Finding, Untold

SERVER_2025: Final = 26100
"""Its build number; live migration with a GPU partition came with it."""


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


def processor_vendor(ask: Ask) -> Finding:
    """No live migration leads from one vendor's processors to another's."""
    source, node = _source(ask), _node(ask)
    if source is None:
        return None
    if source.processor_vendor is None or node.processor_vendor is None:
        return Untold(f"the processors of {source.name} and {node.name} were not told")
    if same_name(source.processor_vendor, node.processor_vendor):
        return None
    return f"{source.name} has {source.processor_vendor}, {node.name} {node.processor_vendor}"


def processor_model(ask: Ask) -> Finding:
    """Another model of the same vendor, and the VM does not run on several."""
    source, node, seen = _source(ask), _node(ask), ask.seen
    if source is None or seen is None or seen.processor_compatibility:
        return None
    here, there = _model(source), _model(node)
    if here is None or there is None:
        return Untold(f"the processors of {source.name} and {node.name} were not told")
    if here == there:
        return None
    return f"{source.name} has a processor {here}, {node.name} {there}"


def processor_count(ask: Ask) -> Finding:
    """Virtual processors beside the logical ones of the node."""
    node = _node(ask)
    wanted = ask.want.template.processors if ask.want.template is not None else None
    wanted = ask.seen.processors if ask.seen is not None else wanted
    if wanted is None or node.processors_logical is None:
        return Untold(f"the number of processors of {ask.want.title} or {node.name} is not known")
    if wanted <= node.processors_logical:
        return None
    return f"it has {wanted} processors, {node.name} {node.processors_logical}"


def version(ask: Ask) -> Finding:
    """Configuration version."""
    node, seen = _node(ask), ask.seen
    if seen is None:
        return None
    if seen.version is None or not node.vm_versions:
        return Untold(f"which configuration versions {node.name} runs was not told")
    if seen.version in node.vm_versions:
        return None
    return f"{node.name} does not run configuration version {seen.version}"


def volume(ask: Ask) -> Finding:
    """Cluster shared volumes that the VM is on."""
    node = _node(ask)
    if not node.volumes_lost:
        return None
    lost = tuple(fold(path) + "\\" for path in node.volumes_lost)
    if ask.seen is not None:
        paths: tuple[str, ...] = (ask.seen.configuration_path, *ask.seen.disk_paths)
    else:
        paths = (ask.want.template.location,) if ask.want.template is not None else ()
    if not any((fold(path) + "\\").startswith(lost) for path in paths):
        return None
    return f"{node.name} can't use {', '.join(node.volumes_lost)}"


def gpu_partition(ask: Ask) -> Finding:
    """One partition of a GPU, between nodes of Windows Server 2025."""
    seen, node, source = ask.seen, _node(ask), _source(ask)
    if seen is None or source is None or not seen.gpu_partitions:
        return None
    if seen.gpu_partitions > 1:
        return f"it has {seen.gpu_partitions} GPU partitions"
    old = [n.name for n in (source, node) if (n.build or 0) < SERVER_2025]
    return (
        f"it has a GPU partition, and {', '.join(old)} is no Windows Server 2025" if old else None
    )


def anti_affinity(ask: Ask) -> Finding:
    """Another role of one of its classes is there, or on its way there."""
    return _met(ask, Apart.CLASS)


def affinity_rule(ask: Ask) -> Finding:
    """Another role is there, or on its way there, that a rule of the cluster keeps apart from it.

    That the node is of the same fault domain as such a role is for the cluster to refuse: which
    domains it has is not read.
    """
    return _met(ask, Apart.RULE)


def _met(ask: Ask, kind: Apart) -> Finding:
    node, seen, around = _node(ask), ask.seen, ask.around
    for group in around.apart.get(seen.id, ()) if seen is not None and around.apart else ():
        there = around.places[group].get(fold(node.name), ())
        if group[0] is kind and any(seen is None or vm_id != seen.id for vm_id in there):
            return f"another VM of {kind} {group[1]} is on {node.name}"
    return None


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


def _source(ask: Ask) -> NodeObserved | None:
    """The node that runs it now, unless that is the one asked about."""
    if ask.seen is None or ask.seen.host is None:
        return None
    source = ask.around.nodes.get(fold(ask.seen.host))
    return None if source is None or source.name == _node(ask).name else source


def _model(node: NodeObserved) -> str | None:
    """Family and model; the stepping after them makes no other features that Windows asks for."""
    if node.processor_family is None:
        return None
    return node.processor_family.partition(" Stepping")[0]


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
