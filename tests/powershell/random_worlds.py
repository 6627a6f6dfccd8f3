"""Clusters, disturbances and calls drawn from a seed, the unlikely ones more often than in life."""

import json
import random
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from stories import CSV, FENCE, GIB, template_of

from controller.simulator.cmdlet_errors import Refusal
from controller.simulator.states import (
    DrainStatus,
    MigrationState,
    NodeFlag,
    NodeState,
    VmOperationalStatus,
    VmState,
)
from controller.simulator.world import World

NAMES = (
    "sql",
    "SQL2",
    "web[1]",
    "web1",
    "\u00e4\u00df",
    "it's \u2019",
    "a b ",
    "vm*",
    "z?",
    "DC01",
)
STATES = ("Running", "Running", "Running", "Off", "Saved", "Paused")
FOLDERS = (CSV, "C:\\ClusterStorage\\Volume10")


def draw_cluster(chance: random.Random) -> str:
    """The text of a world.yaml with nodes HV01 and up to three more."""
    nodes = [f"HV0{number}" for number in range(1, chance.randint(2, 5))]
    vms: list[dict[str, Any]] = []
    for name in chance.sample(NAMES, chance.randint(0, len(NAMES))):
        node = chance.choice((nodes[0], *nodes))
        others = [other for other in nodes if other == node or chance.random() < 0.7]
        vms.append(
            {
                "name": name,
                "node": node,
                "clustered": chance.random() < 0.8,
                "state": chance.choice(STATES),
                "generation": chance.choice((1, 2)),
                "memory": chance.choice((GIB, 4 * GIB)),
                "possibleOwners": chance.choice((None, others)),
                "preferredOwners": chance.sample(nodes, chance.randint(0, len(nodes))),
                "priority": chance.choice((0, 1000, 2000, 3000)),
                "failback": chance.random() < 0.2,
                "locked": chance.random() < 0.1,
                "switch": chance.choice(("Prod", None)),
                "iso": chance.choice((None, f"{CSV}\\iso\\a.iso")),
            }
        )
    # Ids come of the name: two worlds must not give one id to two roles, as no cluster does.
    cluster = {
        "name": f"c{chance.getrandbits(48):x}",
        "migrationsParallelMax": chance.choice((None, 1, 2)),
        "parameters": _draw_parameters(chance),
    }
    doubts = {
        "resource_links": chance.choice(("objects", "text")),
        "group_state_in_transfer": chance.choice(("Pending", "Online")),
        "vm_in_flight_listed": chance.choice(("on_source", "on_both", "on_none")),
        "unknown_vm_id": chance.choice(("error", "empty")),
        "migration_properties": chance.choice(("filled", "zero", "absent")),
        "owner_in_failover": chance.choice(("null", "old")),
    }
    document = {
        "cluster": cluster,
        "nodes": [{"name": name, "memory": 64 * GIB} for name in nodes],
        "volumes": [{"name": "Volume1"}, {"name": "Volume10", "size": 100 * GIB}],
        "vms": vms,
        "files": [{"path": f"{CSV}\\images\\base.vhdx"}, {"path": f"{CSV}\\iso\\a.iso"}],
        "doubts": doubts,
    }
    return json.dumps(document, ensure_ascii=False)


def _draw_parameters(chance: random.Random) -> dict[str, int | str]:
    """Mostly the cluster is ours."""
    found: dict[str, int | str] = {}
    if chance.random() < 0.95:
        found["OwnernodeEpoch"] = chance.choice((7, 7, 7, 7, 7, 7, 7, 8))
        found["OwnernodeHolder"] = FENCE["holder"]
    if chance.random() < 0.1:
        found["OwnernodeStop"] = chance.choice(("", 1, "change freeze \u2744"))
    return found


def draw_disturbances(seed: int) -> Callable[[World], None]:
    """What happens to the world; drawn anew from the seed, so that equal worlds stay equal."""

    def disturb(world: World) -> None:
        chance = random.Random(seed)
        for _ in range(chance.randint(0, 4)):
            with suppress(Refusal):
                _disturb_once(world, chance)

    return disturb


def _disturb_once(world: World, chance: random.Random) -> None:
    vms = sorted(world.cluster.vms)
    vm = chance.choice(vms) if vms else None
    role = world.cluster.roles.get(vm) if vm else None
    node = chance.choice([*world.cluster.nodes.values()])
    match chance.randrange(10):
        case 0 | 1 if role:
            world.move_live(role.vm_id, node.name)
        case 2:
            world.advance_to(world.now + chance.choice((0.5, 2.5, 5.0, 8.0)))
        case 3 if vm:
            world.cluster.vms[vm].busy = chance.choice([*VmOperationalStatus])
        case 4:
            node.flags = chance.choice([*NodeFlag])
        case 5 if node.name != "HV01":
            world.crash_node(node.name)
        case 6:
            node.state = chance.choice((NodeState.Up, NodeState.Paused))
            node.drain = chance.choice([*DrainStatus])
        case 7 if role:
            role.migration_state = chance.choice([*MigrationState])
        case 8 if role:
            chance.choice((role.possible, role.possible_configuration)).clear()
        case 9 if vm:
            world.cluster.vms[vm].state = chance.choice((VmState.Saved, VmState.RunningCritical))


def draw_call(chance: random.Random) -> tuple[str, Callable[[World], dict[str, Any]]]:
    """An operation and its arguments, in which more may be wrong than right."""
    operation = chance.choice(
        (
            *("observe", "moveRole", "moveRole", "startRole", "registerVm", "createVm"),
            *("claimEpoch", "suspendNode", "resumeNode", "setFolders"),
        )
    )
    seed = chance.getrandbits(32)
    intent = str(uuid.UUID(int=chance.getrandbits(128), version=4))

    def arguments(world: World) -> dict[str, Any]:
        draw = random.Random(seed)
        if operation == "observe":
            return {"clusterWide": draw.random() < 0.5}
        if operation == "claimEpoch":
            return {**FENCE, "epoch": draw.choice((1, 7, 8, 9))}
        nodes = [node.name for node in world.cluster.nodes.values()]
        if operation == "createVm":
            name = draw.choice(NAMES)
            template = {**template_of(name), **_draw_template(draw, name)}
            return {"intent": intent, **FENCE, "node": "HV01", "name": name, "template": template}
        if operation in ("suspendNode", "resumeNode"):
            node = draw.choice(("HV01", "hv01", "HV01", nodes[-1]))
            return {"intent": intent, **FENCE, "node": node}
        if operation == "setFolders":
            own = world.node("HV01")
            before = [own.vm_path, draw.choice((own.vhd_path, "D:\\disks"))]
            folder = f"{draw.choice(FOLDERS)}\\{draw.choice(('images', 'new'))}"
            return {"intent": intent, **FENCE, "node": "hv01", "before": before, "folder": folder}
        here = [vm.id for vm in world.cluster.vms.values() if vm.node == "HV01"]
        found = {"intent": intent, **FENCE, "vmId": draw.choice([*here, str(uuid.UUID(int=1))])}
        if operation == "moveRole":
            return found | {"source": "hv01", "target": draw.choice([*nodes, "HV09"])}
        return found | {"node": "HV01"}

    return operation, arguments


def _draw_template(draw: random.Random, name: str) -> dict[str, Any]:
    disks: list[dict[str, Any]] = [
        {
            "path": f"{draw.choice(FOLDERS)}\\{name}\\{n}.vhdx",
            "createBytes": 30 * GIB,
            "controller": draw.choice(("IDE", "SCSI")),
        }
        for n in range(draw.randint(0, 4))
    ]
    if draw.random() < 0.3:
        base = f"{CSV}\\images\\base.vhdx"
        disks.append({"path": base, "createBytes": None, "controller": "SCSI"})
    return {
        "generation": draw.choice((1, 2)),
        "location": draw.choice(FOLDERS),
        "disks": disks,
        "switch": draw.choice((None, "PROD", "none")),
        "vlan": draw.choice((None, 7)),
        "iso": draw.choice((None, f"{CSV}\\iso\\a.iso", f"{CSV}\\none.iso")),
        "physicalDrive": draw.choice((None, None, "d:", "E:")),
        "networkBoot": draw.random() < 0.3,
        "stopAction": draw.choice((None, "Save", "ShutDown")),
        "secureBootTemplate": draw.choice((None, "MicrosoftWindows")),
    }
