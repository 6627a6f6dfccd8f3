"""What Hyper-V and the cluster write into a node's event logs about migrations, and Get-WinEvent.

Ids: Microsoft docs (live-migration troubleshooting); 20415 and 20417 with the VM's name, its id and
the seconds as their values: a community script that reads them (wiki.webperfect.ch,
"Blackout-Time").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from controller.model.names import same_name
from controller.simulator.call import Call
from controller.simulator.inventory import Migration, NodeEvent
from controller.simulator.simulation import Simulation
from controller.simulator.values import CmdletError, PSObject, Value

VMMS = "Microsoft-Windows-Hyper-V-VMMS-Admin"
HIGH_AVAILABILITY = "Microsoft-Windows-Hyper-V-High-Availability-Admin"
_KEPT = 500
_FAILED_AT_SOURCE, _MIGRATION_FAILED, _PAUSE, _LONG_PAUSE = 21024, 21502, 20415, 20417
_RECORD = "System.Diagnostics.Eventing.Reader.EventLogRecord"
_PROPERTY = "System.Diagnostics.Eventing.Reader.EventProperty"


def log_failure(sim: Simulation, migration: Migration, hresult: int) -> None:
    """A live migration broke off: its source says so, and the cluster why."""
    vm = sim.cluster.vms[migration.vm_id]
    at_source = (
        f"Virtual machine migration operation for '{vm.name}' failed at migration source"
        f" '{migration.source}'. (Virtual machine ID {vm.id.upper()})"
    )
    values = (vm.name, migration.source, vm.id.upper())
    _write(sim, migration.source, VMMS, _FAILED_AT_SOURCE, values, at_source)
    role = sim.cluster.roles[vm.id].name
    text = f"Live migration of '{role}' failed. {at_source} (0x{hresult & 0xFFFFFFFF:08X})."
    _write(sim, migration.source, HIGH_AVAILABILITY, _MIGRATION_FAILED, (role,), text)


def log_pause(sim: Simulation, migration: Migration) -> None:
    """A live migration is done: how long the guest stood still, if this Windows tells."""
    seconds = sim.timing.pause_seconds
    is_long = seconds >= sim.timing.pause_long_seconds
    if sim.doubts.pause_event == "never" or (sim.doubts.pause_event == "long" and not is_long):
        return
    vm = sim.cluster.vms[migration.vm_id]
    text = (
        f"'{vm.name}' was migrated with a blackout time of {seconds:g} seconds"
        f" (VMID {vm.id.upper()})."
    )
    id_ = _LONG_PAUSE if is_long else _PAUSE
    _write(sim, migration.source, VMMS, id_, (vm.name, vm.id.upper(), f"{seconds:g}"), text)


def get_win_event(call: Call) -> list[Value]:
    """The newest events of this node that fit the filter; none is an error."""
    match call.arguments.get("FilterHashtable"):
        case [{"LogName": str(log), "Id": list(ids), "StartTime": datetime() as since}]:
            pass  # a Hashtable[] of one, as it is bound
        case {"LogName": str(log), "Id": list(ids), "StartTime": datetime() as since}:
            pass
        case _:
            raise call.missing("FilterHashtable")
    found = [
        event
        for event in reversed(call.sim.cluster.events)
        if same_name(event.node, call.node.name)
        and same_name(event.log, log)
        and event.id in ids
        and call.sim.date_of(event.at) >= since
    ]
    if not found:
        raise CmdletError(
            fqid="NoMatchingEventsFound,Microsoft.PowerShell.Commands.GetWinEventCommand",
            category="ObjectNotFound",
            exception_type="System.Exception",
            message="No events were found that match the specified selection criteria.",
            hresult=-2146233088,
        )
    return [_record(call.sim, event) for event in found[: call.number("MaxEvents") or None]]


def _record(sim: Simulation, event: NodeEvent) -> PSObject:
    properties: dict[str, Value] = {
        "Id": event.id,
        "LogName": event.log,
        "TimeCreated": sim.date_of(event.at),
        "Message": event.text,
        "Properties": [PSObject(_PROPERTY, {"Value": value}) for value in event.values],
    }
    return PSObject(_RECORD, properties)


def _write(
    sim: Simulation, node: str, log: str, id_: int, values: tuple[str, ...], text: str
) -> None:
    event = NodeEvent(node=node, log=log, id=id_, at=sim.now, values=values, text=text)
    sim.cluster.events.append(event)
    del sim.cluster.events[:-_KEPT]


EVENT_CMDLETS: Mapping[str, tuple[Callable[[Call], list[Value]], tuple[str, ...]]] = {
    "Get-WinEvent": (get_win_event, ("FilterHashtable", "MaxEvents")),
}
