"""What all nodes said, put together into one snapshot; pure.

The reads are some moments apart, so a VM in flight may show on two nodes or on none, and a role on
its old owner or its new one. Such a view is passed on as it is: host and owner differ, and nobody
acts on that VM. Only what two nodes say of the same thing at rest, and say differently, is a gap.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from controller.adapters.winrm.parsing import (
    ClusterFacts,
    EquipmentFacts,
    FenceFacts,
    HardwareFacts,
    ListedRole,
    ListedVolume,
    Lists,
    NodeReply,
    NodeView,
    RoleFacts,
    VMFacts,
)
from controller.adapters.winrm.states import (
    DVD_PHYSICAL,
    FAILBACK_IN_PROGRESS,
    MIGRATION_PHASES,
    NODE_AVOIDED,
    NODE_ISOLATED,
    NODE_QUARANTINED,
    NODE_STATES,
    REPLICATION_REPLICA,
    ROLE_LOCKED,
    ROLE_QUEUED,
    ROLE_STATES,
    ROLE_UNMONITORED,
    STATUS_ARRIVING,
    STATUS_MIGRATING,
    SWITCH_EXTERNAL,
    VM_STATES,
    busy_name,
)
from controller.adapters.winrm.volumes import lost_mounts, redirected_mounts
from controller.model.names import fold, same_name
from controller.model.observed import (
    Gap,
    GapReason,
    Migration,
    MigrationPhase,
    NodeObserved,
    NodeState,
    ObservedState,
    Role,
    RoleState,
    VMObserved,
    VMState,
    Volume,
)

ROLE_UNSEEN = "RoleUnseen"
"""Busy word of a VM that its host calls clustered and whose role nobody showed: just changing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One node's reply, and when its read began."""

    reply: NodeReply
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Everything that one look at a cluster brought."""

    cluster: str
    cluster_id: str
    started_at: datetime
    completed_at: datetime
    seen: tuple[Seen, ...]
    gaps: tuple[Gap, ...]
    lists: Lists | None
    """As two nodes agreed on them; None when they did not, or none was read."""
    vm_of_role: Mapping[str, str]
    """Role id -> VM id, as far as ever seen: an owner that is silent now can't tell."""
    nodes_before: tuple[str, ...]
    """Nodes of an earlier look, for when nobody answers."""


def merge(look: Look) -> ObservedState:
    """Put one snapshot together; the order of the replies is of no importance."""
    seen = tuple(sorted(look.seen, key=lambda s: fold(s.reply.node)))
    views, contradictions = agree_on_nodes(s.reply for s in seen)
    nodes = _nodes(views, seen, look.lists) or tuple(
        NodeObserved(name=name, state=NodeState.UNKNOWN, answered=False)
        for name in sorted(look.nodes_before, key=fold)
    )
    gaps = {(fold(g.node), g.reason): g for g in (*look.gaps, *contradictions)}
    for node in nodes:
        told = any(name == fold(node.name) for name, _ in gaps)
        if is_asked(node.state, isolated=node.isolated) and not node.answered and not told:
            gap = Gap(node=node.name, reason=GapReason.UNREACHABLE, detail="was not asked in time")
            gaps[fold(node.name), gap.reason] = gap
    cluster = _cluster_facts(s.reply.cluster for s in seen)
    fence = _agreed_fence(look, nodes)
    hardware = [s.reply.own.hardware for s in seen if s.reply.own.hardware is not None]
    limits = [facts.migrations_max for facts in hardware]
    thresholds = [f.move_type_threshold for f in hardware if f.move_type_threshold is not None]
    return ObservedState(
        cluster=look.cluster,
        cluster_id=look.cluster_id,
        started_at=look.started_at,
        completed_at=look.completed_at,
        nodes=nodes,
        vms=_vms(seen, look),
        volumes=_volumes(look.lists.volumes if look.lists else ()),
        gaps=tuple(gaps[key] for key in sorted(gaps)),
        jobs=tuple(
            sorted((j for s in seen for j in s.reply.jobs), key=lambda j: (j.intent, fold(j.node)))
        ),
        migrations_parallel_max=cluster.migrations_parallel_max or min(limits, default=None),
        balancer_mode=cluster.balancer_mode,
        balancer_level=cluster.balancer_level,
        anti_affinity_enforced=cluster.anti_affinity_enforced,
        affinity_rules=look.lists.affinity if look.lists else (),
        move_type_threshold=max(thresholds, default=None),
        functional_level=cluster.functional_level,
        epoch=fence.epoch,
        epoch_holder=fence.holder,
        # Forbidding is believed of any node: to stop for nothing harms less than to go on.
        stop_flag=next((s.reply.fence.stop for s in seen if s.reply.fence.stop), None),
    )


def is_asked(state: NodeState, *, isolated: bool) -> bool:
    """Whether a node's own word is needed: one that is down or joining runs nothing.

    An isolated node has lost the cluster and may still run its VMs (Microsoft docs, VM compute
    resiliency).
    """
    return isolated or state not in (NodeState.DOWN, NodeState.JOINING)


def agree_on_nodes(
    replies: Iterable[NodeReply],
) -> tuple[dict[str, NodeView], tuple[Gap, ...]]:
    """The nodes by folded name as all see them; where they differ, the worse of it and a gap."""
    by_name: dict[str, list[NodeView]] = {}
    count = 0
    for reply in replies:
        count += 1
        for view in reply.nodes:
            by_name.setdefault(fold(view.name), []).append(view)
    agreed: dict[str, NodeView] = {}
    gaps = []
    for name, views in sorted(by_name.items()):
        # That a failback is over is seen by one a moment before the other: nobody contradicts.
        returning = FAILBACK_IN_PROGRESS in {v.failback for v in views}
        first = replace(views[0], failback=FAILBACK_IN_PROGRESS if returning else None)
        agreed[name] = first
        facts = sorted({(v.state, v.drain, v.status) for v in views})
        if len(facts) == 1 and len(views) == count:
            continue
        states = {v.state for v in views}
        agreed[name] = replace(
            first,
            state=first.state if len(states) == 1 else -1,
            drain=max(v.drain for v in views),
            status=_all_flags(v.status for v in views),
        )
        words = "; ".join(f"state {s}, drain {d}, status {f}" for s, d, f in facts)
        silent = f"; {count - len(views)} nodes do not list it" if len(views) < count else ""
        detail = f"the nodes do not agree on {first.name}: {words}{silent}"
        gaps.append(Gap(node=first.name, reason=GapReason.DISAGREES, detail=detail))
    return agreed, tuple(gaps)


def replies_agree(a: NodeReply, b: NodeReply) -> bool:
    """Whether two nodes gave the same of all that is the same wherever it is asked."""
    same_lists = a.lists is not None and b.lists is not None and lists_agree(a.lists, b.lists)
    return same_lists and a.fence == b.fence


def lists_agree(a: Lists, b: Lists) -> bool:
    """Whether two nodes gave the same cluster-wide lists; free space changes with every read."""
    same_roles = a.roles == b.roles or set(a.roles) == set(b.roles)
    same = same_roles and a.affinity == b.affinity
    return same and {(fold(v.path), v.size_bytes) for v in a.volumes} == {
        (fold(v.path), v.size_bytes) for v in b.volumes
    }


def _agreed_fence(look: Look, nodes: tuple[NodeObserved, ...]) -> FenceFacts:
    """The claim in the cluster database, if two nodes said the same: one may be cut off.

    Where only one node could be asked at all, its word is enough.
    """
    told = [s.reply.fence for s in look.seen if s.reply.lists is not None]
    asked = sum(is_asked(n.state, isolated=n.isolated) for n in nodes)
    agreed = look.lists is not None and len(told) >= min(2, asked) and len(set(told)) == 1
    return told[0] if agreed else FenceFacts()


def _all_flags(values: Iterable[int]) -> int:
    flags = 0
    for value in values:
        flags |= value
    return flags


def _nodes(
    views: Mapping[str, NodeView], seen: tuple[Seen, ...], lists: Lists | None
) -> tuple[NodeObserved, ...]:
    ways = lists.volume_states if lists is not None else ()
    lost, redirected = lost_mounts(ways), redirected_mounts(ways)
    own = {fold(s.reply.node): s for s in seen}
    nodes = []
    for name, view in sorted(views.items()):
        node = NodeObserved(
            name=view.name,
            state=NODE_STATES.get(view.state, NodeState.UNKNOWN),
            draining=view.drain != 0,
            isolated=bool(view.status & NODE_ISOLATED),
            quarantined=bool(view.status & NODE_QUARANTINED),
            placement_avoided=bool(view.status & NODE_AVOIDED),
            failback_in_progress=view.failback == FAILBACK_IN_PROGRESS,
            answered=name in own,
            volumes_lost=lost.get(name, ()),
            volumes_redirected=redirected.get(name, ()),
        )
        if name in own:
            facts = own[name].reply.own
            node = replace(
                node,
                memory_total_bytes=facts.memory_total_bytes,
                memory_available_bytes=facts.memory_available_bytes,
                observed_at=own[name].at,
            )
            if facts.hardware is not None:
                node = _with_hardware(node, facts.hardware, own[name].at)
        nodes.append(node)
    return tuple(nodes)


def _with_hardware(node: NodeObserved, facts: HardwareFacts, at: datetime) -> NodeObserved:
    return replace(
        node,
        hardware_at=at - timedelta(seconds=facts.age_seconds),
        model=facts.model,
        build=facts.build,
        processor_vendor=facts.processor_vendor,
        processor_family=facts.processor_family,
        processors_logical=facts.processors_logical,
        vm_versions=facts.vm_versions,
        switches=tuple(name for name, _ in facts.switches),
        domain_joined=facts.domain_joined,
        scvmm_agent=facts.scvmm_agent,
        vm_folder=facts.vm_folder,
        disk_folder=facts.disk_folder,
        switches_inner=tuple(name for name, kind in facts.switches if kind != SWITCH_EXTERNAL),
    )


def _cluster_facts(replies: Iterable[ClusterFacts]) -> ClusterFacts:
    """The cluster's own figures; where nodes differ, the smaller limits and the busier balancer."""
    facts = tuple(replies)
    limits = [f.migrations_parallel_max for f in facts if f.migrations_parallel_max is not None]
    levels = [f.functional_level for f in facts if f.functional_level is not None]
    modes = [f.balancer_mode for f in facts if f.balancer_mode is not None]
    balancer_levels = [f.balancer_level for f in facts if f.balancer_level is not None]
    return ClusterFacts(
        name=facts[0].name if facts else "",
        id=facts[0].id if facts else "",
        functional_level=min(levels, default=None),
        migrations_parallel_max=min(limits, default=None),
        balancer_mode=max(modes, default=None),
        balancer_level=max(balancer_levels, default=None),
        anti_affinity_enforced=any(f.anti_affinity_enforced for f in facts),
    )


def _volumes(listed: Iterable[ListedVolume]) -> tuple[Volume, ...]:
    volumes = [
        Volume(path=v.path.rstrip("\\"), size_bytes=v.size_bytes, free_bytes=v.free_bytes)
        for v in listed
        if v.size_bytes is not None and v.free_bytes is not None
    ]
    return tuple(sorted(volumes, key=lambda v: fold(v.path)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _RoleSeen:
    """A role by the cluster's list, by its owner's own words, or both."""

    listed: ListedRole | None
    facts: RoleFacts | None

    @property
    def owner(self) -> str | None:
        return self.listed.owner if self.listed else self.facts.owner if self.facts else None

    @property
    def name(self) -> str:
        known = self.facts or self.listed
        return known.name if known else ""

    @property
    def state(self) -> RoleState:
        known = self.facts or self.listed
        return ROLE_STATES.get(known.state if known else -1, RoleState.UNKNOWN)

    @property
    def status(self) -> int:
        told = self.facts.status if self.facts else 0
        return told | (self.listed.status if self.listed else 0)


def _vms(seen: tuple[Seen, ...], look: Look) -> tuple[VMObserved, ...]:
    roles = _roles(seen, look)
    hosts: dict[str, list[tuple[str, VMFacts]]] = {}
    for one in seen:
        for vm in one.reply.vms:
            hosts.setdefault(vm.id, []).append((one.reply.node, vm))
    ids = sorted(set(hosts) | set(roles))
    at = {one.reply.node: one.at for one in seen}
    return tuple(_vm(vm_id, hosts.get(vm_id, []), roles.get(vm_id), at) for vm_id in ids)


def _roles(seen: tuple[Seen, ...], look: Look) -> dict[str, _RoleSeen]:
    """Every role whose VM is known, by VM id."""
    listed = {r.id: r for r in look.lists.roles} if look.lists else {}
    told: dict[str, RoleFacts] = {}
    for one in seen:
        for facts in one.reply.roles:
            wanted = listed[facts.id].owner if facts.id in listed else facts.owner
            # Two nodes show a role that changes its owner between two reads; the list decides.
            if facts.id not in told or same_name(one.reply.node, wanted):
                told[facts.id] = facts
    roles = {}
    for role_id in sorted(set(listed) | set(told)):
        facts_of = told.get(role_id)
        vm_id = (facts_of.vm_id if facts_of else None) or look.vm_of_role.get(role_id)
        if vm_id is not None:
            roles[vm_id] = _RoleSeen(listed=listed.get(role_id), facts=facts_of)
    return roles


def _vm(
    vm_id: str,
    hosts: list[tuple[str, VMFacts]],
    role: _RoleSeen | None,
    at: Mapping[str, datetime],
) -> VMObserved:
    owner = role.owner if role else None
    observed_role = _role(role) if role else None
    migration = _migration(hosts, role)
    if not hosts:
        return VMObserved(
            id=vm_id,
            name=role.name if role else "",
            host=None,
            state=VMState.OTHER,
            role=observed_role,
            migration=migration,
        )
    host, vm = _host(hosts, owner)
    busy = busy_name(vm.status)
    return VMObserved(
        id=vm_id,
        name=vm.name,
        host=host,
        state=VM_STATES.get(vm.state, VMState.OTHER),
        role=observed_role,
        memory_assigned_bytes=vm.memory_assigned_bytes,
        memory_startup_bytes=vm.memory_startup_bytes,
        migration=migration,
        busy=busy or (ROLE_UNSEEN if vm.clustered and role is None else None),
        creation_mark=vm.mark,
        **(_equipment(vm.equipment, at[host]) if vm.equipment is not None else {}),
    )


def _equipment(facts: EquipmentFacts, at: datetime) -> dict[str, Any]:
    """The VM's fields that its node reads seldom."""
    return {
        "equipment_at": at - timedelta(seconds=facts.age_seconds),
        "version": facts.version,
        "processors": facts.processors,
        "processor_compatibility": facts.processor_compatibility,
        "disk_paths": facts.disk_paths,
        "configuration_path": facts.configuration_path,
        "media_paths": tuple(
            f"physical:{path}" if kind == DVD_PHYSICAL else path for path, kind in facts.media
        ),
        "pass_through": facts.pass_through,
        "shared_disks": facts.shared_disks,
        "checkpoint_path": facts.checkpoint_path,
        "paging_path": facts.paging_path,
        "assigned_devices": facts.assigned_devices,
        "gpu_partitions": facts.gpu_partitions,
        "fibre_channel": facts.fibre_channel,
        "tpm": facts.tpm,
        "shielded": facts.shielded,
        "replica": facts.replication in REPLICATION_REPLICA,
        "switches": facts.switches,
    }


def _host(hosts: list[tuple[str, VMFacts]], owner: str | None) -> tuple[str, VMFacts]:
    """Where it runs: while it is being moved still on its source, else where its owner is."""
    for node, vm in hosts:
        if STATUS_MIGRATING in vm.status:
            return node, vm
    for node, vm in hosts:
        if same_name(node, owner):
            return node, vm
    return hosts[0]


def _role(role: _RoleSeen) -> Role:
    facts = role.facts
    status = role.status
    return Role(
        name=role.name,
        state=role.state,
        owner=role.owner,
        queued=bool(status & ROLE_QUEUED),
        unmonitored=bool(status & ROLE_UNMONITORED),
        locked=bool(status & ROLE_LOCKED) or (facts is not None and facts.locked != 0),
        **(_owners_word(facts) if facts is not None else {}),
    )


def _owners_word(facts: RoleFacts) -> dict[str, Any]:
    """The role's fields that only its owner tells."""
    possible, differ = _both_lists(facts.possible_machine, facts.possible_configuration)
    return {
        "preferred_owners": facts.preferred_owners,
        "possible_owners": possible,
        "owners_differ": differ,
        "priority": facts.priority,
        "persistent_online": facts.persistent_state != 0,
        "failback": facts.failback != 0,
        "anti_affinity": facts.anti_affinity,
    }


# Nearly all roles have the same lists, of up to 64 nodes each.
@lru_cache(maxsize=256)
def _both_lists(
    machine: tuple[str, ...], configuration: tuple[str, ...]
) -> tuple[tuple[str, ...], bool]:
    """The possible owners of both resources, as the machine's list spells them; do they differ?"""
    folded = {fold(name) for name in configuration}
    both = tuple(name for name in machine if fold(name) in folded)
    return both, {fold(name) for name in machine} != folded


def _migration(hosts: list[tuple[str, VMFacts]], role: _RoleSeen | None) -> Migration | None:
    """The move that shows on the VM, on its role or between the two; None when nothing moves."""
    nodes = [node for node, _ in hosts]
    leaving = next((node for node, vm in hosts if STATUS_MIGRATING in vm.status), None)
    arriving = next((node for node, vm in hosts if STATUS_ARRIVING in vm.status), None)
    owner = role.owner if role else None
    told = role.facts.migration if role and role.facts else None
    phase = MIGRATION_PHASES.get(told.state if told else None, MigrationPhase.UNKNOWN)
    pending = role is not None and role.state is RoleState.PENDING
    source = leaving or next((n for n in nodes if n != arriving), None) or owner
    if source is None:
        return None
    if role is not None and role.status & ROLE_QUEUED and leaving is None:
        return Migration(phase=MigrationPhase.QUEUED, source=source, target=None)
    between = pending and (phase is not MigrationPhase.UNKNOWN or _is_between(nodes, owner))
    if not (leaving or arriving or len(nodes) > 1 or between):
        return None
    others = (arriving, owner, *nodes)
    return Migration(
        phase=phase,
        source=source,
        target=next((n for n in others if n is not None and not same_name(n, source)), None),
        progress_percent=min(told.progress, 100)
        if told is not None and told.progress is not None and phase is not MigrationPhase.UNKNOWN
        else None,
    )


def _is_between(nodes: list[str], owner: str | None) -> bool:
    """Whether the VM runs elsewhere than on its role's owner."""
    return bool(nodes) and owner is not None and not any(same_name(n, owner) for n in nodes)
