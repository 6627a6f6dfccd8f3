"""One node's `observe` reply, checked against docs/protocol.md and made into facts.

A node may be broken or taken over, so nothing is believed that has not the documented shape:
anything else is ProtocolBroken, and the node's part of the snapshot a gap.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from controller.adapters.winrm.frames import shown
from controller.adapters.winrm.volumes import VolumeWay
from controller.errors import ProtocolBroken
from controller.model.names import fold
from controller.model.observed import Job, JobState

_TEXT_CHARACTERS_MAX = 4096
"""Longer than any path that Hyper-V takes."""
_NUMBER_MAX = 2**64
_LIST_MAX = 20_000
"""Above the 8,000 VMs that a cluster may hold (Microsoft docs, Hyper-V scale limits)."""
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NODE_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,13}[A-Za-z0-9])?")
"""As specs spell it: NetBIOS and DNS both take it (Microsoft docs, Naming conventions in AD). Nodes
are connected to by the name that others report, so it must not be a host of another domain."""


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
    vm_versions: tuple[str, ...]
    switches: tuple[tuple[str, int], ...]
    """Name and VMSwitchType."""


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


def parse_observation(data: Mapping[str, Any]) -> NodeReply:
    """Read the data of an `observe` reply; raises ProtocolBroken naming the place."""
    reply = _Part(data, "observe")
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
        nodes=tuple(
            NodeView(
                name=view.node_name("name"),
                state=view.number("state", least=-1),
                drain=view.number("drain"),
                failback=view.optional_number("failback"),
                status=view.number("status"),
            )
            for view in reply.parts("nodes")
        ),
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


def _own(own: "_Part") -> SelfFacts:
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
            vm_versions=hardware.texts("vmVersions"),
            switches=tuple((s.text("name"), s.number("type")) for s in hardware.parts("switches")),
        )
        if hardware
        else None,
    )


def _vm(vm: "_Part") -> VMFacts:
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


def _equipment(vm: "_Part") -> EquipmentFacts:
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


def _role(role: "_Part") -> RoleFacts:
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


def _job(job: "_Part", node: str) -> Job:
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


def _lists(lists: "_Part") -> Lists:
    return Lists(
        roles=tuple(
            ListedRole(
                id=role.guid("id"),
                name=role.text("name"),
                state=role.number("state", least=-1),
                status=role.number("status"),
                owner=role.optional_text("owner"),
            )
            for role in lists.parts("roles")
        ),
        volumes=tuple(
            ListedVolume(
                path=volume.text("path"),
                size_bytes=volume.optional_number("sizeBytes"),
                free_bytes=volume.optional_number("freeBytes"),
            )
            for volume in lists.parts("volumes")
        ),
        volume_states=tuple(
            VolumeWay(
                node=row.node_name("node"),
                path=row.optional_text("path") or "",
                state=row.number("state"),
                cause=row.number("cause"),
            )
            for row in lists.parts("volumeStates")
        ),
    )


class _Part:
    """One JSON object of a reply, read field by field; whatever does not fit is ProtocolBroken."""

    __slots__ = ("_fields", "_place")

    def __init__(self, value: Any, place: str) -> None:
        self._place = place
        if not isinstance(value, dict):
            raise ProtocolBroken(f"{place} is {type(value).__name__}, not an object")
        self._fields: dict[str, Any] = value

    def broken(self, name: str) -> ProtocolBroken:
        """What to raise of a field that does not fit."""
        found = repr(self._fields.get(name, "missing"))[:80]
        return ProtocolBroken(f"{self._place}.{name} is not as documented: {found}")

    def text(self, name: str) -> str:
        text = self.optional_text(name)
        if not text:
            raise self.broken(name)
        return text

    def optional_text(self, name: str) -> str | None:
        """A text without control characters, which no name or path of Windows holds."""
        value = self._given(name)
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > _TEXT_CHARACTERS_MAX:
            raise self.broken(name)
        return shown(value)

    def node_name(self, name: str) -> str:
        """A node's name in the cluster, without a domain."""
        value = self._given(name)
        if not isinstance(value, str) or not _NODE_NAME.fullmatch(value):
            raise self.broken(name)
        return value

    def guid(self, name: str) -> str:
        value = self._given(name)
        if not isinstance(value, str) or not _GUID.fullmatch(value):
            raise self.broken(name)
        return value

    def optional_guid(self, name: str) -> str | None:
        return None if self._given(name) is None else self.guid(name)

    def number(self, name: str, *, least: int = 0) -> int:
        value = self._given(name)
        if type(value) is not int or not least <= value < _NUMBER_MAX:
            raise self.broken(name)
        return value

    def optional_number(self, name: str) -> int | None:
        return None if self._given(name) is None else self.number(name)

    def flag(self, name: str) -> bool:
        value = self._given(name)
        if not isinstance(value, bool):
            raise self.broken(name)
        return value

    def numbers(self, name: str) -> tuple[int, ...]:
        values = self._list(name)
        if not all(type(value) is int for value in values):
            raise self.broken(name)
        return tuple(values)

    def texts(self, name: str) -> tuple[str, ...]:
        values = self._list(name)
        if not set(map(type, values)) <= {str}:
            raise self.broken(name)
        texts = _texts(tuple(values))
        if texts is None:
            raise self.broken(name)
        return texts

    def part(self, name: str) -> "_Part":
        return _Part(self._given(name), f"{self._place}.{name}")

    def optional_part(self, name: str) -> "_Part | None":
        return None if self._given(name) is None else self.part(name)

    def parts(self, name: str) -> tuple["_Part", ...]:
        place = f"{self._place}.{name}[]"
        return tuple(_Part(value, place) for value in self._list(name))

    def _list(self, name: str) -> list[Any]:
        value = self._given(name)
        if not isinstance(value, list) or len(value) > _LIST_MAX:
            raise self.broken(name)
        return value

    def _given(self, name: str) -> Any:
        if name not in self._fields:
            raise self.broken(name)
        return self._fields[name]


# Roles have the same few lists of owners, of up to 64 nodes each: once judged is enough.
@lru_cache(maxsize=256)
def _texts(values: tuple[str, ...]) -> tuple[str, ...] | None:
    """The texts as they may be shown; None if one is not as a name can be."""
    if not all(0 < len(value) <= _TEXT_CHARACTERS_MAX for value in values):
        return None
    return tuple(shown(value) for value in values)
