"""What a node remembers of a migration that is over, as docs/protocol.md has it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from controller.simulator.event_log import HIGH_AVAILABILITY, VMMS
from controller.simulator.invoke import invoke
from controller.simulator.responder_case import BadCall
from controller.simulator.responder_values import Data, items_of, name_of, number_of, ordered
from controller.simulator.values import CmdletError, PSObject, Value
from controller.simulator.world import World

_IDS: list[Value] = [20406, 20413, 20415, 20417, 21024, 21125, 21501, 21502]
_PAUSES = (20415, 20417)
_EVENTS_MAX = 64


def move_trace(world: World, node: str, arguments: Mapping[str, object]) -> Data:
    """The reason in the VM's resource, and the events of the last seconds about it."""
    match arguments:
        case {"vmId": str(vm_id), "seconds": int(seconds)} if not isinstance(seconds, bool):
            pass
        case _:
            raise BadCall("vmId must be a GUID, and seconds a whole number.")

    def run(cmdlet: str, **parameters: Value) -> list[PSObject]:
        found = invoke(world, node, cmdlet, parameters)
        return [item for item in found if isinstance(item, PSObject)]

    system = run("Get-CimInstance", ClassName="Win32_OperatingSystem")[0]
    now = system.properties["LocalDateTime"]
    assert isinstance(now, datetime)
    reason: Value = None
    try:
        groups = run("Get-ClusterGroup", VMId=vm_id)
    except CmdletError:
        groups = []  # not clustered: nothing that could tell
    for resource in run("Get-ClusterResource", InputObject=[*groups]) if groups else ():
        if name_of(resource.properties["ResourceType"]) == "Virtual Machine":
            rows = run("Get-ClusterParameter", InputObject=resource)
            found = {str(row.properties["Name"]): row.properties["Value"] for row in rows}
            reason = found.get("MigrationFailureReason")
    since = now - timedelta(seconds=seconds)
    entries = [entry for log in (VMMS, HIGH_AVAILABILITY) for entry in _entries(run, log, since)]
    mine = [entry for about, entry in entries if vm_id.lower() in about]
    return {"failureReason": reason, "events": ordered(mine, "time", "id")}


def _entries(run: object, log: str, since: datetime) -> Iterator[tuple[str, Data]]:
    """The text of each event, in lower case, and what is told of it."""
    assert callable(run)
    wanted = {"LogName": log, "Id": _IDS, "StartTime": since}
    try:
        records = run("Get-WinEvent", FilterHashtable=wanted, MaxEvents=_EVENTS_MAX)
    except CmdletError:
        return
    for record in records:
        values = [str(item.properties["Value"]) for item in items_of(record, "Properties")]
        text = " ".join((*values, str(record.properties["Message"]))).lower()
        id_, at = number_of(record, "Id"), record.properties["TimeCreated"]
        assert isinstance(at, datetime)
        yield (
            text,
            {
                "id": id_,
                "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "pause": values[2] if id_ in _PAUSES and len(values) > 2 else None,
                "codes": re.findall("0x[0-9a-f]{8}", text),
            },
        )
