"""One call that would change something: its arguments, and what was read for its conditions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.model.names import same_name
from controller.simulator.invoke import invoke
from controller.simulator.values import EnumValue, PSObject, Value
from controller.simulator.world import World

_TEMPLATE_FIELDS = frozenset(
    {
        "generation",
        "memoryStartupBytes",
        "memoryMinimumBytes",
        "memoryMaximumBytes",
        "processors",
        "processorCompatibility",
        "location",
        "disks",
        "secureBootTemplate",
        "switch",
        "vlan",
        "iso",
    }
)


class BadCall(Exception):
    """The call can't be understood; nothing was done."""


@dataclass(slots=True, kw_only=True)
class Case:
    """One call that would change something, and what the conditions have read so far."""

    world: World
    node: str
    arguments: Mapping[str, object]
    seen: dict[str, PSObject] = field(default_factory=dict)
    nodes: list[PSObject] = field(default_factory=list)

    def run(self, cmdlet: str, **parameters: Value) -> list[PSObject]:
        found = invoke(self.world, self.node, cmdlet, parameters)
        return [item for item in found if isinstance(item, PSObject)]

    def text(self, name: str) -> str:
        match self.arguments.get(name):
            case str(value):
                return value
            case _:
                raise BadCall(f"{name} must be text.")

    def texts(self, name: str) -> list[str]:
        match self.arguments.get(name):
            case list(values) if all(isinstance(value, str) for value in values):
                return [str(value) for value in values]
            case _:
                raise BadCall(f"{name} must be a list of texts.")

    @property
    def setting(self) -> str:
        name = self.text("setting")
        if name not in ("Failback", "PossibleOwners", "PreferredOwners", "Priority"):
            raise BadCall("There is no such setting.")
        return name

    @property
    def epoch(self) -> int:
        match self.arguments.get("epoch"):
            case int(value) if not isinstance(value, bool):
                return value
            case _:
                raise BadCall("epoch must be a number.")

    @property
    def holder(self) -> str:
        return self.text("holder").lower()

    def fence(self, name: str) -> Value:
        """One of the cluster's private properties; None where it is absent or empty."""
        if "cluster" not in self.seen:
            self.seen["cluster"] = self.run("Get-Cluster")[0]
        rows = self.run("Get-ClusterParameter", InputObject=self.seen["cluster"])
        found = (r.properties["Value"] for r in rows if same_name(name_of(r), name))
        value = next(found, None)
        return None if value == "" else value

    @property
    def vm_id(self) -> str:
        return self.text("vmId").lower()

    @property
    def template(self) -> Mapping[str, Any]:
        match self.arguments.get("template"):
            case dict(template) if template.keys() >= _TEMPLATE_FIELDS:
                return template
            case _:
                raise BadCall("template must be an object with every field.")

    def disks(self, *, to_create: bool) -> Iterator[Mapping[str, Any]]:
        for disk in self.template["disks"]:
            if (disk["createBytes"] is not None) == to_create:
                yield disk

    def status(self, name: str) -> list[int]:
        """The operational statuses of the VM that was found."""
        values = self.seen["vm"].properties[name]
        assert isinstance(values, list)
        return [value.number for value in values if isinstance(value, EnumValue)]

    def resource(self, kind: str) -> PSObject:
        """The role's resource of that type."""
        for resource in self.run("Get-ClusterResource", InputObject=self.seen["group"]):
            type_ = resource.properties["ResourceType"]
            if (name_of(type_) if isinstance(type_, PSObject) else type_) == kind:
                return resource
        raise AssertionError(f"the role has no resource of type {kind}")

    def number(self, key: str, name: str) -> int:
        value = self.seen[key].properties[name]
        if isinstance(value, EnumValue):
            return value.number & 0xFFFFFFFF if value.number >= 0 else value.number
        assert isinstance(value, int)
        return value


class Absent:
    """A finding without text; `None` means that the condition holds."""


Finding = str | Absent | None


def unless(holds: bool, found: object) -> Finding:
    return None if holds else str(found)


def name_of(item: PSObject) -> str:
    return str(item.properties["Name"])
