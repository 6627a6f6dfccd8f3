"""Replies to `observe` as nodes give them, and what is merged of them."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from controller.adapters.winrm.merge import Look, Seen, merge
from controller.adapters.winrm.parsing import Lists, parse_observation
from controller.model.observed import Gap, ObservedState

AT = datetime(2030, 1, 7, 8, 0, tzinfo=UTC)
GIB = 1024**3


def guid(name: str) -> str:
    """The id of whatever bears that name."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


def view(
    name: str, *, state: int = 0, drain: int = 0, status: int = 0, failback: int | None = 0
) -> dict[str, Any]:
    """One node as another sees it."""
    facts = {"state": state, "drain": drain, "failback": failback, "status": status}
    return {"name": name, **facts}


def vm(
    name: str, *, state: int = 2, status: Sequence[int] = (2,), **changes: Any
) -> dict[str, Any]:
    """One VM as Get-VM shows it."""
    return {
        "id": guid(name),
        "name": name,
        "state": state,
        "status": list(status),
        "memoryAssignedBytes": 4 * GIB if state == 2 else 0,
        "memoryStartupBytes": 2 * GIB,
        "clustered": True,
        "mark": None,
        "uptimeSeconds": 60,
        "equipment": equipment(name),
        **changes,
    }


def equipment(name: str, **changes: Any) -> dict[str, Any]:
    """What is read seldom of a VM."""
    folder = f"C:\\ClusterStorage\\Volume1\\{name}"
    return {
        "ageSeconds": 0,
        "processors": 2,
        "generation": 2,
        "version": "10.0",
        "configurationPath": folder,
        "checkpointPath": folder,
        "pagingPath": folder,
        "replication": 0,
        "disks": [{"path": f"{folder}\\os.vhdx", "diskNumber": None, "shared": False}],
        "media": [],
        "adapters": [{"switch": "Prod"}, {"switch": None}],
        "processorCompatibility": False,
        "tpm": False,
        "shielded": False,
        "fibreChannel": 0,
        "assignedDevices": 0,
        "gpuPartitions": 0,
        **changes,
    }


def hardware(**changes: Any) -> dict[str, Any]:
    """What a node reads seldom of itself."""
    return {
        "ageSeconds": 0,
        "model": "ownernode simulator",
        "manufacturer": None,
        "domainJoined": True,
        "build": 26100,
        "processorVendor": "GenuineIntel",
        "processorFamily": "Intel64 Family 6 Model 106 Stepping 6",
        "processorsLogical": 32,
        "migrationsMax": 1,
        "vmPath": None,
        "vhdPath": None,
        "vmVersions": ["9.0", "10.0"],
        "switches": [{"name": "Prod", "type": 2}],
        "scvmmAgent": False,
        "moveTypeThreshold": 2000,
        **changes,
    }


def role(name: str, owner: str | None, **changes: Any) -> dict[str, Any]:
    """One role as its owner shows it."""
    return {
        "id": guid(f"role {name}"),
        "name": name,
        "vmId": guid(name),
        "state": 0,
        "status": 0,
        "owner": owner,
        "priority": 2000,
        "persistentState": 1,
        "failback": 0,
        "locked": 0,
        "antiAffinity": [],
        "preferredOwners": [],
        "possibleOwners": {"machine": ["HV01", "HV02"], "configuration": ["hv02", "HV01"]},
        "migration": None,
        **changes,
    }


def listed(*roles: Mapping[str, Any]) -> dict[str, Any]:
    """The cluster-wide lists with these roles."""
    return {
        "roles": [{f: r[f] for f in ("id", "name", "state", "status", "owner")} for r in roles],
        "volumes": [
            {"path": "C:\\ClusterStorage\\Volume1\\", "sizeBytes": 100, "freeBytes": 40},
            {"path": "C:\\ClusterStorage\\Gone", "sizeBytes": None, "freeBytes": None},
        ],
        "volumeStates": [],
        "affinity": [],
    }


NOBODY: Mapping[str, Any] = {"epoch": None, "holder": None, "stop": None}


def reply(
    node: str,
    *,
    nodes: Sequence[Mapping[str, Any]] = (view("HV01"), view("HV02")),
    vms: Sequence[Mapping[str, Any]] = (),
    roles: Sequence[Mapping[str, Any]] = (),
    lists: Mapping[str, Any] | None = None,
    fence: Mapping[str, Any] = NOBODY,
    **changes: Any,
) -> dict[str, Any]:
    """All that one node says."""
    return {
        "node": node,
        "cluster": {
            "name": "c1",
            "id": guid("c1"),
            "functionalLevel": 12,
            "migrationsParallelMax": 2,
            "balancerMode": 0,
            "balancerLevel": 1,
            "antiAffinityEnforced": 0,
            **fence,
        },
        "nodes": [dict(node) for node in nodes],
        "self": {
            "memoryTotalBytes": 64 * GIB,
            "memoryAvailableBytes": 40 * GIB,
            "time": "2030-01-07T08:00:00.000Z",
            "hardware": hardware(),
        },
        "vms": list(vms),
        "roles": list(roles),
        "jobs": [],
        "lists": lists,
        **changes,
    }


def merged(
    *replies: Mapping[str, Any],
    lists: Mapping[str, Any] | None = None,
    gaps: tuple[Gap, ...] = (),
    vm_of_role: Mapping[str, str] | None = None,
) -> ObservedState:
    """The snapshot of these replies, with lists that were agreed on."""
    agreed: Lists | None = None
    if lists is not None:
        agreed = parse_observation(reply("HV01", lists=lists)).lists
    return merge(
        Look(
            cluster="c1",
            cluster_id=guid("c1"),
            started_at=AT,
            completed_at=AT,
            seen=tuple(Seen(reply=parse_observation(r), at=AT) for r in replies),
            gaps=gaps,
            lists=agreed,
            vm_of_role=vm_of_role or {},
            nodes_before=("HV01", "HV02"),
        )
    )
