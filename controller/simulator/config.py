"""world.yaml: a simulated cluster written down; docs/simulator.md explains it with an example."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, get_args, get_type_hints

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from controller.model.names import fold, same_name
from controller.simulator.doubts import Doubts, Timing
from controller.simulator.drain import start_balancing
from controller.simulator.inventory import (
    AFFINITY_TYPES,
    AffinityRule,
    Cluster,
    Disk,
    Dvd,
    File,
    NetworkAdapter,
    Node,
    Role,
    Switch,
    VirtualMachine,
    Volume,
)
from controller.simulator.roles import register_role
from controller.simulator.states import (
    ControllerType,
    DvdMediaType,
    ReplicationMode,
    SwitchType,
    VmState,
)
from controller.simulator.storage import (
    VHD_OVERHEAD_BYTES,
    configuration_file,
    create_file,
    find_file,
    new_vhd,
)
from controller.simulator.world import World

_UNITS = {"": 1, "Ki": 1024, "Mi": 1024**2, "Gi": 1024**3, "Ti": 1024**4}
_NAMESPACE = uuid.UUID("5c1c34be-4c3e-5e0e-9f0b-6f776e65726e")
_DAY_SECONDS = 86_400.0


def _size(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti)?", value)
    if found is None:
        raise ValueError("a size is a number of bytes, or a number with Ki, Mi, Gi or Ti")
    return int(float(found[1]) * _UNITS[found[2] or ""])


Size = Annotated[int, BeforeValidator(_size), Field(ge=0)]


def _state(value: object) -> object:
    """The name of a state; YAML reads a bare `Off` as false."""
    names = {state.name: state for state in VmState}
    found = names.get("Off" if value is False else str(value))
    if found is None:
        raise ValueError("a state is Running, Off, Saved, Paused, ...")
    return found


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)


class AffinityPart(_Part):
    name: str
    type: Literal["SameFaultDomain", "SameNode", "DifferentFaultDomain", "DifferentNode"]
    roles: list[str]
    enabled: bool = True


class ClusterPart(_Part):
    name: str = "demo"
    domain: str = "ownernode.test"
    workgroup: bool = False
    id: str | None = None
    functional_level: int = 12
    migrations_parallel_max: int | None = 1
    balancer_mode: int = 0
    balancer_level: int = 1
    anti_affinity_enforced: bool = False
    move_type_threshold: int = 2000
    witness: bool = True
    resiliency_seconds: float = 240.0
    second_hop: bool = False
    parameters: dict[str, int | str] = {}  # private properties, as Set-ClusterParameter makes them
    affinity_rules: list[AffinityPart] = []


class SwitchPart(_Part):
    name: str
    type: Literal["External", "Internal", "Private"] = "External"


class NodePart(_Part):
    name: str
    memory: Size = 64 * 1024**3
    reserve: Size = 4 * 1024**3
    processors: int = 32
    vendor: str = "GenuineIntel"
    family: str = "Intel64 Family 6 Model 106 Stepping 6"
    build: int = 26100
    vm_versions: list[str] = ["9.0", "10.0", "11.0", "12.0"]
    volumes_lost: list[str] = []  # mounts that the node can't use
    volumes_redirected: dict[str, Literal["Block", "UserRequest", "FileSystemReFs"]] = {}
    migrations_max: int = 1
    vm_path: str | None = None
    vhd_path: str | None = None
    switches: list[str | SwitchPart] = ["Prod"]
    dvd_drives: list[str] = ["D:"]
    services: list[str] = []


class VolumePart(_Part):
    name: str
    size: Size = 4 * 1024**4
    used: Size = 0
    owner: str | None = None


class DiskPart(_Part):
    path: str
    size: Size = 40 * 1024**3
    physical_disk: int | None = None
    shared: bool = False


class VmPart(_Part):
    name: str
    node: str
    id: str | None = None
    role: str | None = None
    clustered: bool = True
    state: Annotated[VmState, BeforeValidator(_state)] = VmState.Running
    generation: int = 2
    memory: Size = 4 * 1024**3
    memory_demand: Size | None = None
    processors: int = 2
    processor_compatibility: bool = False
    location: str | None = None
    disks: list[DiskPart] | None = None
    iso: str | None = None
    physical_drive: str | None = None
    switch: str | None = "Prod"
    vlan: int | None = None
    notes: str = ""
    uptime_seconds: float = 3 * _DAY_SECONDS
    replica: bool = False
    version: str = "10.0"
    checkpoints: str | None = None  # folders, where they are not the VM's own
    paging: str | None = None
    assigned_devices: int = 0
    gpu_partitions: int = 0
    fibre_channel: int = 0
    tpm: bool = False
    shielded: bool = False
    anti_affinity: list[str] = []
    priority: int = 2000
    preferred_owners: list[str] = []
    possible_owners: list[str] | None = None
    failback: bool = False
    balancer_excluded: bool = False
    locked: bool = False


class FilePart(_Part):
    path: str
    size: Size = 4 * 1024**3
    node: str | None = None


class WorldPart(_Part):
    started: datetime = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
    cluster: ClusterPart = ClusterPart()
    nodes: list[NodePart]
    volumes: list[VolumePart] = [VolumePart(name="Volume1")]
    vms: list[VmPart] = []
    files: list[FilePart] = []
    timing: dict[str, float] = {}
    doubts: dict[str, Any] = {}


def load_world(text: str, *, started: datetime | None = None) -> World:
    """Build the world that a world.yaml describes; `ValueError` says what is wrong with it.

    `started` is its time where the file gives none; without, always the same.
    """
    try:
        document = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise ValueError(f"world.yaml is not YAML: {error}") from error
    part = WorldPart.model_validate(document)
    if started is not None and "started" not in part.model_fields_set:
        part = part.model_copy(update={"started": started})
    return build_world(part)


def build_world(part: WorldPart) -> World:
    """The world itself; equal parts give equal worlds, ids and all."""
    own = part.cluster
    settings = own.model_dump(
        exclude={"id", "migrations_parallel_max", "parameters", "affinity_rules"}
    )
    cluster = Cluster(
        id=own.id or str(uuid.uuid5(_NAMESPACE, f"{fold(own.name)}.{fold(own.domain)}")),
        migrations_max=own.migrations_parallel_max,
        affinity_rules=[
            AffinityRule(
                name=rule.name,
                type=AFFINITY_TYPES.index(rule.type) + 1,
                groups=tuple(rule.roles),
                enabled=rule.enabled,
            )
            for rule in own.affinity_rules
        ],
        parameters={fold(name): (name, value) for name, value in own.parameters.items()},
        **settings,
    )
    world = World(
        cluster,
        timing=Timing(**_known(part.timing, Timing)),
        doubts=Doubts(**_known(part.doubts, Doubts)),
        started=part.started,
    )
    for number, node in enumerate(part.nodes, 1):
        add_node(world, number, node)
    for number, volume in enumerate(part.volumes, 1):
        _add_volume(world, number, volume)
    for file in part.files:
        home = world.node(file.node or part.nodes[0].name)
        create_file(cluster, home, File(path=file.path, size_bytes=file.size))
    for vm in part.vms:
        _add_vm(world, vm)
    start_balancing(world)
    return world


def _known(values: dict[str, Any], kind: type[Timing] | type[Doubts]) -> dict[str, Any]:
    """Settings by their field names; camelCase is accepted as in the rest of the file."""
    fields = {to_camel(name): name for name in kind.__dataclass_fields__}
    found = {fields.get(name, name): value for name, value in values.items()}
    unknown = sorted(set(found) - set(kind.__dataclass_fields__))
    if unknown:
        raise ValueError(f"unknown in {kind.__name__.lower()}: {', '.join(unknown)}")
    if kind is Doubts:
        _check_choices(found)
    return found


def _check_choices(found: dict[str, Any]) -> None:
    hints = get_type_hints(Doubts)
    for name, value in found.items():
        allowed = get_args(hints[name])
        if value not in allowed:
            raise ValueError(
                f"doubts.{name} is one of {', '.join(map(str, allowed))}, not {value!r}"
            )


def add_node(world: World, number: int, part: NodePart) -> None:
    """Let a node be of the cluster; `number` is its number there."""
    if world.cluster.node(part.name) is not None:
        raise ValueError(f"two nodes are called {part.name}")
    node = Node(
        name=part.name,
        number=number,
        memory_bytes=part.memory,
        reserve_bytes=part.reserve,
        logical_processors=part.processors,
        processor_vendor=part.vendor,
        processor_family=part.family,
        build=part.build,
        vm_versions=tuple(part.vm_versions),
        volumes_lost={fold(path) for path in part.volumes_lost},
        volumes_redirected={fold(p): cause for p, cause in part.volumes_redirected.items()},
        migrations_max=part.migrations_max,
        boot_at=-30 * _DAY_SECONDS,
        dvd_drives=tuple(part.dvd_drives),
        services=tuple(part.services),
        switches=[_switch(part.name, switch) for switch in part.switches],
    )
    node.vm_path = part.vm_path or node.vm_path
    node.vhd_path = part.vhd_path or node.vhd_path
    world.cluster.nodes[fold(part.name)] = node


def _switch(node: str, part: str | SwitchPart) -> Switch:
    own = SwitchPart(name=part) if isinstance(part, str) else part
    id_ = str(uuid.uuid5(_NAMESPACE, f"{fold(node)}/{fold(own.name)}"))
    return Switch(name=own.name, id=id_, kind=SwitchType[own.type])


def _add_volume(world: World, number: int, part: VolumePart) -> None:
    nodes = list(world.cluster.nodes.values())
    owner = nodes[(number - 1) % len(nodes)].name if part.owner is None else part.owner
    world.cluster.volumes.append(
        Volume(
            name=f"Cluster Disk {number}",
            mount=f"C:\\ClusterStorage\\{part.name}",
            id=str(uuid.uuid5(uuid.UUID(world.cluster.id), f"volume/{fold(part.name)}")),
            size_bytes=part.size,
            other_bytes=part.used,
            owner=world.node(owner).name,
        )
    )


def _add_vm(world: World, part: VmPart) -> None:
    node = world.node(part.node)
    on = part.state not in (VmState.Off, VmState.Saved)
    root = part.location or (
        world.cluster.volumes[0].mount if world.cluster.volumes else node.vm_path
    )
    folder = f"{root}\\{part.name}"
    vm_id = (part.id or world.new_id()).lower()
    if vm_id in world.cluster.vms:
        raise ValueError(f"two VMs have the id {vm_id}")
    vm = VirtualMachine(
        id=vm_id,
        name=part.name,
        node=node.name,
        path=folder,
        checkpoint_path=part.checkpoints or folder,
        paging_path=part.paging or folder,
        version=part.version,
        state=part.state,
        generation=part.generation,
        processors=part.processors,
        processor_compatibility=part.processor_compatibility,
        memory_startup_bytes=part.memory,
        memory_dynamic=part.memory_demand is not None,
        memory_demand_bytes=part.memory_demand or 0,
        notes=part.notes,
        replication=ReplicationMode.Replica if part.replica else ReplicationMode.None_,
        assigned_devices=part.assigned_devices,
        gpu_partitions=part.gpu_partitions,
        fibre_channel=part.fibre_channel,
        tpm=part.tpm,
        shielded=part.shielded,
        created_at=-60 * _DAY_SECONDS,
        running_since=-part.uptime_seconds if on else None,
    )
    _equip(world, node, vm, part)
    world.cluster.vms[vm.id] = vm
    if part.clustered:
        _make_role(world, vm, part)


def _equip(world: World, node: Node, vm: VirtualMachine, part: VmPart) -> None:
    cluster = world.cluster
    controller = ControllerType.IDE if vm.generation == 1 else ControllerType.SCSI
    create_file(cluster, node, configuration_file(vm.path, vm.id))
    disks = part.disks
    if disks is None:
        disks = [DiskPart(path=f"{vm.path}\\os.vhdx")]
    for location, disk in enumerate(disks):
        if disk.physical_disk is None and find_file(cluster, node, disk.path) is None:
            file = new_vhd(disk.path, disk.size)
            file.size_bytes = max(disk.size // 4, VHD_OVERHEAD_BYTES)  # a disk in use
            create_file(cluster, node, file)
        vm.disks.append(
            Disk(
                path=disk.path,
                controller=controller,
                location=location,
                physical_disk=disk.physical_disk,
                shared=disk.shared,
            )
        )
    media = part.iso or part.physical_drive
    if media is not None or vm.generation == 1:
        if part.iso is not None and find_file(cluster, node, part.iso) is None:
            create_file(cluster, node, File(path=part.iso, size_bytes=4 * 1024**3))
        kind = DvdMediaType.ISO if part.iso else DvdMediaType.PassThrough
        vm.dvds.append(
            Dvd(
                path=media,
                media=DvdMediaType.None_ if media is None else kind,
                controller=controller,
                number=1 if vm.generation == 1 else 0,
                location=0 if vm.generation == 1 else len(vm.disks),
            )
        )
    mac = f"00155D{world.new_number() % 0xFFFFFF:06X}"
    vm.adapters.append(
        NetworkAdapter(name="Network Adapter", mac=mac, switch=part.switch, vlan=part.vlan)
    )


def _make_role(world: World, vm: VirtualMachine, part: VmPart) -> Role:
    role = register_role(world, vm, part.role)
    role.priority = part.priority
    role.anti_affinity = list(part.anti_affinity)
    role.preferred = [world.node(name).name for name in part.preferred_owners]
    role.auto_failback = part.failback
    role.locked = part.locked
    role.balancer_excluded = part.balancer_excluded
    if part.possible_owners is not None:
        if not any(same_name(vm.node, name) for name in part.possible_owners):
            raise ValueError(f"{vm.name} is on {vm.node}, which can't own it")
        owners = [world.node(name).name for name in part.possible_owners]
        role.possible, role.possible_configuration = list(owners), list(owners)
    return role
