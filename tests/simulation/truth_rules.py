"""What must be true in the world: when a command takes effect, at each event, and in the end."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from controller.model.names import same_name
from controller.model.plan import Verdict
from controller.model.report import ClusterReport
from controller.simulator.cluster_cmdlets import SET_GROUP_PROPERTY
from controller.simulator.states import Cause, GroupState, VmState
from tests.simulation.orders import Leg, Order

if TYPE_CHECKING:
    from tests.simulation.checker import Checker

Found = Iterator[str]

CHANGING = frozenset(
    {
        "Move-ClusterVirtualMachineRole",
        "Add-ClusterVirtualMachineRole",
        "Set-ClusterParameter",
        "Set-ClusterOwnerNode",
        "Set-VMHost",
        "Suspend-ClusterNode",
        "Resume-ClusterNode",
        SET_GROUP_PROPERTY,
        "Start-ClusterGroup",
        "New-VM",
        "Set-VM",
        "Set-VMMemory",
        "Set-VMProcessor",
        "New-VHD",
        "Add-VMHardDiskDrive",
        "Add-VMDvdDrive",
        "Set-VMDvdDrive",
        "Set-VMNetworkAdapterVlan",
        "Set-VMFirmware",
    }
)
"""The only cmdlets with which the controller may change anything."""
REPORT_LOOKS = 2


# ---- when a command takes effect


def conditions_held(c: "Checker", order: Order) -> Found:
    """I3: at the instant of the effect, everything that it was planned from was still so.

    Judged whenever a node acted, also where the cluster then refused: its refusal is no guard of
    ours, and leaves the outcome unknown.
    """
    if order.is_on_node:  # upkeep_rules
        return
    before, what = c.before(order), c.what(order)
    move, start = order.kind == "moveRole", order.kind == "startRole"
    create, register = order.kind == "createVm", order.kind == "registerVm"
    on_role = move or start or order.kind == "setRole"
    faults = (
        (on_role and not same_name(before.owner, order.source), f"owner {before.owner}"),
        (move and before.state is not VmState.Running, f"{before.state}"),
        (start and before.state is not VmState.Off, f"{before.state}"),
        (register and before.state not in (VmState.Running, VmState.Off), f"{before.state}"),
        (move and before.group is not GroupState.Online, f"{before.group}"),
        (start and before.group is not GroupState.Offline, f"{before.group}"),
        (on_role and before.is_locked, "locked"),
        (not create and before.is_busy, "busy"),
        (not create and before.in_flight, "in flight"),
        (register and before.is_clustered, "clustered already"),
        ((move or create or register) and not before.target_is_up, f"{order.target} is not Up"),
        ((move or create) and before.target_is_avoided, f"{order.target} is to be avoided"),
        (move and not before.target_is_possible, f"{order.target} is no possible owner"),
        (create and order.name in before.names_here, "the name is taken"),
        (create and not before.has_space, "the volume is full"),
        (create and before.folder_exists, "the folder exists"),
        (create and order.name in before.names_of_roles, "the role exists"),
        (register and before.role_name_is_taken, "the name of the role is taken"),
    )
    yield from (f"{what} was acted on: {why}" for bad, why in faults if bad)


def with_quorum(c: "Checker", order: Order) -> Found:
    """I12: nothing of the cluster changes in a minority.

    A creation is the node's own work, as its folders are; a registration is refused by the cluster
    when its job comes to it. So only what the cluster accepts at once is judged here.
    """
    before = c.before(order)
    own = ("createVm", "registerVm", "setFolders", "setProcessor")
    if order.kind in own or not order.accepted:
        return
    if not before.has_quorum or not before.source_is_in_contact:
        yield f"{c.what(order)} took effect without quorum"


def once(c: "Checker", order: Order) -> Found:
    """I21: one intent has one effect."""
    if order.accepted > 1:
        yield f"{c.what(order)} took effect {order.accepted} times"
    intent = order.call.arguments["intent"]
    same = [o for o in c.orders if o.call.arguments["intent"] == intent and o.accepted]
    if len(same) > 1:
        yield f"{c.what(order)}: {len(same)} commands of one intent took effect"


def guests_run_on(c: "Checker", order: Order) -> Found:
    """I25: no guest stops or starts anew by what we do."""
    for vm_id, since in c.before(order).running.items():
        vm = c.world.cluster.vms.get(vm_id)
        if since is not None and (vm is None or vm.running_since != since):
            yield f"{c.what(order)} stopped {c.name_of(vm_id)}"


# ---- at each event of the world


def one_open(c: "Checker", _: object) -> Found:
    """I1: at most one change of ours is under way on a VM."""
    open_ = Counter(o.vm_id or o.name or o.source for o in c.orders if o.leg is Leg.UNDER_WAY)
    yield from (f"{n} changes of {c.name_of(vm)} at once" for vm, n in open_.items() if n > 1)


def limits_kept(c: "Checker", _: object) -> Found:
    """I7: moves of ours at once, but for those that came later than anybody waits for them."""
    late = {
        o.vm_id
        for o in c.orders
        if (o.arrived_seconds or 0.0) - o.at_seconds >= c.limits.settle_seconds
    }
    flights = [
        flight
        for vm_id, flight in c.world.cluster.migrations.items()
        if flight.cause is Cause.CONTROLLER and vm_id not in late
    ]
    if len(flights) > c.limits.per_cluster:
        yield f"{len(flights)} moves of ours in the cluster"
    ends = Counter(node.lower() for flight in flights for node in (flight.source, flight.target))
    for node, there in ends.items():
        if there > c.limits.per_node:
            yield f"{there} moves of ours at {node}"


def holds_the_cluster(c: "Checker", order: Order) -> Found:
    """I5: what takes effect was ordered by whom the cluster shows as its holder, then and there."""
    arguments, shown = order.call.arguments, c.world.cluster.parameters
    held = [shown[name][1] for name in ("ownernodeepoch", "ownernodeholder") if name in shown]
    if held != [arguments.get("epoch"), arguments.get("holder")]:
        yield f"{order.kind} of epoch {arguments.get('epoch')} took effect under {held}"


def own_verbs(c: "Checker", _: object) -> Found:
    """I4: the cmdlets that ran are ours."""
    for command in c.world.commands[c.commands_seen :]:
        if command.cmdlet not in CHANGING:
            yield f"{command.cmdlet} ran on {command.node}"
    c.commands_seen = len(c.world.commands)


# ---- at each report


def judges_agree(c: "Checker", report: ClusterReport) -> Found:
    """A1: the audit finds nothing, or the planner made a plan that it should not have made."""
    yield from (f"{finding.rule}: {finding.detail}" for finding in report.audit)


def explained(c: "Checker", report: ClusterReport) -> Found:
    """L4: every declared VM has one verdict; one that is not in place has a reason or an action."""
    verdicts = Counter(vm.key for vm in report.vms)
    yield from (f"{key} has {n} verdicts" for key, n in verdicts.items() if n > 1)
    acting = {action.key for action in report.plan.actions}
    at_ease = (Verdict.SETTLED, Verdict.MOVING, Verdict.CREATING, Verdict.REGISTERING)
    at_ease = (*at_ease, Verdict.CONFIGURING)
    for vm in report.vms:
        if vm.verdict in (*at_ease, Verdict.STARTING) or vm.key in acting or vm.hold is not None:
            continue
        impossible = any(vm.vm in wish.vms for wish in report.plan.impossible)
        if not impossible:
            yield f"{vm.vm} is {vm.verdict} without a reason"


def drift_is_told(c: "Checker", report: ClusterReport) -> Found:
    """L10: what others moved is told as soon as every node has answered since."""
    shown = list(c.evidence.current())
    if len(shown) < len(c.world.cluster.nodes) or any(s.stale for s in shown):
        return
    began = min(s.made_seconds for s in shown)
    told = {vm.vm_id: vm for vm in report.vms}
    restless = {vm_id for s in shown for vm_id in s.note.flights}
    for move in c.foreign:
        vm, row = c.world.cluster.vms.get(move.vm_id), told.get(move.vm_id)
        last = c.world.moves[move.vm_id][-1].at_seconds
        if vm is None or row is None or last > move.at_seconds or last >= began:
            continue
        rests = move.vm_id not in restless and move.vm_id not in c.world.cluster.migrations
        role = c.world.cluster.roles.get(vm.id)
        rests = rests and vm.state is VmState.Running and not (role and role.failing_over)
        if rests and vm.unlisted_until is None and not same_name(row.owner, vm.node):
            yield f"{vm.name}, on {vm.node} since {last}, is told to be on {row.owner}"


# ---- in the end


def journal_is_true(c: "Checker", _: object) -> Found:
    """I21 and L2: no intent is open, and each effect has the intent that ordered it."""
    entries = c.intents()
    for entry in entries.values():
        if entry.state == "Open":
            yield f"the intent {entry.kind} {c.name_of(entry.vm_id)} -> {entry.target} is open"
    if c.journal_life:
        return
    ordered = Counter((e.vm_id, e.target.lower()) for e in entries.values() if e.kind == "Move")
    effects = Counter((vm_id, target.lower()) for vm_id, _, target in c.moved_by_us)
    for (vm_id, target), times in effects.items():
        if times > ordered[vm_id, target]:
            yield f"{c.name_of(vm_id)} was moved to {target} {times} times by us: more than ordered"
