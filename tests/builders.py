"""Small constructors for worlds, specs and pasts, with the defaults of a healthy cluster.

`observed(node("n1"), vm("sql1", "n1"))` is a snapshot, `desired_state(desired("sql1"))` the specs
for it, `history()` a past that lets everything go. Sizes are given in GiB.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from controller.model.desired import (
    Connection,
    DesiredState,
    Enforcement,
    Failback,
    MaintenanceDesired,
    MigrationKind,
    StartPolicy,
    VMDesired,
    VMTemplate,
)
from controller.model.history import (
    ForeignMove,
    History,
    Intent,
    IntentState,
    OwnMove,
    Refusals,
    Sighting,
)
from controller.model.names import fold
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
from controller.model.plan import ActionKind
from controller.model.policy import GIB, Mode, Policy

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
VOLUME = r"C:\ClusterStorage\Volume1"
SIMULATOR = "ownernode simulator"
CLUSTER = "demo"


def vm_id(name: str) -> str:
    """The id that `vm(name, ...)` has: made of the name, as a lower-case GUID."""
    digits = fold(name).encode().hex()[:24].rjust(24, "0")
    return f"00000000-{digits[:4]}-{digits[4:8]}-{digits[8:12]}-{digits[12:]}"


def node(
    name: str,
    *,
    total: float = 128,
    free: float | None = None,
    state: NodeState = NodeState.UP,
    **changes: Any,
) -> NodeObserved:
    """A node that is Up and answers. `free` GiB are available; None: `observed` works it out."""
    up = state not in (NodeState.DOWN, NodeState.UNKNOWN)
    fields: dict[str, Any] = {
        "answered": up,
        "model": SIMULATOR,
        "memory_total_bytes": int(total * GIB),
        "memory_available_bytes": None if free is None else int(free * GIB),
        "hardware_at": NOW if up else None,
        "build": 26100,
        "processor_vendor": "GenuineIntel",
        "processor_family": "Intel64 Family 6 Model 106 Stepping 6",
        "processors_logical": 32,
        "vm_versions": ("9.0", "10.0"),
        "switches": ("Prod",),
        "observed_at": NOW if up else None,
    }
    return NodeObserved(name=name, state=state, **(fields | changes))


def role(
    name: str, owner: str | None, *, state: RoleState = RoleState.ONLINE, **changes: Any
) -> Role:
    """A role; possible owners not told."""
    return Role(name=name, state=state, owner=owner, **changes)


def vm(
    name: str,
    host: str | None,
    *,
    memory: float = 8,
    state: VMState = VMState.RUNNING,
    clustered: bool = True,
    role_state: RoleState | None = None,
    role_changes: Mapping[str, Any] = MappingProxyType({}),
    **changes: Any,
) -> VMObserved:
    """A VM on shared storage that rests on `host`: running and clustered unless said otherwise."""
    running = state is VMState.RUNNING
    online = role_state or (RoleState.ONLINE if running else RoleState.OFFLINE)
    fields: dict[str, Any] = {
        "id": vm_id(name),
        "role": role(name, host, state=online, **role_changes) if clustered else None,
        "memory_assigned_bytes": int(memory * GIB) if running else 0,
        "memory_startup_bytes": int(memory * GIB),
        "equipment_at": NOW,
        "version": "10.0",
        "processors": 2,
        "processor_compatibility": False,
        "disk_paths": (rf"{VOLUME}\{name}\os.vhdx",),
        "configuration_path": rf"{VOLUME}\{name}",
        "switches": ("Prod",),
    }
    return VMObserved(name=name, host=host, state=state, **(fields | changes))


def moving(
    seen: VMObserved, target: str | None, phase: MigrationPhase = MigrationPhase.TRANSFERRING
) -> VMObserved:
    """The same VM under way to `target`; None: the node does not tell where."""
    migration = Migration(phase=phase, source=seen.owner or "", target=target)
    return replace(seen, migration=migration)


def gap(node_name: str, reason: GapReason = GapReason.UNREACHABLE) -> Gap:
    """A node's part that is missing."""
    return Gap(node=node_name, reason=reason, detail="no answer")


def observed(
    *parts: NodeObserved | VMObserved | Gap, at: datetime = NOW, **changes: Any
) -> ObservedState:
    """A snapshot. A node without a figure has free what its running VMs leave of 124/128."""
    nodes = tuple(p for p in parts if isinstance(p, NodeObserved))
    vms = tuple(p for p in parts if isinstance(p, VMObserved))
    fields: dict[str, Any] = {
        "cluster": CLUSTER,
        "cluster_id": "00000000-0000-0000-0000-00000000c1c1",
        "started_at": at,
        "completed_at": at + timedelta(seconds=1),
        "nodes": tuple(_with_figures(n, vms) for n in nodes),
        "vms": vms,
        "volumes": (Volume(path=VOLUME, size_bytes=4096 * GIB, free_bytes=2048 * GIB),),
        "gaps": tuple(p for p in parts if isinstance(p, Gap)),
        "balancer_mode": 0,
    }
    return ObservedState(**(fields | changes))


def _with_figures(seen: NodeObserved, vms: Iterable[VMObserved]) -> NodeObserved:
    if seen.memory_available_bytes is not None or seen.memory_total_bytes is None:
        return seen
    used = sum(v.memory_assigned_bytes for v in vms if v.host and fold(v.host) == fold(seen.name))
    return replace(seen, memory_available_bytes=seen.memory_total_bytes - used)


def template(memory: float = 8, **changes: Any) -> VMTemplate:
    """What is needed to create a VM."""
    fields: dict[str, Any] = {
        "generation": 2,
        "memory_startup_bytes": int(memory * GIB),
        "processors": 2,
        "location": VOLUME,
        "switch": "Prod",
    }
    return VMTemplate(**(fields | changes))


def desired(
    name: str,
    *preferred: str,
    possible: Iterable[str] | None = None,
    required: bool = True,
    failback: Failback = Failback.WHEN_AVAILABLE,
    **changes: Any,
) -> VMDesired:
    """The spec of one VM by name; without preferred nodes anywhere is right."""
    fields: dict[str, Any] = {
        "key": f"name:{fold(name)}",
        "spec_name": fold(name),
        "name": name,
        "id": None,
        "source": f"{fold(name)}.yaml:1",
        "preferred": preferred,
        "possible": None if possible is None else tuple(possible),
        "enforcement": Enforcement.REQUIRED if required else Enforcement.PREFERRED,
        "failback": failback,
    }
    return VMDesired(**(fields | changes))


def maintenance(name: str, **changes: Any) -> MaintenanceDesired:
    """A document that wants the node empty for as long as it is there."""
    fields: dict[str, Any] = {
        "key": f"node:{fold(name)}",
        "spec_name": f"empty-{fold(name)}",
        "node": name,
        "source": f"{fold(name)}.yaml:1",
    }
    return MaintenanceDesired(**(fields | changes))


def created(name: str, *preferred: str, memory: float = 8, **changes: Any) -> VMDesired:
    """The spec of a VM that is to be made, registered and started where it is absent."""
    fields: dict[str, Any] = {
        "template": template(memory),
        "register": True,
        "start": StartPolicy.AFTER_REGISTRATION,
    }
    return desired(name, *preferred, **(fields | changes))


def policy(**changes: Any) -> Policy:
    """Enforce with 4 GiB of reserve and no limit worth mentioning, unless said otherwise."""
    fields: dict[str, Any] = {
        "mode": Mode.ENFORCE,
        "memory_reserve_bytes": 4 * GIB,
        "moves_per_node_max": 100,
        "moves_per_cluster_max": 1000,
        "canary_free_moves": 1000,
    }
    return Policy(**(fields | changes))


def desired_state(*vms: VMDesired, policy: Policy = policy(), **changes: Any) -> DesiredState:  # noqa: B008
    """The specs of the cluster."""
    fields: dict[str, Any] = {
        "cluster": CLUSTER,
        "revision": "rev-1",
        "policy": policy,
        "connection": Connection(
            seeds=("n1.corp.example",),
            addresses={},
            authentication="NTLM",
            credentials_file=None,
            credentials_env=None,
            ca_file=None,
        ),
        "vms": vms,
    }
    return DesiredState(**(fields | changes))


def history(**changes: Any) -> History:
    """A past that lets everything go: trusted, quiet, and nothing remembered."""
    fields: dict[str, Any] = {"complete_cycles": 5, "quiet_cycles": 5, "trusted": True}
    mappings = {k: MappingProxyType(v) if isinstance(v, dict) else v for k, v in changes.items()}
    return History(cluster=CLUSTER, **(fields | mappings))


def intent(
    name: str,
    target: str,
    *,
    kind: ActionKind = ActionKind.MOVE,
    source: str | None = None,
    opened_at: datetime = NOW - timedelta(seconds=10),
    state: IntentState = IntentState.OPEN,
    **changes: Any,
) -> Intent:
    """An intent on the VM that `vm(name, ...)` and `desired(name)` mean."""
    fields: dict[str, Any] = {
        "id": f"intent-{kind.value.lower()}-{fold(name)}",
        "key": f"name:{fold(name)}",
        "vm": name,
        "vm_id": None if kind is ActionKind.CREATE else vm_id(name),
        "hop": False,
        "revision": "rev-1",
        "closed_at": None if state is IntentState.OPEN else opened_at + timedelta(seconds=5),
    }
    return Intent(
        kind=kind.value,
        source=source,
        target=target,
        opened_at=opened_at,
        state=state,
        **(fields | changes),
    )


def refused(name: str, kind: ActionKind, count: int, detail: str) -> Refusals:
    """So many refusals in a row, the last one right now."""
    return Refusals(
        key=f"name:{fold(name)}", kind=kind.value, count=count, intent="i", detail=detail, at=NOW
    )


def sighting(name: str, owner: str, at: datetime = NOW - timedelta(minutes=1)) -> Sighting:
    """Where the VM was seen at rest."""
    return Sighting(vm_id=vm_id(name), owner=owner, at=at)


def foreign_move(
    name: str, source: str, target: str, *, ago_seconds: float = 60, failover: bool = False
) -> ForeignMove:
    """A move that somebody else made."""
    seen_at = NOW - timedelta(seconds=ago_seconds)
    return ForeignMove(
        vm_id=vm_id(name), source=source, target=target, seen_at=seen_at, failover=failover
    )


def own_move(
    name: str, source: str, target: str, *, ago_seconds: float = 60, hop: bool = False
) -> OwnMove:
    """A move of ours that was seen done."""
    seen_at = NOW - timedelta(seconds=ago_seconds)
    return OwnMove(
        vm_id=vm_id(name),
        source=source,
        target=target,
        started_at=seen_at - timedelta(seconds=10),
        seen_at=seen_at,
        hop=hop,
        revision="rev-1",
    )


NEVER = MigrationKind.NEVER
"""For `desired(..., migration=NEVER)`."""
