"""FailoverCluster: how to reach a cluster, and the limits within which it may be changed.

It says where credentials go, so it is taken from the operator's own configuration only.
The defaults change nothing on a cluster: mode Observe, and the smallest limits for the day when
someone enforces.
"""

from collections.abc import Iterator
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ConfigDict, Field

from controller.model.names import fold
from controller.model.quantities import Duration, MemoryReserve, Percent, Text
from controller.model.spec.base import (
    ATOMIC,
    SET,
    Contradiction,
    HostName,
    HostPort,
    Labels,
    LabelValue,
    LocalFile,
    Namespace,
    NodeName,
    ObjectName,
    Part,
    Resource,
    SharedSubfolder,
    Spec,
    exactly_one,
    exactly_one_rule,
    repeated,
    rule,
)
from controller.model.window import parse_cron

EnvironmentName = Annotated[
    str, Text("[A-Za-z_][A-Za-z0-9_]*", "the name of an environment variable", 128)
]
CronLine = Annotated[
    str, Text("[0-9*,/A-Za-z-]+( [0-9*,/A-Za-z-]+){4}", "five cron fields, such as 0 22 * * *", 128)
]
TimeZone = Annotated[
    str, Text("[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", "an IANA time zone, such as Europe/Berlin", 64)
]


class SecretRef(Part):
    """A Kubernetes secret in the controller's own namespace."""

    name: ObjectName = Field(description="Name of the secret, with keys `username` and `password`.")


class Credentials(Part):
    """Where the account for this cluster is found: exactly one place."""

    model_config = ConfigDict(json_schema_extra=exactly_one_rule("file", "env", "secretRef"))

    file: LocalFile | None = Field(
        default=None, description="File that holds the account; read again after a refused log-on."
    )
    env: EnvironmentName | None = Field(
        default=None, description="Environment variable that holds the account."
    )
    secret_ref: SecretRef | None = Field(
        default=None, description="Kubernetes secret that holds the account."
    )


Fingerprint = Annotated[
    str,
    Text("[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}", "the SHA-256 of a certificate, in hex", 95),
]


class TLS(Part):
    """What the controller trusts: an authority, or each node's very certificate."""

    model_config = ConfigDict(json_schema_extra=exactly_one_rule("ca", "pins"))

    ca: LocalFile | None = Field(
        default=None, description="PEM file with the authority that signed the nodes' certificates."
    )
    pins: Annotated[dict[NodeName, Fingerprint], Field(max_length=64)] = Field(
        default_factory=dict,
        description="SHA-256 of each node's certificate, in hex; for self-signed ones.",
    )


class Connection(Part):
    """How the nodes are reached. There is no way to skip the check of a certificate."""

    model_config = ConfigDict(
        json_schema_extra=rule(
            "!self.ntlmOverHTTP || self.authentication == 'NTLM'",
            "ntlmOverHTTP means something with authentication NTLM only",
        )
    )

    nodes: Annotated[tuple[HostName, ...], Field(min_length=1, max_length=64)] = Field(
        description="Full DNS names of the nodes to ask first; the other nodes are discovered.",
        json_schema_extra=ATOMIC,
    )
    addresses: Annotated[dict[NodeName, HostPort], Field(max_length=64)] = Field(
        default_factory=dict,
        description="host:port of each node that is not at <node>.<domain of the first seed>:5986.",
    )
    transport: Literal["WinRM", "PSRP"] = Field(
        default="WinRM", description="WinRM, or PSRP for a JEA endpoint."
    )
    authentication: Literal["Kerberos", "NTLM", "Certificate", "Basic", "CredSSP"] = Field(
        description="How to log on. Basic, Certificate and CredSSP are spoken over HTTPS only; "
        "CredSSP hands the password to the nodes and is advised against."
    )
    ntlm_over_http: bool = Field(
        default=False,
        alias="ntlmOverHTTP",
        description="Allow NTLM to nodes at port 5985: sealed, but open to relaying.",
    )
    credentials: Credentials = Field(description="Where the account is found.")
    tls: TLS | None = Field(
        default=None, description="What to trust; absent: the machine's own authorities."
    )


class ClusterNode(Part):
    """Labels and fault domain of one node, for rules over nodes."""

    name: NodeName = Field(description="The node's name in the cluster.")
    labels: Labels = Field(default_factory=dict, description="Labels that rules select by.")
    fault_domain: LabelValue | None = Field(
        default=None,
        description="What fails together with this node, such as a rack. VMs of one fault domain "
        "are moved at a time; a node without one is a domain of its own.",
    )


class MigrationLimits(Part):
    """How many live migrations may run at once; never more than the cluster's own limit."""

    model_config = ConfigDict(
        json_schema_extra=rule("self.perCluster >= self.perNode", "perCluster not below perNode")
    )

    per_node: Annotated[int, Field(ge=1, le=64)] = Field(
        default=1, description="Migrations at a node at once, in and out counted together."
    )
    per_cluster: Annotated[int, Field(ge=1, le=256)] = Field(
        default=2, description="Migrations in the cluster at once, those of others included."
    )


class Capacity(Part):
    """What must stay free; restricts where a VM may go and never moves one away."""

    memory_reserve: MemoryReserve | None = Field(
        default=None,
        description="Memory to leave free on a target, as a share of the node (10%) or a size "
        "(8Gi). Absent: the larger of 10% and 4Gi.",
    )
    tolerate_node_failures: Annotated[int, Field(ge=0, le=63)] = Field(
        default=0, description="Nodes that may fail with room left for all their VMs."
    )


class Window(Part):
    """A recurring time in which moves are allowed or denied."""

    effect: Literal["Allow", "Deny"] = Field(description="What the window does to due changes.")
    schedule: CronLine = Field(description="When it opens, as five cron fields.")
    duration: Annotated[int, Duration(60, 7 * 86400)] = Field(
        description="How long it stays open, such as 6h."
    )
    time_zone: TimeZone = Field(default="UTC", description="IANA time zone of the schedule.")


class Brakes(Part):
    """What slows the controller down when much changes."""

    changes_per_commit: Annotated[int, Percent()] = Field(
        default=10,
        description="Share of the VMs that one change of the specs may make due without approval; "
        "five VMs always may.",
    )
    cooldown_seconds: Annotated[int, Duration(0, 86400)] = Field(
        default=600,
        alias="cooldown",
        description="Time between two moves of one VM by the controller, such as 10m.",
    )
    moves_per_vm_per_day: Annotated[int, Field(ge=1, le=100)] = Field(
        default=3,
        alias="movesPerVMPerDay",
        description="Moves of one VM by the controller in 24 hours at an unchanged spec.",
    )


class ForeignMoves(Part):
    """How moves by administrators and by the cluster itself are treated."""

    respect_seconds: Annotated[int, Duration(0, 30 * 86400)] = Field(
        default=1800,
        alias="respect",
        description="A move by others is reported at once and undone no sooner, such as 30m.",
    )


class Timing(Part):
    """Times that a demonstration shortens; leave them alone on a real cluster."""

    settle_seconds: Annotated[int, Duration(1, 3600)] = Field(
        default=60,
        alias="settle",
        description="Distance of the two complete looks that settle a lost command as not done.",
    )
    node_stable_seconds: Annotated[int, Duration(0, 86400)] = Field(
        default=600,
        alias="nodeStable",
        description="How long a node that was away must be back before it takes VMs.",
    )
    failure_pause_seconds: Annotated[int, Duration(1, 86400)] = Field(
        default=1800,
        alias="failurePause",
        description="Nothing starts for so long after three failures in the last ten commands.",
    )


class FailoverClusterSpec(Spec):
    """How to reach a cluster, and the limits within which it may be changed."""

    model_config = ConfigDict(
        json_schema_extra=rule(
            "has(self.defaultFolder) ? self.defaultPaths != 'Ignore' : "
            "self.defaultPaths != 'Manage'",
            "defaultPaths Manage needs a defaultFolder, which means nothing with Ignore",
        )
    )

    connection: Connection = Field(description="How the nodes are reached.")
    mode: Literal["Observe", "Suggest", "Enforce"] = Field(
        default="Observe",
        description="Observe reports only; Suggest waits for approval; Enforce acts.",
    )
    interval_seconds: Annotated[int, Duration(1, 3600)] = Field(
        default=15,
        alias="interval",
        description="Time between two looks at a cluster where nothing is under way, such as 15s.",
    )
    nodes: Annotated[tuple[ClusterNode, ...], Field(max_length=64)] = Field(
        default=(),
        description="Labels and fault domains of nodes.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    migration: MigrationLimits = Field(
        default=MigrationLimits(), description="Limits on live migrations at once."
    )
    capacity: Capacity = Field(default=Capacity(), description="What must stay free on nodes.")
    windows: Annotated[tuple[Window, ...], Field(max_length=32)] = Field(
        default=(),
        description="When changes are allowed; none: always.",
        json_schema_extra=ATOMIC,
    )
    brakes: Brakes = Field(default=Brakes(), description="What slows the controller down.")
    allowed_namespaces: Annotated[tuple[Namespace, ...], Field(max_length=256)] = Field(
        default=(),
        description="Namespaces whose placements count; none: only documents without a namespace.",
        json_schema_extra=SET,
    )
    native_policy: Literal["Ignore", "Report", "Manage"] = Field(
        default="Ignore",
        description="What to do about owner lists, failback, priority and anti-affinity in the "
        "cluster itself.",
    )
    default_paths: Literal["Ignore", "Report", "Manage"] = Field(
        default="Ignore",
        description="What to do about the folders in which each node puts new VMs and new disks "
        "where nobody names another: Report those that other nodes don't reach, or Manage them.",
    )
    default_folder: SharedSubfolder | None = Field(
        default=None,
        description="The folder for both, on every node; it must exist. With Report, any other is "
        "told; with Manage, it is set.",
    )
    balancer: Literal["Refuse", "Coexist"] = Field(
        default="Refuse",
        description="What Enforce does while the cluster's own balancer is on.",
    )
    foreign_moves: ForeignMoves = Field(
        default=ForeignMoves(), description="How moves by others are treated."
    )
    timing: Timing = Field(default=Timing(), description="Times that a demonstration shortens.")

    def contradictions(self) -> Iterator[Contradiction]:
        """Exactly one place for the account, no node twice, limits in order."""
        connection = self.connection
        yield from exactly_one(connection.credentials, "connection", "credentials")
        if connection.tls is not None:
            yield from exactly_one(connection.tls, "connection", "tls")
        if connection.ntlm_over_http and connection.authentication != "NTLM":
            yield Contradiction(
                at=("connection", "ntlmOverHTTP"),
                message=f"means nothing with authentication {connection.authentication}",
                expected="authentication: NTLM",
            )
        if self.default_paths == "Manage" and self.default_folder is None:
            message, expected = "Manage does not say where they are to be", "a defaultFolder"
            yield Contradiction(at=("defaultPaths",), message=message, expected=expected)
        if self.default_paths == "Ignore" and self.default_folder is not None:
            message, expected = "means nothing while they are ignored", "defaultPaths: Report"
            yield Contradiction(at=("defaultFolder",), message=message, expected=expected)
        yield from repeated(connection.nodes, "connection", "nodes")
        yield from repeated(self.allowed_namespaces, "allowedNamespaces")
        folded: dict[str, str] = {}
        for name in connection.addresses:
            other = folded.setdefault(fold(name), name)
            if other != name:
                yield Contradiction(
                    at=("connection", "addresses", name),
                    message=f"names the same node as {other}: Windows does not tell case",
                )
        if self.migration.per_cluster < self.migration.per_node:
            yield Contradiction(
                at=("migration",),
                message=f"perNode {self.migration.per_node} can never be reached with "
                f"perCluster {self.migration.per_cluster}",
                expected="perCluster not below perNode",
            )
        yield from repeated(tuple(node.name for node in self.nodes), "nodes")
        for index, node in enumerate(self.nodes):
            if node.fault_domain is None and not node.labels:
                message = f"says nothing of {node.name}"
                yield Contradiction(at=("nodes", index), message=message, expected="faultDomain")
        for index, window in enumerate(self.windows):
            yield from _unreadable(window, ("windows", index))


def _unreadable(window: Window, at: tuple[str | int, ...]) -> Iterator[Contradiction]:
    """A schedule or time zone that is well-formed and means nothing."""
    try:
        parse_cron(window.schedule)
    except ValueError as error:
        yield Contradiction(at=(*at, "schedule"), message=str(error))
    try:
        ZoneInfo(window.time_zone)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        yield Contradiction(
            at=(*at, "timeZone"),
            message=f"{window.time_zone} is not known on this machine",
            expected="an IANA time zone",
        )


class FailoverCluster(Resource):
    """A failover cluster: how to reach it, and the limits within which it may be changed."""

    kind: Literal["FailoverCluster"] = Field(description="FailoverCluster.")
    spec: FailoverClusterSpec = Field(description="The cluster as the operator declares it.")
