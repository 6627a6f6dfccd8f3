"""One cmdlet call after binding, and the reading of its arguments."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from controller.model.names import fold, same_name
from controller.simulator.cmdlet_errors import binding_error, vm_not_found
from controller.simulator.inventory import Node, VirtualMachine
from controller.simulator.simulation import Simulation
from controller.simulator.values import EnumValue, PSObject, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """`arguments` are keyed by the parameters' own names; an absent one was not given."""

    sim: Simulation
    node: Node
    cmdlet: str
    arguments: Mapping[str, Value]

    def has(self, name: str) -> bool:
        return self.arguments.get(name) is not None

    def text(self, name: str) -> str | None:
        match self.arguments.get(name):
            case None:
                return None
            case str(value):
                return value
            case EnumValue(name=member):
                return member
            case _:
                raise self._wrong_type(name, "String")

    def number(self, name: str) -> int | None:
        match self.arguments.get(name):
            case None:
                return None
            case bool():
                raise self._wrong_type(name, "Int64")
            case int(value):
                return value
            case EnumValue(number=number):
                return number
            case _:
                raise self._wrong_type(name, "Int64")

    def flag(self, name: str) -> bool:
        match self.arguments.get(name):
            case None:
                return False
            case bool(value):
                return value
            case _:
                raise self._wrong_type(name, "SwitchParameter")

    def texts(self, name: str) -> list[str]:
        """A String[] or StringCollection; a single string is a list of one, as PowerShell binds."""
        value = self.arguments.get(name)
        values = value if isinstance(value, list) else [] if value is None else [value]
        found = [v for v in values if isinstance(v, str)]
        if len(found) != len(values):
            raise self._wrong_type(name, "String[]")
        return found

    def objects(self, name: str) -> list[PSObject]:
        """Objects that another cmdlet gave, one or several."""
        value = self.arguments.get(name)
        values = value if isinstance(value, list) else [] if value is None else [value]
        found = [v for v in values if isinstance(v, PSObject)]
        if len(found) != len(values):
            raise self._wrong_type(name, "PSObject")
        return found

    def vms(self) -> list[VirtualMachine]:
        """The VMs on this node that -VM or -VMName (or -Name) select; none is an error."""
        if self.has("VM"):
            return [self.vm_of(text_of(vm, "Id")) for vm in self.objects("VM")]
        names = self.texts("VMName") or self.texts("Name")
        if not names:
            raise self.missing("VMName")
        listed = self.sim.vms_listed_on(self.node)
        found: list[VirtualMachine] = []
        for wanted in names:
            named = [vm for vm in listed if matches(vm.name, wanted)]
            if not named and not is_pattern(wanted):
                raise self.no_vm(wanted)
            found += [vm for vm in named if vm not in found]
        return found

    def vm_of(self, vm_id: str) -> VirtualMachine:
        """The VM of this id; one that this node does not list is an error."""
        vm = self.sim.cluster.vms.get(vm_id)
        if vm is None or not self.sim.lists(self.node, vm):
            raise self.no_vm(vm_id)
        return vm

    def no_vm(self, wanted: str) -> Exception:
        return vm_not_found(self.sim.doubts.vm_not_found, wanted)

    def missing(self, name: str) -> Exception:
        """The error for a mandatory parameter that was not given (the session can't ask)."""
        return binding_error(
            self.cmdlet,
            "MissingMandatoryParameter",
            f"{self.cmdlet}: parameter '{name}' is missing.",
        )

    def _wrong_type(self, name: str, wanted: str) -> Exception:
        return binding_error(
            self.cmdlet,
            "CannotConvertArgumentNoMessage",
            f"{self.cmdlet}: can't convert the value of parameter '{name}' to {wanted}.",
        )


def text_of(item: PSObject, name: str) -> str:
    """A property that is known to be text."""
    value = item.properties[name]
    assert isinstance(value, str), f"{item.type_name}.{name} is no text"
    return value


def is_pattern(wanted: str) -> bool:
    return any(sign in wanted for sign in "*?[")


def matches(name: str, wanted: str) -> bool:
    """Whether a name fits a PowerShell wildcard pattern (`*`, `?`, `[a-c]`), without case."""
    if not is_pattern(wanted):
        return same_name(name, wanted)
    parts = re.split(r"(\*|\?|\[[^\]]+\])", fold(wanted))
    signs = {"*": ".*", "?": "."}
    regex = "".join(
        signs.get(part, part if part.startswith("[") and part.endswith("]") else re.escape(part))
        for part in parts
    )
    return re.fullmatch(regex, fold(name), re.DOTALL) is not None
