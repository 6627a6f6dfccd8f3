"""NodeMaintenance: a node to empty, when, and what happens when it ends."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from controller.model.quantities import Duration, Text
from controller.model.spec.base import (
    Contradiction,
    NodeName,
    ObjectName,
    Part,
    Resource,
    Spec,
)

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
        default="Return",
        description="Return: when it ends, the VMs return by their own failback. Stay, with a "
        "window only: as long as the document exists no VM returns by its preference alone.",
    )
    suspend: bool = Field(
        default=False, description="The node is left as it is while true, also when it ends."
    )

    def contradictions(self) -> Iterator[Contradiction]:
        """The window begins at a time that there is; without one nothing is left to say Stay."""
        if self.window is None:
            if self.afterwards == "Stay":
                yield Contradiction(
                    at=("afterwards",),
                    message="Stay needs a window: it lasts from its end until the document goes",
                    expected="Return, or a window",
                )
            return
        try:
            datetime.fromisoformat(self.window.start)
        except ValueError as error:
            yield Contradiction(at=("window", "start"), message=str(error))


class NodeMaintenance(Resource):
    """A node to empty, its window, and what happens when it ends."""

    kind: Literal["NodeMaintenance"] = Field(description="NodeMaintenance.")
    spec: NodeMaintenanceSpec = Field(description="The maintenance.")
