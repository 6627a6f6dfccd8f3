"""NodeMaintenance: a node to empty, when, and what happens when it ends."""

from typing import Annotated, Literal

from pydantic import Field

from controller.model.quantities import Duration, Text
from controller.model.spec.base import NodeName, ObjectName, Part, Resource, Spec

Instant = Annotated[
    str,
    Text(
        "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z",
        "a quoted UTC time, such as '2026-03-01T22:00:00Z'",
        20,
    ),
]


class MaintenanceWindow(Part):
    """One time, not a recurring one."""

    start: Instant = Field(description="When emptying may begin, in UTC.")
    duration_seconds: Annotated[int, Duration(60, 30 * 86400)] = Field(
        alias="duration", description="How long the node stays empty, such as 4h."
    )


class NodeMaintenanceSpec(Spec):
    """A node to empty."""

    cluster: ObjectName = Field(description="Name of the FailoverCluster of the node.")
    node: NodeName = Field(description="The node to empty, by its name in the cluster.")
    window: MaintenanceWindow | None = Field(
        default=None, description="When. Absent: for as long as the document exists."
    )
    afterwards: Literal["Return", "Stay"] = Field(
        default="Stay", description="Whether the VMs return to the node when it ends."
    )
    suspend: bool = Field(default=False, description="Nothing is emptied while true.")


class NodeMaintenance(Resource):
    """A node to empty, its window, and what happens when it ends."""

    kind: Literal["NodeMaintenance"] = Field(description="NodeMaintenance.")
    spec: NodeMaintenanceSpec = Field(description="The maintenance.")
