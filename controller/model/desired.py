"""What the specs of one cluster ask for, merged, checked and ready to be planned."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from controller.model.findings import Finding
from controller.model.names import same_name
from controller.model.policy import Policy
from controller.model.source import SourceState


class Enforcement(StrEnum):
    """Whether a possible node that is not preferred is wrong."""

    REQUIRED = "Required"
    PREFERRED = "Preferred"


class Failback(StrEnum):
    """Whether a VM returns to an earlier choice that can take it again."""

    WHEN_AVAILABLE = "WhenAvailable"
    IN_WINDOW = "InWindow"
    """Only while a window of effect Allow is open."""
    NEVER = "Never"


class MigrationKind(StrEnum):
    """How a VM may be moved by us."""

    LIVE = "Live"
    NEVER = "Never"


class StartPolicy(StrEnum):
    """When we start a role."""

    AFTER_REGISTRATION = "AfterRegistration"
    NEVER = "Never"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskTemplate:
    """A disk of a VM to be created, by absolute path. `create_bytes` None: it exists already."""

    path: str
    create_bytes: int | None
    controller: str = "SCSI"
    """IDE or SCSI."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VMTemplate:
    """All that creation needs; sizes in bytes, paths absolute below a cluster shared volume."""

    generation: int
    memory_startup_bytes: int
    processors: int
    location: str
    """Folder under which Hyper-V makes a folder of the VM's name."""
    disks: tuple[DiskTemplate, ...] = ()
    memory_minimum_bytes: int | None = None
    """Minimum and maximum together: dynamic memory. Absent: static."""
    memory_maximum_bytes: int | None = None
    secure_boot_template: str | None = None
    """MicrosoftWindows, MicrosoftUEFICertificateAuthority; generation 2 only."""
    switch: str | None = None
    """None: not connected."""
    vlan: int | None = None
    iso: str | None = None
    physical_drive: str | None = None
    """The node's own DVD drive, such as `D:`."""
    boots_from_network: bool = False
    processor_compatibility: bool = False
    automatic_stop: str | None = None
    """Save or ShutDown; None: Hyper-V's default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VMDesired:
    """What one spec says of one VM."""

    key: str
    """Folded identity within the cluster: `name:<folded>` or `id:<guid>`."""
    spec_name: str
    """metadata.name, as the person wrote it."""
    name: str | None
    id: str | None
    """Exactly one of name and id is given by the spec."""
    source: str
    """file:line of the document."""
    preferred: tuple[str, ...] = ()
    possible: tuple[str, ...] | None = None
    """None: every node."""
    enforcement: Enforcement = Enforcement.REQUIRED
    failback: Failback = Failback.WHEN_AVAILABLE
    register: bool = False
    accepts: frozenset[str] = frozenset()
    """Names of checks whose blocking finding the spec accepts."""
    start: StartPolicy = StartPolicy.NEVER
    priority: int | None = None
    """Of its role; None: whatever it is."""
    migration: MigrationKind = MigrationKind.LIVE
    processor_compatibility: bool = False
    """Whether it is to be able to move to other models of its processor; False: as it is."""
    suspended: bool = False
    template: VMTemplate | None = None
    generation: int = 0
    """metadata.generation in Kubernetes; 0 for files."""

    @property
    def title(self) -> str:
        """What a person calls it."""
        return self.name or self.spec_name

    def allows(self, node: str) -> bool:
        """Whether the node is possible for it by the spec alone."""
        return self.possible is None or any(same_name(node, p) for p in self.possible)

    def rank(self, node: str) -> int:
        """Place among the preferred nodes, 0 first; a node not preferred comes after them all."""
        for rank, preferred in enumerate(self.preferred):
            if same_name(node, preferred):
                return rank
        return len(self.preferred)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Two or more specs for one VM: all of them frozen, nothing else stopped."""

    key: str
    vms: tuple[VMDesired, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceDesired:
    """A node to empty."""

    key: str
    """`node:<folded name>`: no VMDesired has such a key."""
    spec_name: str
    node: str
    source: str
    """file:line of the document."""
    start: datetime | None = None
    """None: at once."""
    end: datetime | None = None
    """None: with the document."""
    returns: bool = True
    """False: while the document is there, no VM goes back to the node by its preference alone."""
    suspended: bool = False
    contradicts: tuple[str, ...] = ()
    """Places of other documents for the same node: then none of them is carried out."""
    generation: int = 0
    """metadata.generation in Kubernetes; 0 for files."""

    @property
    def title(self) -> str:
        """What a person calls it."""
        return self.node

    def is_on(self, now: datetime) -> bool:
        """Whether the node is to be empty at that time."""
        begun = self.start is None or self.start <= now
        return begun and (self.end is None or now < self.end)

    def is_over(self, now: datetime) -> bool:
        """Whether its window has passed."""
        return self.end is not None and now >= self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How to reach a cluster. Seeds are full node names."""

    seeds: tuple[str, ...]
    addresses: Mapping[str, str]
    """Folded node name -> host:port, where <node>.<domain of the first seed> is not its address."""
    authentication: str
    """Kerberos, NTLM, Certificate, Basic or CredSSP."""
    credentials_file: str | None
    credentials_env: str | None
    ca_file: str | None
    pins: Mapping[str, str] = field(default_factory=dict)
    """Folded node name -> SHA-256 of its certificate, in place of an authority."""
    ntlm_over_http: bool = False
    credentials_secret: str | None = None
    """Name of a Kubernetes secret in the controller's own namespace."""
    transport: str = "WinRM"
    """WinRM, or PSRP for a JEA endpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredState:
    """All specs of one cluster at one revision. `vms` holds no VM of a conflict."""

    cluster: str
    revision: str
    policy: Policy
    connection: Connection
    vms: tuple[VMDesired, ...]
    conflicts: tuple[Conflict, ...] = ()
    findings: tuple[Finding, ...] = ()
    sources: tuple[SourceState, ...] = ()
    maintenances: tuple[MaintenanceDesired, ...] = ()
    """One a node."""

    def vm(self, key: str) -> VMDesired | None:
        """The spec of that key."""
        return next((v for v in self.vms if v.key == key), None)
