"""One cmdlet, run on one node of the simulated cluster, as that node sees the world.

The same entry serves the stub modules of a PowerShell engine and the simulator's own agent. What
is not in the tables does not exist here; no cmdlet stops, saves, removes or forces anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from controller.model.names import fold
from controller.simulator.call import Call
from controller.simulator.cluster_cmdlets import CLUSTER_CMDLETS
from controller.simulator.cmdlet_errors import (
    Refusal,
    binding_error,
    cluster_error,
    command_not_found,
    hyper_v_error,
)
from controller.simulator.event_log import EVENT_CMDLETS
from controller.simulator.hyperv_changes import HYPER_V_CHANGES
from controller.simulator.hyperv_cmdlets import HYPER_V_READS, SYSTEM_CMDLETS
from controller.simulator.simulation import Command, Simulation
from controller.simulator.values import CmdletError, Value

Cmdlet = Callable[[Call], list[Value]]

_TABLE: dict[str, tuple[str, Cmdlet, Mapping[str, str]]] = {
    fold(name): (name, function, {fold(own): own for own in parameters})
    for table in (
        CLUSTER_CMDLETS,
        HYPER_V_READS,
        HYPER_V_CHANGES,
        SYSTEM_CMDLETS,
        EVENT_CMDLETS,
    )
    for name, (function, parameters) in table.items()
}
_ALIASES: Mapping[tuple[str, str], str] = {
    ("Get-VM", "vmname"): "Name",
    ("Get-VMSwitch", "switchname"): "Name",
    ("New-VM", "vmname"): "Name",
    ("Set-VM", "vmname"): "Name",
    ("Get-VHD", "id"): "VMId",
    ("Set-VMNetworkAdapterVlan", "accessvlanid"): "VlanId",
    ("Add-VMHardDiskDrive", "number"): "DiskNumber",
    ("Get-ClusterOwnerNode", "res"): "Resource",
    ("Add-ClusterVirtualMachineRole", "vm"): "VirtualMachine",
}
_COMMON = frozenset(
    {
        "erroraction",
        "errorvariable",
        "warningaction",
        "warningvariable",
        "informationaction",
        "outvariable",
        "verbose",
        "debug",
        "confirm",
    }
)
_CHANGING = ("New-", "Set-", "Add-", "Move-", "Start-", "Suspend-", "Resume-", "Connect-")


def invoke(
    world: Simulation, node: str, cmdlet: str, parameters: Mapping[str, Value]
) -> list[Value]:
    """Run one cmdlet on one node and give what it writes to the pipeline.

    Parameter names are compared without case; pipeline input is the parameter that it would bind
    to (`InputObject`, `VM`, ...). Raises `CmdletError` as PowerShell would, `NodeUnreachable` for
    a node that is off. Changing calls are kept in `world.commands`, refused ones too.
    """
    here = world.reachable(node)
    found = _TABLE.get(fold(cmdlet))
    if found is None:
        raise command_not_found(cmdlet)
    name, function, known = found
    try:
        arguments = _bind(name, known, parameters)
        result = function(Call(sim=world, node=here, cmdlet=name, arguments=arguments))
    except Refusal as refusal:
        error = _as_error(name, refusal)
        _keep(world, here.name, name, parameters, error)
        raise error from refusal
    except CmdletError as error:
        _keep(world, here.name, name, parameters, error)
        raise
    _keep(world, here.name, name, parameters, None)
    return result


def _bind(name: str, known: Mapping[str, str], given: Mapping[str, Value]) -> dict[str, Value]:
    bound: dict[str, Value] = {}
    for parameter, value in given.items():
        key = fold(parameter)
        if key in _COMMON:
            continue
        own = known.get(key) or _ALIASES.get((name, key))
        if own is None:
            raise binding_error(
                name,
                "NamedParameterNotFound",
                f"A parameter cannot be found that matches parameter name '{parameter}'.",
            )
        bound[own] = value
    return bound


def _as_error(name: str, refusal: Refusal) -> CmdletError:
    return (cluster_error if name in CLUSTER_CMDLETS else hyper_v_error)(name, refusal)


def _keep(
    world: Simulation,
    node: str,
    name: str,
    parameters: Mapping[str, Value],
    error: CmdletError | None,
) -> None:
    if name.startswith(_CHANGING):
        command = Command(
            at_seconds=world.now,
            node=node,
            cmdlet=name,
            parameters=dict(parameters),
            error=error,
        )
        world.commands.append(command)
