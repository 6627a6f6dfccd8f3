"""One node's `observe` reply, checked against docs/protocol.md and made into facts.

A node may be broken or taken over, so nothing is believed that has not the documented shape:
anything else is ProtocolBroken, and the node's part of the snapshot a gap.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from controller.adapters.winrm.affinity import affinity_rules
from controller.adapters.winrm.fields import Part, Repeats
from controller.adapters.winrm.volumes import VolumeWay, volume_way
from controller.errors import ProtocolBroken
from controller.model.names import fold
from controller.model.observed import AffinityRule, Job, JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFacts:
    """What the node's cluster says of itself."""

    name: str
    id: str
    functional_level: int | None
    migrations_parallel_max: int | None
    balancer_mode: int | None
    balancer_level: int | None
    anti_affinity_enforced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceFacts:
    """The private properties of the cluster that say who may act on it."""

    epoch: int | None = None
    holder: str | None = None
    stop: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """How one node sees another, or itself; enumerations as numbers."""

    name: str
    state: int
    drain: int
    failback: int | None
    """None where Windows does not tell."""
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfFacts:
    """What only the node itself knows."""

    memory_total_bytes: int
    memory_available_bytes: int
    hardware: "HardwareFacts | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareFacts:
    """What it reads seldom of itself."""

    age_seconds: int
    model: str | None
    domain_joined: bool
    build: int
    processor_vendor: str | None
    processor_family: str | None
    processors_logical: int
    migrations_max: int
    vm_folder: str | None
    disk_folder: str | None
    vm_versions: tuple[str, ...]
    switches: tuple[tuple[str, int], ...]
    """Name and VMSwitchType."""
    scvmm_agent: bool
    move_type_threshold: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VMFacts:
    """A VM as Get-VM on one node shows it."""

    id: str
    name: str
    state: int
    status: tuple[int, ...]
    memory_assigned_bytes: int
    memory_startup_bytes: int
    clustered: bool
    mark: str | None
    equipment: "EquipmentFacts | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class EquipmentFacts:
    """What a node reads seldom of a VM."""

    age_seconds: int
    processors: int
    version: str | None
    processor_compatibility: bool
    configuration_path: str
    checkpoint_path: str
    paging_path: str
    disk_paths: tuple[str, ...]
    shared_disks: tuple[str, ...]
    pass_through: bool
    media: tuple[tuple[str, int], ...]
    """Path and DvdMediaType."""
    switches: tuple[str, ...]
    replication: int
    tpm: bool
    shielded: bool
    fibre_channel: int
    assigned_devices: int
    gpu_partitions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationFacts:
    """The private properties of a role in flight."""

    state: int | None
    progress: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleFacts:
    """A role as its owner node shows it."""

    id: str
    name: str
    vm_id: str | None
    state: int
    status: int
    owner: str | None
    priority: int
    persistent_state: int
    failback: int
    locked: int
    anti_affinity: tuple[str, ...]
    preferred_owners: tuple[str, ...]
    possible_machine: tuple[str, ...]
    possible_configuration: tuple[str, ...]
    migration: MigrationFacts | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRole:
    """A role as the cluster-wide list shows it."""

    id: str
    name: str
    state: int
    status: int
    owner: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedVolume:
    """A mount of a cluster shared volume; sizes None while its partition is not there."""

    path: str
    size_bytes: int | None
    free_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """What is the same wherever it is asked, unless something is wrong or just changing."""

    roles: tuple[ListedRole, ...]
    volumes: tuple[ListedVolume, ...]
    volume_states: tuple[VolumeWay, ...]
    affinity: tuple[AffinityRule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReply:
    """All that one node said."""

    node: str
    cluster: ClusterFacts
    fence: FenceFacts
    nodes: tuple[NodeView, ...]
    own: SelfFacts
    vms: tuple[VMFacts, ...]
    roles: tuple[RoleFacts, ...]
    jobs: tuple[Job, ...]
    lists: Lists | None


def parse_observation(data: Mapping[str, Any], repeats: Repeats | None = None) -> NodeReply:
    """Read the data of an `observe` reply; raises ProtocolBroken naming the place."""
    reply = Part(data, "observe", repeats or Repeats())
    node = reply.node_name("node")
    cluster = reply.part("cluster")
    lists = reply.optional_part("lists")
    found = NodeReply(
        node=node,
        cluster=ClusterFacts(
            name=cluster.text("name"),
            id=cluster.guid("id"),
            functional_level=cluster.optional_number("functionalLevel"),
            migrations_parallel_max=cluster.optional_number("migrationsParallelMax"),
            balancer_mode=cluster.optional_number("balancerMode"),
            balancer_level=cluster.optional_number("balancerLevel"),
            anti_affinity_enforced=cluster.number("antiAffinityEnforced") != 0,
        ),
        fence=FenceFacts(
            epoch=cluster.optional_number("epoch"),
            # Text, not a GUID: what somebody wrote there by hand must not blind us.
            holder=cluster.optional_text("holder"),
            stop=cluster.optional_text("stop"),
        ),
        nodes=reply.repeated_parts("nodes", _view),
        own=_own(reply.part("self")),
        vms=tuple(_vm(vm) for vm in reply.parts("vms")),
        roles=tuple(_role(role) for role in reply.parts("roles")),
        jobs=tuple(_job(job, node) for job in reply.parts("jobs")),
        lists=_lists(lists) if lists else None,
    )
    _refuse_twins("nodes", (fold(view.name) for view in found.nodes))
    _refuse_twins("vms", (vm.id for vm in found.vms))
    _refuse_twins("roles", (role.id for role in found.roles))
    return found


def _refuse_twins(place: str, ids: Iterable[str]) -> None:
    """One node lists each thing once; two nodes that list the same VM show it in flight."""
    known = tuple(ids)
    if len(set(known)) < len(known):
        raise ProtocolBroken(f"observe.{place} lists one of them twice")


def _view(view: Part) -> NodeView:
    return NodeView(
        name=view.node_name("name"),
        state=view.number("state", least=-1),
        drain=view.number("drain"),
        failback=view.optional_number("failback"),
        status=view.number("status"),
    )


def _own(own: Part) -> SelfFacts:
    hardware = own.optional_part("hardware")
    return SelfFacts(
        memory_total_bytes=own.number("memoryTotalBytes"),
        memory_available_bytes=own.number("memoryAvailableBytes"),
        hardware=HardwareFacts(
            age_seconds=hardware.number("ageSeconds"),
            model=hardware.optional_text("model"),
            domain_joined=hardware.flag("domainJoined"),
            build=hardware.number("build"),
            processor_vendor=hardware.optional_text("processorVendor"),
            processor_family=hardware.optional_text("processorFamily"),
            processors_logical=hardware.number("processorsLogical"),
            migrations_max=hardware.number("migrationsMax"),
            vm_folder=hardware.optional_text("vmPath"),
            disk_folder=hardware.optional_text("vhdPath"),
            vm_versions=hardware.texts("vmVersions"),
            switches=tuple((s.text("name"), s.number("type")) for s in hardware.parts("switches")),
            scvmm_agent=hardware.flag("scvmmAgent"),
            move_type_threshold=hardware.optional_number("moveTypeThreshold"),
        )
        if hardware
        else None,
    )


def _vm(vm: Part) -> VMFacts:
    equipment = vm.optional_part("equipment")
    return VMFacts(
        id=vm.guid("id"),
        name=vm.text("name"),
        state=vm.number("state"),
        status=vm.numbers("status"),
        memory_assigned_bytes=vm.number("memoryAssignedBytes"),
        memory_startup_bytes=vm.number("memoryStartupBytes"),
        clustered=vm.flag("clustered"),
        mark=vm.optional_text("mark"),
        equipment=_equipment(equipment) if equipment else None,
    )


def _equipment(vm: Part) -> EquipmentFacts:
    disks = [(d.optional_text("path") or "", d) for d in vm.parts("disks")]
    switches = (adapter.optional_text("switch") for adapter in vm.parts("adapters"))
    return EquipmentFacts(
        age_seconds=vm.number("ageSeconds"),
        processors=vm.number("processors"),
        version=vm.optional_text("version"),
        processor_compatibility=vm.flag("processorCompatibility"),
        configuration_path=vm.optional_text("configurationPath") or "",
        checkpoint_path=vm.optional_text("checkpointPath") or "",
        paging_path=vm.optional_text("pagingPath") or "",
        disk_paths=tuple(path for path, _ in disks if path),
        shared_disks=tuple(path for path, disk in disks if disk.flag("shared")),
        pass_through=any(disk.optional_number("diskNumber") is not None for _, disk in disks),
        media=tuple((m.optional_text("path") or "", m.number("type")) for m in vm.parts("media")),
        switches=tuple(switch for switch in switches if switch),
        replication=vm.number("replication"),
        tpm=vm.flag("tpm"),
        shielded=vm.flag("shielded"),
        fibre_channel=vm.number("fibreChannel"),
        assigned_devices=vm.number("assignedDevices"),
        gpu_partitions=vm.number("gpuPartitions"),
    )


def _role(role: Part) -> RoleFacts:
    possible = role.part("possibleOwners")
    migration = role.optional_part("migration")
    return RoleFacts(
        id=role.guid("id"),
        name=role.text("name"),
        vm_id=role.optional_guid("vmId"),
        state=role.number("state", least=-1),
        status=role.number("status"),
        owner=role.optional_text("owner"),
        priority=role.number("priority"),
        persistent_state=role.number("persistentState"),
        failback=role.number("failback"),
        locked=role.number("locked"),
        anti_affinity=role.texts("antiAffinity"),
        preferred_owners=role.texts("preferredOwners"),
        possible_machine=possible.texts("machine"),
        possible_configuration=possible.texts("configuration"),
        migration=MigrationFacts(
            state=migration.optional_number("state"),
            progress=migration.optional_number("progress"),
        )
        if migration
        else None,
    )


def _job(job: Part, node: str) -> Job:
    state = job.text("state")
    if state not in tuple(JobState):
        raise job.broken("state")
    return Job(
        intent=job.guid("intent"),
        node=node,
        kind=job.text("operation"),
        state=JobState(state),
        step=job.optional_text("step"),
        vm_id=job.optional_guid("vmId"),
        error=(job.optional_text("error") or "")[:256] or None,
    )


def _lists(lists: Part) -> Lists:
    return Lists(
        roles=lists.repeated_parts("roles", _listed_role),
        volumes=tuple(
            ListedVolume(
                path=volume.text("path"),
                size_bytes=volume.optional_number("sizeBytes"),
                free_bytes=volume.optional_number("freeBytes"),
            )
            for volume in lists.parts("volumes")
        ),
        volume_states=tuple(volume_way(row) for row in lists.parts("volumeStates")),
        affinity=affinity_rules(lists.parts("affinity")),
    )


def _listed_role(role: Part) -> ListedRole:
    return ListedRole(
        id=role.guid("id"),
        name=role.text("name"),
        state=role.number("state", least=-1),
        status=role.number("status"),
        owner=role.optional_text("owner"),
    )
