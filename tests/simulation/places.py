"""Which declared VMs could be where they belong and are not: by the truth and the specs alone."""

from collections import Counter

from controller.simulator.inventory import VirtualMachine
from controller.simulator.states import VmState
from tests.simulation.checker import Checker
from tests.simulation.pace_rules import DAY_SECONDS, MOVES_A_DAY
from tests.simulation.wants import Want


def out_of_place(checker: Checker) -> list[str]:
    """Declared VMs that could be where they belong and are not, by the truth: in words."""
    return [words for words, _ in _displaced(checker)]


def discontent(checker: Checker) -> dict[str, str]:
    """Id -> node of each VM that is not where its spec wants it, whether or not it could be."""
    return {
        vm_id: vm.node
        for want in checker.wants.values()
        for vm_id in sorted(checker.meant(want))
        if (vm := checker.world.cluster.vms.get(vm_id)) and not want.is_content_on(vm.node)
    }


def rest_for_a_day(checker: Checker) -> bool:
    """Whether each of them was moved by us so often today that it may not be moved again."""
    day = checker.world.now - DAY_SECONDS
    worn = Counter(o.vm_id for o in checker.orders if o.landed and (o.ended_seconds or 0.0) > day)
    return all(worn[vm_id] >= MOVES_A_DAY for _, vm_id in _displaced(checker))


def _displaced(checker: Checker) -> list[tuple[str, str | None]]:
    found: list[tuple[str, str | None]] = []
    for want in checker.wants.values():
        ids = checker.meant(want)
        vm = next((checker.world.cluster.vms.get(i) for i in sorted(ids)), None)
        if want.suspended or _is_frozen(checker, want):
            continue
        if vm is None:
            found.extend([(want.spec, None)] if _could_be_made(checker, want) else ())
            continue
        clustered = vm.id in checker.world.cluster.roles
        shared = vm.path.lower().startswith("c:\\clusterstorage\\")
        rests = vm.state in (VmState.Running, VmState.Off)
        if want.registers and not clustered and shared and rests:
            found.append((want.spec, vm.id))
        # Who made a VM highly available whose files lie on one node made it stay there.
        runs = vm.state is VmState.Running and clustered and shared
        runs = runs and all(disk.physical_disk is None for disk in vm.disks)
        if runs and want.movable and _could_be_better(checker, want, vm):
            found.append((f"{want.spec} on {vm.node}", vm.id))
    return found


def _is_frozen(checker: Checker, want: Want) -> bool:
    """Whether which VM it means is not clear, so that nothing may be done about it."""
    named = [v for v in checker.world.cluster.vms.values() if v.name.lower() == want.name]
    ids = {v.id for v in named}
    jobs = [o.job for o in checker.orders if o.job is not None]
    if any(job.state != "Succeeded" and job.vm_id in ids for job in jobs):
        return True  # what is left of a creation that broke off is for a person to judge
    made = {job.vm_id for job in jobs}
    meant = checker.meant(want)
    return len(ids | meant) > 1 or bool(want.creates and ids and not ids & (made | meant))


def _could_be_better(checker: Checker, want: Want, vm: VirtualMachine) -> bool:
    """Whether a node where it would be right, or more so, has room for it."""
    if want.is_content_on(vm.node):
        return False
    nodes = [n for n in checker.world.cluster.nodes if want.is_better(n, than=vm.node)]
    role = checker.world.role(vm.id)
    allowed = {node.lower() for node in role.possible} & {
        node.lower() for node in role.possible_configuration
    }
    return any(
        _has_room(checker, node, vm.memory_held_bytes) for node in nodes if node.lower() in allowed
    )


def _could_be_made(checker: Checker, want: Want) -> bool:
    """Whether it is to be created, and a node where it would be right has room for it."""
    return want.creates and any(
        _has_room(checker, node, want.startup_bytes)
        for node in checker.world.cluster.nodes
        if not want.breaks_a_rule_on(node)
    )


def _has_room(checker: Checker, node: str, needed_bytes: int) -> bool:
    reserve = checker.limits.reserve(checker.world.node(node).memory_bytes)
    return checker.world.memory_free_bytes(node) - reserve >= needed_bytes
