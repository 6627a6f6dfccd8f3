"""VirtualMachinePlacement: where one VM belongs, and how it is made if it does not exist."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from controller.model.names import fold, same_name
from controller.model.quantities import Size, Text, format_size
from controller.model.spec.base import (
    ATOMIC,
    Contradiction,
    DiskPath,
    Guid,
    IsoPath,
    NamespacedMetadata,
    NodeName,
    ObjectName,
    Part,
    Resource,
    SharedFolder,
    Spec,
    SwitchName,
    VMName,
    exactly_one,
    exactly_one_rule,
    repeated,
)

MIB, GIB, TIB = 1024**2, 1024**3, 1024**4
# What a VM may have at most is the node's to say (it differs by version); these only stop nonsense.
_MEMORY = Size(32 * MIB, 240 * TIB)
_DISK = Size(4 * MIB, 64 * TIB)

DriveLetter = Annotated[str, Text("[A-Z]:", "a drive letter with a colon, such as D:", 2)]


class VMSelector(Part):
    """Which VM is meant: by name until it is seen, or by its id. Exactly one of both."""

    model_config = ConfigDict(json_schema_extra=exactly_one_rule("name", "id"))

    name: VMName | None = Field(
        default=None, description="Name in Hyper-V. Once seen, the VM is known by its id."
    )
    id: Guid | None = Field(default=None, description="VM id (GUID), as Get-VM shows it.")


class Owners(Part):
    """On which nodes the VM may and should run."""

    preferred: Annotated[tuple[NodeName, ...], Field(max_length=64)] = Field(
        default=(),
        description="Nodes in order; the first that can take the VM is its declared owner. "
        "Empty: anywhere possible is right.",
        json_schema_extra=ATOMIC,
    )
    possible: Annotated[tuple[NodeName, ...], Field(min_length=1, max_length=64)] | None = Field(
        default=None,
        description="Nodes that it may run on at all. Absent: every node.",
        json_schema_extra=ATOMIC,
    )
    enforcement: Literal["Required", "Preferred"] = Field(
        default="Required",
        description="Required: a possible node that is not preferred is wrong. "
        "Preferred: it is a later choice.",
    )
    failback: Literal["WhenAvailable", "InWindow", "Never"] = Field(
        default="WhenAvailable",
        description="When it returns to an earlier choice that can take it again.",
    )


class HighAvailability(Part):
    """Whether the VM is made a role of the cluster."""

    registers: bool = Field(
        default=False,
        alias="register",
        description="Register an existing or new VM as a cluster role.",
    )
    start: Literal["AfterRegistration", "Never"] = Field(
        default="Never",
        description="AfterRegistration: the controller starts the role once, after it created or "
        "registered the VM itself.",
    )
    accept: Annotated[
        tuple[Literal["Configuration", "Disks", "Checkpoints", "SmartPaging"], ...],
        Field(max_length=4),
    ] = Field(
        default=(),
        description="Checks of the high-availability report that may find storage which not every "
        "node reaches: a disk of the role itself, for instance. They warn then, and block nothing.",
        json_schema_extra=ATOMIC,
    )
    priority: Literal["NoAutoStart", "Low", "Medium", "High"] | None = Field(
        default=None, description="Start order of the role in the cluster."
    )


class MigrationWay(Part):
    """How the VM may be moved."""

    kind: Literal["Live", "Never"] = Field(
        default="Live", description="Live: by live migration only. Never: it is not moved."
    )
    processor_compatibility: Literal["Unmanaged", "Enabled"] = Field(
        default="Unmanaged",
        description="Processor compatibility for migration; set only while the VM is off anyway.",
    )


class DynamicMemory(Part):
    """Bounds between which Hyper-V changes the VM's memory."""

    minimum_bytes: Annotated[int, _MEMORY] = Field(
        alias="minimum", description="Least memory, such as 4Gi."
    )
    maximum_bytes: Annotated[int, _MEMORY] = Field(
        alias="maximum", description="Most memory, such as 16Gi."
    )


class Memory(Part):
    """Memory of the VM to be created."""

    startup_bytes: Annotated[int, _MEMORY] = Field(
        alias="startup", description="Memory at start, such as 8Gi; all of it when not dynamic."
    )
    dynamic: DynamicMemory | None = Field(
        default=None, description="Dynamic memory between two bounds. Absent: static memory."
    )


class Processors(Part):
    """Processors of the VM to be created."""

    count: Annotated[int, Field(ge=1, le=2048)] = Field(description="Virtual processors.")


class NewDisk(Part):
    """A dynamic VHDX to be made."""

    size_bytes: Annotated[int, _DISK] = Field(
        alias="size", description="Largest size of the dynamic disk, such as 80Gi."
    )


class Disk(Part):
    """A disk of the VM to be created, new or existing."""

    path: DiskPath = Field(
        description="Path of the file: below a folder of a cluster shared volume, or relative to "
        r"location\<VM name>."
    )
    create: NewDisk | None = Field(
        default=None,
        description="Make the disk; an existing file is never overwritten. Absent: it exists.",
    )
    controller: Literal["IDE", "SCSI"] | None = Field(
        default=None,
        description="Controller at which it is attached, at its next free place. Generation 2 has "
        "SCSI only. Absent: on generation 1 IDE for the first three disks, then SCSI.",
    )


class SecureBoot(Part):
    """Secure boot of a generation 2 VM."""

    template: Literal["MicrosoftWindows", "MicrosoftUEFICertificateAuthority"] = Field(
        description="Whose signatures it trusts; Linux guests want the UEFI authority."
    )


class Network(Part):
    """The one network adapter of the VM to be created."""

    switch: SwitchName = Field(description="Hyper-V switch; it must exist on the node.")
    vlan: Annotated[int, Field(ge=1, le=4094)] | None = Field(
        default=None, description="VLAN id of the adapter. Absent: untagged."
    )


class Install(Part):
    """Where the guest system is installed from: exactly one source."""

    model_config = ConfigDict(json_schema_extra=exactly_one_rule("iso", "physicalDrive", "network"))

    iso: IsoPath | None = Field(
        default=None,
        description="Image in the virtual DVD drive. Outside a cluster shared volume it keeps the "
        "VM from failing over, and the high-availability report warns.",
    )
    physical_drive: DriveLetter | None = Field(
        default=None,
        description="The node's own DVD drive, such as D:; generation 1 only. The VM can't be "
        "live-migrated while it is connected.",
    )
    network: bool | None = Field(
        default=None,
        description="Boot from the network first; on generation 1 by a legacy adapter.",
    )


class Template(Part):
    """What to create if the VM does not exist; never used on one that exists."""

    generation: Literal[1, 2] = Field(
        description="Hyper-V generation, 1 or 2; it can't be changed later."
    )
    memory: Memory = Field(description="Memory of the VM.")
    processors: Processors = Field(default=Processors(count=1), description="Processors of the VM.")
    location: SharedFolder = Field(
        description="Folder on a cluster shared volume in which a folder of the VM's name is made."
    )
    disks: Annotated[tuple[Disk, ...], Field(max_length=64)] = Field(
        default=(),
        description="Disks in order; none: a VM without a disk.",
        json_schema_extra=ATOMIC,
    )
    secure_boot: SecureBoot | None = Field(
        default=None, description="Secure boot; generation 2 only. Absent: Hyper-V's default."
    )
    network: Network | None = Field(
        default=None, description="Network of the VM's adapter. Absent: not connected."
    )
    install: Install | None = Field(
        default=None, description="Where the guest is installed from. Absent: nothing inserted."
    )
    automatic_stop: Literal["Save", "ShutDown"] | None = Field(
        default=None,
        description="What Hyper-V does with the VM when its node shuts down. Absent: Hyper-V's "
        "default. Turning it off is not offered.",
    )


class VirtualMachinePlacementSpec(Spec):
    """Where one VM belongs."""

    cluster: ObjectName = Field(description="Name of the FailoverCluster that it belongs to.")
    vm: VMSelector = Field(description="Which VM is meant.")
    owners: Owners = Field(default=Owners(), description="Where it may and should run.")
    high_availability: HighAvailability = Field(
        default=HighAvailability(), description="Whether it is made a role of the cluster."
    )
    migration: MigrationWay = Field(default=MigrationWay(), description="How it may be moved.")
    suspend: bool = Field(
        default=False, description="Report only: nothing is done about this VM while true."
    )
    template: Template | None = Field(
        default=None, description="What to create if it does not exist. Absent: never create it."
    )

    def contradictions(self) -> Iterator[Contradiction]:
        """One VM, no node twice, preferred nodes possible, a template that can be built."""
        yield from exactly_one(self.vm, "vm")
        yield from repeated(self.owners.preferred, "owners", "preferred")
        yield from repeated(self.owners.possible or (), "owners", "possible")
        yield from _impossible_wishes(self.owners)
        availability = self.high_availability
        if availability.start == "AfterRegistration" and not availability.registers:
            yield Contradiction(
                at=("highAvailability", "start"),
                message="has no effect without register: true",
                expected="register: true, or start: Never",
            )
        if self.template is not None:
            if self.vm.name is None:
                yield Contradiction(
                    at=("template",),
                    message="creates by name, and the VM is given by id",
                    expected="vm.name",
                )
            yield from _template(self.template)


def _impossible_wishes(owners: Owners) -> Iterator[Contradiction]:
    """Preferred nodes that the list of possible ones leaves out."""
    if owners.possible is None:
        return
    for index, node in enumerate(owners.preferred):
        if not any(same_name(node, possible) for possible in owners.possible):
            yield Contradiction(
                at=("owners", "preferred", index),
                message=f"{node} is preferred and not among the possible nodes",
                expected="one of " + ", ".join(owners.possible),
            )


def _template(template: Template) -> Iterator[Contradiction]:
    """What Hyper-V would refuse after half of the work was done."""
    memory = template.memory
    if memory.dynamic is not None:
        low, high = memory.dynamic.minimum_bytes, memory.dynamic.maximum_bytes
        if not low <= memory.startup_bytes <= high:
            yield Contradiction(
                at=("template", "memory"),
                message=f"startup {format_size(memory.startup_bytes)} is not between "
                f"{format_size(low)} and {format_size(high)}",
                expected="minimum <= startup <= maximum",
            )
    if template.generation == 1 and template.secure_boot is not None:
        yield Contradiction(
            at=("template", "secureBoot"),
            message="exists on generation 2 only",
            expected="generation: 2, or no secureBoot",
        )
    yield from _controllers(template)
    if template.generation == 2 and template.install and template.install.physical_drive:
        yield Contradiction(
            at=("template", "install", "physicalDrive"),
            message="can be connected on generation 1 only",
            expected="generation: 1, or iso",
        )
    seen: set[str] = set()
    for index, disk in enumerate(template.disks):
        at = ("template", "disks", index, "path")
        if fold(disk.path) in seen:
            yield Contradiction(at=at, message=f"{disk.path} is listed twice")
        seen.add(fold(disk.path))
        if fold(disk.path).endswith(".vhd") and (template.generation == 2 or disk.create):
            yield Contradiction(
                at=at,
                message="is a .vhd, which generation 2 can't use and we don't make",
                expected="a .vhdx",
            )


IDE_DISKS_MAX = 3
"""Four places, one of which the DVD drive has (generation 1)."""


def _controllers(template: Template) -> Iterator[Contradiction]:
    """Controllers that the generation has, with a place for each disk, and one to boot from."""
    wanted = [disk.controller for disk in template.disks]
    for index, controller in enumerate(wanted):
        at = ("template", "disks", index, "controller")
        if controller == "IDE" and template.generation == 2:
            yield Contradiction(
                at=at, message="generation 2 has no IDE controller", expected="SCSI, or nothing"
            )
        if controller == "SCSI" and template.generation == 1 and index == 0:
            yield Contradiction(
                at=at, message="generation 1 can't boot from SCSI", expected="IDE, or nothing"
            )
    if template.generation == 1 and wanted.count("IDE") > IDE_DISKS_MAX:
        yield Contradiction(
            at=("template", "disks"),
            message=f"IDE has room for {IDE_DISKS_MAX} disks beside the DVD drive",
            expected="controller: SCSI for the others",
        )


class VirtualMachinePlacement(Resource):
    """Where one VM belongs, and how it is made if it does not exist."""

    kind: Literal["VirtualMachinePlacement"] = Field(description="VirtualMachinePlacement.")
    metadata: NamespacedMetadata = Field(description="Name and labels of the document.")
    spec: VirtualMachinePlacementSpec = Field(description="Where the VM belongs.")
