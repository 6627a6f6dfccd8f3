"""What a creation would make, setting by setting: the wizard's page before Finish."""

from collections.abc import Iterator

from controller.model.desired import DiskTemplate
from controller.model.plan import Action
from controller.planning.holds import gib


def review(action: Action) -> Iterator[tuple[str, str]]:
    """Settings and their values, in the order in which a person reads them; none but of a creation.

    What the template leaves open is Hyper-V's own default, and said to be.
    """
    made = action.template
    if made is None:
        return
    yield "generation", str(made.generation)
    yield "folder", f"{made.location}\\{action.vm}"
    yield "memory", gib(made.memory_startup_bytes)
    if made.memory_minimum_bytes is not None and made.memory_maximum_bytes is not None:
        bounds = f"{gib(made.memory_minimum_bytes)} to {gib(made.memory_maximum_bytes)}"
        yield "dynamic memory", bounds
    models = ", to run on other models too" if made.processor_compatibility else ""
    yield "processors", f"{made.processors}{models}"
    for disk in made.disks:
        yield f"disk at {disk.controller}", _disk(disk)
    if not made.disks:
        yield "disk", "none"
    vlan = f", VLAN {made.vlan}" if made.vlan is not None else ""
    yield "network", f"{made.switch}{vlan}" if made.switch is not None else "not connected"
    yield "installed from", _source(action)
    if made.generation == 2:
        yield "secure boot", made.secure_boot_template or "Hyper-V's default"
    yield "when its node shuts down", made.automatic_stop or "Hyper-V's default"


def _disk(disk: DiskTemplate) -> str:
    if disk.create_bytes is None:
        return f"{disk.path}, which exists"
    return f"{disk.path}, a new dynamic one of up to {gib(disk.create_bytes)}"


def _source(action: Action) -> str:
    assert action.template is not None, "asked of creations only"
    if action.template.boots_from_network:
        return "the network"
    if action.template.physical_drive is not None:
        return f"the drive {action.template.physical_drive} of {action.target}"
    return action.template.iso or "nothing"
