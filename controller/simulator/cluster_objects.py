"""The cluster's records as the objects that FailoverClusters cmdlets write.

Properties and types: the reflected module (`Microsoft.FailoverClusters.PowerShell`). Nothing here
changes the world; each function shows one view of the cluster, which may be an old one.
"""

from __future__ import annotations

from collections.abc import Mapping

from controller.model.names import fold
from controller.simulator.inventory import Cluster, Node, Role, Volume
from controller.simulator.migration import progress_percent
from controller.simulator.roles import CONFIGURATION_RESOURCE, CORE_GROUPS, VM_RESOURCE
from controller.simulator.simulation import Simulation
from controller.simulator.states import (
    GroupFlag,
    GroupState,
    GroupType,
    NodeState,
    RedirectCause,
    ResourceState,
    Stage,
    VolumeState,
    powershell,
)
from controller.simulator.storage import free_bytes
from controller.simulator.values import EnumValue, PSObject, Value

TYPE = "Microsoft.FailoverClusters.PowerShell."
_UNSET = 0xFFFFFFFF
_STATUS_TEXT = {
    "en": ("Queued for live migration", "Live migrating, {}% completed"),
    "de": ("Livemigration in Warteschlange", "Livemigration, {} % abgeschlossen"),
}


def cluster_object(cluster: Cluster) -> PSObject:
    """What Get-Cluster gives; MaximumParallelMigrations is absent on older builds."""
    properties: dict[str, Value] = {
        "Name": cluster.name,
        "Id": cluster.id,
        "Domain": cluster.domain,
        "ClusterFunctionalLevel": cluster.functional_level,
        "AutoBalancerMode": cluster.balancer_mode,
        "AutoBalancerLevel": cluster.balancer_level,
        "ClusterEnforcedAntiAffinity": int(cluster.anti_affinity_enforced),
        "ResiliencyDefaultPeriod": int(cluster.resiliency_seconds),
        "QuarantineThreshold": cluster.quarantine_threshold,
        "QuarantineDuration": int(cluster.quarantine_seconds),
        "DrainOnShutdown": 1,
        "SharedVolumesRoot": "C:\\ClusterStorage",
    }
    if cluster.migrations_max is not None:
        properties["MaximumParallelMigrations"] = cluster.migrations_max
    return PSObject(TYPE + "Cluster", properties)


_NO_STATUS = EnumValue(TYPE + "ClusterResourceStatusInformation", "0", 0)
_STRING = EnumValue(TYPE + "ClusterParameterType", "String", 3)
_NUMBER = EnumValue(TYPE + "ClusterParameterType", "UInt32", 2)


class View:
    """One cluster's objects at one moment; a node's object is shared by all that refer to it."""

    def __init__(self, sim: Simulation, cluster: Cluster) -> None:
        self.sim = sim
        self.cluster = cluster
        self._nodes: dict[str, PSObject] = {}
        self._groups: dict[str, PSObject] = {}

    def nodes(self) -> list[PSObject]:
        return [self.node(key) for key in sorted(self.cluster.nodes)]

    def node(self, name: str) -> PSObject:
        key = fold(name)
        if key not in self._nodes:
            self._nodes[key] = self._node(self.cluster.nodes[key])
        return self._nodes[key]

    def groups(self, owner: str | None = None) -> list[PSObject]:
        """All roles by name, the cluster's own groups among them; or those of one folded node."""
        roles = [
            self.group(role)
            for role in self.cluster.roles.values()
            if owner is None or (fold(role.owner) == owner and not self._is_ownerless(role))
        ]
        core = []
        if owner in (None, min(self.cluster.nodes)):
            core = [self._core_group(number, name) for number, name in enumerate(CORE_GROUPS)]
        return sorted(roles + core, key=_by_name)

    def resources(self) -> list[PSObject]:
        found = [r for role in self.cluster.roles.values() for r in self.resources_of(role)]
        name = self._resource("Cluster Name", self._core_id(7), "Network Name", None)
        return sorted([*found, name], key=_by_name)

    def resources_of(self, role: Role) -> tuple[PSObject, PSObject]:
        """The VM resource and the configuration resource of a role."""
        return (
            self._resource(role.vm_resource, role.vm_resource_id, VM_RESOURCE, role),
            self._resource(
                role.configuration_resource,
                role.configuration_resource_id,
                CONFIGURATION_RESOURCE,
                role,
            ),
        )

    def group(self, role: Role) -> PSObject:
        if role.id not in self._groups:
            self._groups[role.id] = self._group(role)
        return self._groups[role.id]

    def volume(self, volume: Volume) -> PSObject:
        info = {
            "FriendlyVolumeName": volume.mount,
            "FaultState": "NoFaults",
            "Partition": self._partition(volume) if volume.online else None,
        }
        return PSObject(
            TYPE + "ClusterSharedVolume",
            {
                "Name": volume.name,
                "Id": volume.id,
                "State": powershell(
                    ResourceState.Online if volume.online else ResourceState.Offline
                ),
                "OwnerNode": self.node(volume.owner),
                "SharedVolumeInfo": [PSObject(TYPE + "ClusterSharedVolumeInfo", info)],
            },
        )

    def volume_states(self) -> list[PSObject]:
        """How each node reaches each volume: one row a node and volume."""
        return [
            PSObject(
                TYPE + "ClusterSharedVolumeStateInfo",
                {
                    "Name": volume.name,
                    "Node": node.name,
                    "VolumeFriendlyName": volume.mount,
                    **_way_to(volume, node),
                },
            )
            for volume in self.cluster.volumes
            for node in self.cluster.nodes.values()
            if node.state in (NodeState.Up, NodeState.Paused)
        ]

    def owner_list(self, owned: PSObject, names: list[str]) -> PSObject:
        owners: list[Value] = [self.node(name) for name in names]
        return PSObject(
            TYPE + "ClusterOwnerNodeList", {"ClusterObject": owned, "OwnerNodes": owners}
        )

    def cluster_parameters(self, cluster: PSObject) -> list[PSObject]:
        """The cluster's private properties, by name."""
        rows = sorted(self.cluster.parameters.items())
        return [parameter(cluster, name, value) for _, (name, value) in rows]

    def parameters(self, resource: PSObject, role: Role) -> list[PSObject]:
        """The private properties of one of a role's two resources."""
        values: dict[str, Value] = {"VmId": role.vm_id}
        if resource.properties["Name"] == role.vm_resource:
            values |= {"OfflineAction": 1, "DefaultMoveType": _UNSET, **self._migration(role)}
        else:
            values["VmStoreRootPath"] = self.cluster.vms[role.vm_id].path
        return [parameter(resource, name, value) for name, value in values.items()]

    def _migration(self, role: Role) -> Mapping[str, Value]:
        if self.sim.doubts.migration_properties == "absent":
            return {}
        if self.sim.doubts.migration_properties == "zero":
            return {"MigrationState": 0, "MigrationProgress": 0, "MigrationFailureReason": 0}
        migration = self.cluster.migrations.get(role.vm_id)
        progress = role.migration_progress
        if migration is not None:
            progress = progress_percent(self.sim, migration)
        return {
            "MigrationState": int(role.migration_state),
            "MigrationProgress": progress,
            "MigrationFailureReason": role.migration_failure,
        }

    def _node(self, node: Node) -> PSObject:
        return PSObject(
            TYPE + "ClusterNode",
            {
                "Name": node.name,
                "NodeName": node.name,
                "Id": str(node.number),
                "State": powershell(node.state),
                "DrainStatus": powershell(node.drain),
                "FailbackStatus": powershell(node.failback),
                "StatusInformation": powershell(node.flags),
                "DrainTarget": _UNSET
                if node.drain_target is None
                else self.cluster.nodes[fold(node.drain_target)].number,
                "DrainErrorCode": 0,
                "NodeWeight": 1,
                "DynamicWeight": 1,
                "MajorVersion": 10,
                "MinorVersion": 0,
                "BuildNumber": node.build,
                "Manufacturer": node.manufacturer,
                "Model": node.model,
                "Type": EnumValue(TYPE + "NodeType", "Node", 0),
            },
        )

    def _group(self, role: Role) -> PSObject:
        return PSObject(
            TYPE + "ClusterGroup",
            {
                "Name": role.name,
                "Id": role.id,
                "Description": "",
                "GroupType": powershell(GroupType.VirtualMachine),
                "IsCoreGroup": False,
                "State": powershell(self.sim.group_state(self.cluster, role)),
                "StatusInformation": powershell(self._group_flags(role)),
                "OwnerNode": None if self._is_ownerless(role) else self.node(role.owner),
                "Priority": role.priority,
                "PersistentState": int(role.persistent),
                "AutoFailbackType": int(role.auto_failback),
                "FailbackWindowStart": _UNSET,
                "FailbackWindowEnd": _UNSET,
                "FailoverThreshold": _UNSET,
                "FailoverPeriod": 6,
                "AntiAffinityClassNames": list(role.anti_affinity),
                "DefaultOwner": _UNSET,
                "ColdStartSetting": 0,
                "LockedFromMoving": int(role.locked),
                "PlacementOptions": int(role.balancer_excluded),
                "PreferredSite": "",
            },
        )

    def _is_ownerless(self, role: Role) -> bool:
        return role.failing_over and self.sim.doubts.owner_in_failover == "null"

    def _group_flags(self, role: Role) -> GroupFlag:
        flags = GroupFlag(0)
        if role.locked:
            flags |= GroupFlag.Locked
        if self._is_queued(role):
            flags |= GroupFlag.Queued
        if role.waiting_for_memory:
            flags |= GroupFlag.PhysicalResourcesLacking | GroupFlag.WaitingToStart
        if role.unmonitored and self.cluster.nodes[fold(role.owner)].state is NodeState.Down:
            flags |= GroupFlag.Unmonitored
        return flags

    def _is_queued(self, role: Role) -> bool:
        migration = self.cluster.migrations.get(role.vm_id)
        if migration is None:
            return False
        lingers = self.sim.doubts.queued_flag_ends == "at_transfer"
        return migration.stage is Stage.QUEUED or (lingers and migration.stage is Stage.SET_UP)

    def _core_group(self, number: int, name: str) -> PSObject:
        online = number == 0
        return PSObject(
            TYPE + "ClusterGroup",
            {
                "Name": name,
                "Id": self._core_id(number),
                "Description": "",
                "GroupType": powershell(
                    GroupType.Cluster if online else GroupType.AvailableStorage
                ),
                "IsCoreGroup": True,
                "State": powershell(GroupState.Online if online else GroupState.Offline),
                "StatusInformation": powershell(GroupFlag(0)),
                "OwnerNode": self.nodes()[0],
                "Priority": 2000,
                "PersistentState": 1,
                "AutoFailbackType": 0,
                "AntiAffinityClassNames": [],
                "LockedFromMoving": 0,
                "PlacementOptions": 0,
            },
        )

    def _core_id(self, number: int) -> str:
        return f"{self.cluster.id[:-2]}{0xA0 + number:02x}"

    def _resource(self, name: str, id_: str, kind: str, role: Role | None) -> PSObject:
        group = self.group(role) if role else self._core_group(0, CORE_GROUPS[0])
        resource_type = PSObject(TYPE + "ClusterResourceType", {"Name": kind, "DisplayName": kind})
        as_text = self.sim.doubts.resource_links == "text"
        return PSObject(
            TYPE + "ClusterResource",
            {
                "Name": name,
                "Id": id_,
                "ResourceType": kind if as_text else resource_type,
                "OwnerGroup": group.properties["Name"] if as_text else group,
                "OwnerNode": group.properties["OwnerNode"],
                "State": powershell(self._resource_state(role)),
                "StatusInformation": _NO_STATUS,
                "ResourceSpecificStatus": self._status_text(role),
                "LastOperationStatusCode": 0,
                "IsCoreResource": role is None,
                "MaintenanceMode": False,
            },
        )

    def _resource_state(self, role: Role | None) -> ResourceState:
        if role is None:
            return ResourceState.Online
        match self.sim.group_state(self.cluster, role):
            case GroupState.Online:
                return ResourceState.Online
            case GroupState.Failed:
                return ResourceState.Failed
            case GroupState.Pending:
                return ResourceState.OnlinePending
            case _:
                return ResourceState.Offline

    def _status_text(self, role: Role | None) -> str:
        migration = self.cluster.migrations.get(role.vm_id) if role else None
        if migration is None:
            return ""
        queued, moving = _STATUS_TEXT[self.sim.doubts.resource_status_language]
        if migration.stage is Stage.QUEUED:
            return queued
        return moving.format(progress_percent(self.sim, migration))

    def _partition(self, volume: Volume) -> PSObject:
        free = free_bytes(volume)
        return PSObject(
            TYPE + "ClusterDiskPartitionInfo",
            {
                "Name": f"\\\\?\\Volume{{{volume.id}}}\\",
                "FileSystem": "CSVFS",
                "Size": volume.size_bytes,
                "FreeSpace": free,
                "UsedSpace": volume.size_bytes - free,
                "PercentFree": 100.0 * free / volume.size_bytes,
            },
        )


def parameter(owner: PSObject, name: str, value: Value) -> PSObject:
    """One row of Get-ClusterParameter."""
    return PSObject(
        TYPE + "ClusterParameter",
        {
            "ClusterObject": owner,
            "Name": name,
            "Value": value,
            "IsReadOnly": False,
            "ParameterType": _STRING if isinstance(value, str) else _NUMBER,
        },
    )


def _by_name(item: PSObject) -> str:
    return fold(str(item.properties["Name"]))


def _way_to(volume: Volume, node: Node) -> dict[str, Value]:
    """How a node reaches a volume; ReFS on a SAN is always redirected."""
    mount, cause = fold(volume.mount), RedirectCause.NotFileSystemRedirected
    state = VolumeState.Direct
    if not volume.online or mount in node.volumes_lost:
        state = VolumeState.Unavailable
    elif node.volumes_redirected.get(mount) == "Block":
        state = VolumeState.BlockRedirected
    elif mount in node.volumes_redirected:
        state = VolumeState.FileSystemRedirected
        cause = RedirectCause[node.volumes_redirected[mount]]
    return {"StateInfo": powershell(state), "FileSystemRedirectedIOReason": powershell(cause)}
