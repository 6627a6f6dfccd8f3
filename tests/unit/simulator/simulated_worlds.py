"""Small simulated clusters for the tests in this folder."""

from collections.abc import Mapping

from controller.simulator.config import load_world
from controller.simulator.invoke import invoke
from controller.simulator.values import EnumValue, PSObject, Value
from controller.simulator.world import World

GIB = 1024**3


def world(*vms: str, nodes: int = 3, memory: str = "32Gi", more: str = "") -> World:
    """`vms` are inline YAML like `name: SQL01, node: HV01, memory: 8Gi`; no reserve is kept."""
    listed = "\n".join(
        f"- {{name: HV{n:02}, memory: {memory}, reserve: 0}}" for n in range(1, nodes + 1)
    )
    roles = "\n".join(f"- {{{vm}}}" for vm in vms)
    text = f"nodes:\n{listed}\nvms:{' []' if not vms else ''}\n{roles}\n{more}"
    return load_world(text)


def run(sim: World, node: str, cmdlet: str, **parameters: Value) -> list[PSObject]:
    """The objects that a cmdlet writes."""
    found = invoke(sim, node, cmdlet, parameters)
    assert all(isinstance(item, PSObject) for item in found)
    return [item for item in found if isinstance(item, PSObject)]


def one(sim: World, node: str, cmdlet: str, **parameters: Value) -> Mapping[str, Value]:
    """The properties of the one object that a cmdlet writes."""
    (item,) = run(sim, node, cmdlet, **parameters)
    return item.properties


def number(item: Mapping[str, Value], name: str) -> int:
    value = item[name]
    return value.number if isinstance(value, EnumValue) else int(str(value))


def owner(item: Mapping[str, Value]) -> str | None:
    node = item["OwnerNode"]
    return str(node.properties["Name"]) if isinstance(node, PSObject) else None


def private(sim: World, vm: str) -> dict[str, Value]:
    """The private properties of a VM's resource, as any node reads them."""
    resources = run(sim, "HV01", "Get-ClusterResource", VMId=sim.vm(vm).id)
    rows = run(sim, "HV01", "Get-ClusterParameter", InputObject=resources[0])
    return {str(row.properties["Name"]): row.properties["Value"] for row in rows}


def move(sim: World, vm: str, source: str, target: str) -> None:
    """Ask for a live migration as the controller's node would."""
    run(
        sim,
        source,
        "Move-ClusterVirtualMachineRole",
        VMId=sim.vm(vm).id,
        Node=target,
        MigrationType="Live",
        Wait=0,
    )
