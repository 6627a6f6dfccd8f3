"""What must be true when a command leaves the controller, by what it had been shown until then."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.simulation.evidence import (
    AT_REST,
    LOCKED,
    MIGRATING,
    NO_TARGET,
    OFF,
    OFFLINE,
    ONLINE,
    RUNNING,
    UP,
)
from tests.simulation.orders import Leg, Order, read_intent

if TYPE_CHECKING:
    from tests.simulation.checker import Checker

GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ARGUMENTS = {
    "moveRole": {"intent", "epoch", "holder", "vmId", "source", "target"},
    "startRole": {"intent", "epoch", "holder", "vmId", "node"},
    "registerVm": {"intent", "epoch", "holder", "vmId", "node"},
    "createVm": {"intent", "epoch", "holder", "node", "name", "template"},
    "setRole": {"intent", "epoch", "holder", "vmId", "node", "setting", "before", "after"},
    "setProcessor": {"intent", "epoch", "holder", "vmId", "node"},
    "suspendNode": {"intent", "epoch", "holder", "node"},
    "resumeNode": {"intent", "epoch", "holder", "node"},
    "setFolders": {"intent", "epoch", "holder", "node", "before", "folder"},
}
LOOKS_BEFORE_ACTING = 2
EXACT_SECONDS = 0.001
"""Times in the world are floats."""
CREATED_LOOKS = 2
DARK_SHARE, UNKNOWN_SHARE = 0.25, 0.10

Found = Iterator[str]


def one_at_a_time(c: "Checker", order: Order) -> Found:
    """I2: nothing else of ours is unresolved on the VM, and no migration of it had been shown."""
    for other in c.others_of(order):
        if other.leg is Leg.UNDER_WAY:
            yield f"{c.what(order)}, and {c.what(other)} is under way since {other.at_seconds}"
        fresh = order.at_seconds - other.at_seconds < c.limits.settle_seconds
        fresh = fresh and c.clock_jumped_seconds < other.at_seconds
        if other.leg is Leg.TRAVELLING and fresh and other.life == c.journal_life:
            yield f"{c.what(order)}, and {c.what(other)} has not arrived yet"
    shown = c.evidence.last(order.source)
    flight = shown.note.flights.get(order.vm_id or "") if shown is not None else None
    if flight is not None and c.evidence.shows_move(order.vm_id):
        yield f"{c.what(order)}, and it had been shown in flight"


def known_verbs(c: "Checker", order: Order) -> Found:
    """I4: an operation of the protocol, with its own parameters and no others."""
    if set(order.call.arguments) - {"accepts"} != ARGUMENTS.get(order.kind):
        yield f"{order.kind} with {sorted(order.call.arguments)}"


def by_guid(c: "Checker", order: Order) -> Found:
    """I6: the VM is named by its id, and one spec means it."""
    if order.kind == "createVm" or order.is_on_node:
        return
    if not GUID.fullmatch(order.vm_id or ""):
        yield f"{order.kind} names its VM {order.vm_id!r}"
    specs = {want.spec for want in c.wants_then(order)}
    if len(specs) > 1:
        yield f"{c.what(order)}, which {', '.join(sorted(specs))} mean"


def within_limits(c: "Checker", order: Order) -> Found:
    """I7: at each end and in the cluster there is a free slot, the moves of others counted."""
    if order.kind != "moveRole":
        return
    shown = [s for n in (order.source, order.target) if (s := c.evidence.last(n)) is not None]
    flights = {
        vm_id: flight
        for look in shown
        for vm_id, flight in look.note.flights.items()
        if _is_ours(c, vm_id) or c.evidence.shows_move(vm_id)
    }
    ends = [
        {flight.source.lower(), flight.target.lower()}
        for vm_id, flight in flights.items()
        if c.world.cluster.migrations.get(vm_id) is flight
    ]
    for other in c.orders:
        old = order.at_seconds - other.at_seconds >= c.limits.settle_seconds
        travels = other.leg is Leg.TRAVELLING and not old and other.life == c.journal_life
        under_way = other.leg is Leg.UNDER_WAY and other.vm_id not in flights
        if other is not order and other.kind == "moveRole" and (travels or under_way):
            ends.append({other.source.lower(), other.target.lower()})
    for node in (order.source, order.target):
        there = sum(node.lower() in pair for pair in ends) + 1
        if there > _node_limit(c, node):
            yield f"{c.what(order)} makes {there} moves at {node}"
    if len(ends) + 1 > c.limits.per_cluster:
        yield f"{c.what(order)} makes {len(ends) + 1} moves in the cluster"


def fresh(c: "Checker", order: Order) -> Found:
    """I9: both ends were asked within the age that evidence may have."""
    for node in {order.source, order.target}:
        asked = c.evidence.asked.get(node.lower())
        if asked is None or order.at_seconds - asked > c.limits.age_seconds:
            yield f"{c.what(order)}, and {node} was asked at {asked}"


def after_our_last_effect(c: "Checker", order: Order) -> Found:
    """I10: what is known of the VM began after our last command on it had its effect."""
    shown = c.evidence.last(order.source)
    ended = max(
        (o.ended_seconds for o in c.others_of(order) if o.ended_seconds is not None), default=None
    )
    if ended is None or shown is None or shown.stale:
        return
    if shown.made_seconds < ended:
        yield f"{c.what(order)}, seen at {shown.made_seconds}, changed by us at {ended}"


def both_agree(c: "Checker", order: Order) -> Found:
    """I11: cluster and hypervisor agree on the owner, and both ends had answered."""
    source, target = c.evidence.last(order.source), c.evidence.last(order.target)
    if source is None or target is None:
        silent = order.source if source is None else order.target
        yield f"{c.what(order)}, and {silent} had not answered"
        return
    if order.kind == "createVm" or order.is_on_node:
        return
    if source.vm(order.vm_id) is None:
        yield f"{c.what(order)}, which that node did not list"
    role = source.role(order.vm_id)
    if order.kind in ("moveRole", "startRole", "setRole") and role is None:
        yield f"{c.what(order)}, whose role that node did not own"
    hosts = [h for h in c.evidence.hosts(order.vm_id) if h.lower() != order.source.lower()]
    if hosts and not source.note.flights.get(order.vm_id or ""):
        yield f"{c.what(order)}, which {', '.join(hosts)} listed too"


def has_room(c: "Checker", order: Order) -> Found:
    """I13: what the target had free, less all that is on its way to it, leaves the reserve."""
    if order.kind not in ("moveRole", "startRole"):
        return
    shown, target = c.evidence.last(order.target), c.world.cluster.node(order.target)
    vm = c.world.cluster.vms.get(order.vm_id or "")
    if shown is None or target is None or vm is None or shown.stale:
        return
    room = shown.data["self"]["memoryAvailableBytes"]
    for vm_id in _inbound(c, order, target.name):
        coming = c.world.cluster.vms.get(vm_id)
        if coming is not None and vm_id not in shown.note.holding:
            room -= coming.memory_needed_bytes
    listed = c.evidence.last(order.source)
    seen = listed.vm(order.vm_id) if listed is not None else None
    needs = (seen or {}).get("memoryAssignedBytes") or vm.memory_startup_bytes
    if room - needs < c.limits.reserve(target.memory_bytes):
        yield f"{c.what(order)} leaves {(room - needs) / 2**30:.1f} GiB on {target.name}"


def at_rest(c: "Checker", order: Order) -> Found:
    """I11, state: what was shown of VM and role allows this command."""
    shown = c.evidence.last(order.source)
    vm, role = (shown.vm(order.vm_id), shown.role(order.vm_id)) if shown else (None, None)
    if vm is None:
        return
    allowed = {"moveRole": (RUNNING,), "startRole": (OFF,), "registerVm": (RUNNING, OFF)}
    allowed["setProcessor"] = (OFF,)
    if vm["state"] not in allowed.get(order.kind, (vm["state"],)):
        yield f"{c.what(order)}, shown in state {vm['state']}"
    busy = [s for s in vm["status"] if s not in AT_REST | MIGRATING]
    if busy:
        yield f"{c.what(order)}, shown busy with {busy}"
    if order.kind == "registerVm":
        if role is not None or vm["clustered"]:
            yield f"{c.what(order)}, shown as clustered"
        return
    if role is None:
        return
    if role["status"] & LOCKED or role["locked"]:
        yield f"{c.what(order)}, shown locked"
    wanted = {"moveRole": ONLINE, "startRole": OFFLINE}.get(order.kind, role["state"])
    if role["state"] != wanted:
        yield f"{c.what(order)}, its role shown in state {role['state']}"
    disks = vm["equipment"]["disks"] if vm["equipment"] else []
    if order.kind == "moveRole" and any(d["diskNumber"] is not None for d in disks):
        yield f"{c.what(order)}, shown with a pass-through disk"


def target_takes(c: "Checker", order: Order) -> Found:
    """I15: the target was shown Up and willing, and both spec and cluster allow it."""
    view = c.evidence.view_of(order.target)
    if view is not None and order.kind != "resumeNode":
        if view["state"] != UP or view["drain"]:
            yield f"{c.what(order)}: {order.target} shown as {dict(view)}"
        takes = order.kind in ("moveRole", "createVm", "setRole") or order.is_on_node
        if takes and view["status"] & NO_TARGET:
            yield f"{c.what(order)}: {order.target} shown as {dict(view)}"
    role = c.role_shown(order)
    if order.kind == "moveRole" and role is not None:
        for owners in (role["possibleOwners"]["machine"], role["possibleOwners"]["configuration"]):
            if order.target.lower() not in {node.lower() for node in owners}:
                yield f"{c.what(order)}: the cluster allows {owners}"


def spaced(c: "Checker", order: Order) -> Found:
    """I17: two moves of one VM lie apart; a hop and its return count once."""
    if order.kind != "moveRole":
        return
    done = [
        o
        for o in c.others_of(order)
        if o.kind == "moveRole" and o.shown and o.life == c.journal_life
    ]
    if not done or done[-1].ended_seconds is None:
        return
    hops = 0
    for other in reversed(done):
        if not other.hop:
            break
        hops += 1
    gap = order.at_seconds - done[-1].ended_seconds
    if c.clock_jumped_seconds > done[-1].ended_seconds:
        return
    if gap < c.limits.cooldown_seconds - EXACT_SECONDS and hops % 2 == 0:
        yield f"{c.what(order)}, {gap:.1f} s after {c.what(done[-1])}"


def not_held(c: "Checker", order: Order) -> Found:
    """I19 and I32: nothing forbids acting at all."""
    if c.limits.mode != "Enforce":
        yield f"{c.what(order)} in mode {c.limits.mode}"
    if c.limits.unfit:
        yield f"{c.what(order)}, and a check of the nodes failed"
    if c.disk_is_full:
        yield f"{c.what(order)} while the journal's disk is full"
    nodes = len(c.world.cluster.nodes)
    dark = c.evidence.dark()
    if len(dark) > DARK_SHARE * nodes:
        yield f"{c.what(order)} while {', '.join(dark)} were dark"
    unknown = _unknown(c)
    if len(unknown) > UNKNOWN_SHARE * max(len(c.wants), 1):
        yield f"{c.what(order)} while {len(unknown)} VMs were unknown"
    if c.journal_is_new and c.looks_quiet < LOOKS_BEFORE_ACTING:
        yield f"{c.what(order)} after {c.looks_quiet} looks, with an empty journal"
    for shown in c.evidence.current():
        balancing = shown.data["cluster"]["balancerMode"] != 0
        if balancing and c.limits.balancer == "Refuse":
            yield f"{c.what(order)} while the balancer was shown on"


def durable(c: "Checker", order: Order) -> Found:
    """I20: another process finds the intent in the journal's file."""
    if read_intent(c.journal, str(order.call.arguments.get("intent"))) is None:
        yield f"{c.what(order)} without an intent in the journal"


def managed(c: "Checker", order: Order) -> Found:
    """I22, I23, I26: a spec in force means this VM alone, and does not freeze it."""
    if order.is_on_node:
        return
    wants = c.wants_then(order)
    if not wants:
        yield f"{c.what(order)}, which no spec names"
    if wants and all(want.suspended for want in wants):
        yield f"{c.what(order)}, which is suspended"
    if order.kind == "moveRole" and wants and not any(want.movable for want in wants):
        yield f"{c.what(order)}, which is never to be migrated"
    if order.kind == "registerVm" and wants and not any(want.registers for want in wants):
        yield f"{c.what(order)}, which is not to be registered"
    if order.kind == "createVm" and wants and not any(want.creates for want in wants):
        yield f"{c.what(order)}, which is not to be created"
    if order.kind == "startRole" and wants and not any(want.starts for want in wants):
        yield f"{c.what(order)}, which is not to be started"
    vm = c.world.cluster.vms.get(order.vm_id or "")
    for want in wants:
        twins = {
            other["id"]
            for shown in c.evidence.current()
            for other in shown.data["vms"]
            if want.name is not None and other["name"].lower() == want.name
        }
        if vm is not None and len(twins | {vm.id}) > 1:
            yield f"{c.what(order)}, one of {len(twins)} twins"


def surely_absent(c: "Checker", order: Order) -> Found:
    """I24: two complete views had shown no such VM."""
    if order.kind != "createVm":
        return
    for node in c.world.cluster.nodes:
        kept = c.evidence.shown.get(node, [])
        if len(kept) < CREATED_LOOKS or c.evidence.last(node) is None:
            yield f"{c.what(order)}, and {node} had answered {len(kept)} times"
        elif any(order.name in shown.names() for shown in kept):
            yield f"{c.what(order)}, which {node} had shown"


def wanted_there(c: "Checker", order: Order) -> Found:
    """I27: the target is where some spec in force wants it, or a stop that a hard rule needs."""
    if order.kind not in ("moveRole", "createVm"):
        return
    wants = c.wants_then(order)
    if wants and not any(want.allows(order.target) for want in wants):
        yield f"{c.what(order)}, outside its possible nodes"
    if any(u.node == order.source.lower() for us in c.upkeeps_since(0.0) for u in us):
        return  # its specs count otherwise while a node is to be empty
    if order.kind == "createVm" or order.hop or not wants:
        return
    better = any(
        want.rank(order.target) < want.rank(order.source)
        or want.broken_on(order.target) < want.broken_on(order.source)
        for want in wants
    )
    if not better and not _someone_needs_room(c, order):
        yield f"{c.what(order)}, which is no better for it"


def respected(c: "Checker", order: Order) -> Found:
    """R1: what others moved stays for the respect time."""
    if order.kind not in ("moveRole", "setRole"):
        return
    for move in reversed(c.foreign):
        if move.vm_id != order.vm_id or move.shown_seconds is None or not move.live:
            continue
        later_ours = any(
            o.landed and o.kind != "setRole" and (o.ended_seconds or 0) > move.at_seconds
            for o in c.others_of(order)
        )
        here = move.target.lower() == order.source.lower()
        waited = order.at_seconds - move.shown_seconds
        if c.clock_jumped_seconds > move.at_seconds:
            return
        respect = waited < c.limits.respect_seconds - EXACT_SECONDS
        if move.known and here and respect and not later_ours and not _node_failed(c, move.source):
            yield f"{c.what(order)}, moved there by others at {move.at_seconds}"
        return


def on_shared_volumes(c: "Checker", order: Order) -> Found:
    """R2 (H42): a VM that is not wholly on cluster shared volumes is not registered."""
    shown = c.evidence.last(order.source)
    vm = shown.vm(order.vm_id) if shown is not None else None
    if order.kind != "registerVm" or vm is None:
        return
    mounts = tuple(f"{volume.mount.lower()}\\" for volume in c.world.cluster.volumes)
    equipment = vm["equipment"]
    if equipment is None:
        yield f"{c.what(order)}, whose storage was not shown"
        return
    paths = [equipment[name] for name in ("configurationPath", "checkpointPath", "pagingPath")]
    paths += [disk["path"] for disk in equipment["disks"]]
    if not all(f"{path}\\".lower().startswith(mounts) for path in paths if path):
        yield f"{c.what(order)}, which lies on {paths}"


# ---- helpers


def _is_ours(c: "Checker", vm_id: str) -> bool:
    """Whether a command of ours is under way on the VM."""
    return any(o.vm_id == vm_id and o.leg is Leg.UNDER_WAY for o in c.orders)


def _node_limit(c: "Checker", node: str) -> int:
    own = c.world.cluster.node(node)
    cluster = c.world.cluster.migrations_max
    assert own is not None
    return min(c.limits.per_node, own.migrations_max if cluster is None else cluster)


def _inbound(c: "Checker", order: Order, node: str) -> set[str]:
    """VMs on their way to a node: by what was shown, and by what we have sent since."""
    shown = c.evidence.last(node)
    flights = shown.note.flights if shown is not None else {}
    coming = {vm for vm, flight in flights.items() if flight.target.lower() == node.lower()}
    for other in c.orders:
        old = order.at_seconds - other.at_seconds >= c.limits.settle_seconds
        alive = other.leg is Leg.UNDER_WAY or (other.leg is Leg.TRAVELLING and not old)
        if other is order or not alive or other.life != c.journal_life or other.vm_id is None:
            continue
        if other.kind in ("moveRole", "startRole") and other.target.lower() == node.lower():
            coming.add(other.vm_id)
    coming.discard(order.vm_id or "")
    return coming


def _unknown(c: "Checker") -> list[str]:
    """Declared VMs that exist and that no answering node had listed."""
    listed = {vm["id"] for shown in c.evidence.current() for vm in shown.data["vms"]}
    in_flight = set(c.world.cluster.migrations)
    in_flight |= {vm for shown in c.evidence.current() for vm in shown.note.flights}
    return [
        want.spec
        for want in c.wants.values()
        if not want.suspended
        and any(
            vm_id not in listed and vm_id not in in_flight and vm_id in c.world.cluster.vms
            for vm_id in c.meant(want)
        )
    ]


def _someone_needs_room(c: "Checker", order: Order) -> bool:
    """Whether a declared VM is where a hard rule forbids it, so that others may make room."""
    return any(
        want.breaks_a_rule_on(vm.node)
        for want in c.wants.values()
        for vm_id in c.meant(want)
        if (vm := c.world.cluster.vms.get(vm_id)) is not None and vm_id != order.vm_id
    )


def _node_failed(c: "Checker", node: str) -> bool:
    """Whether the node that a VM left is, or was a moment ago, not a healthy member."""
    found = c.world.cluster.node(node)
    return found is None or found.lost_at is not None or bool(found.bad_leaves)
