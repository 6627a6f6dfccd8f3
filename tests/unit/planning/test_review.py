"""Before anything is made a person reads every setting of the VM to be, as on the wizard's page."""

from dataclasses import fields
from typing import Any

import pytest

from controller.model.desired import DiskTemplate, VMTemplate
from controller.model.plan import Action, ActionKind, ActionReason
from controller.model.policy import GIB
from controller.planning.review import review

TEMPLATE = VMTemplate(
    generation=2,
    memory_startup_bytes=4 * GIB,
    processors=2,
    location=r"C:\ClusterStorage\Volume1",
    disks=(
        DiskTemplate(path=r"C:\ClusterStorage\Volume1\NEW01\os.vhdx", create_bytes=80 * GIB),
        DiskTemplate(path=r"C:\ClusterStorage\Volume1\data.vhdx", create_bytes=None),
    ),
)


def reviewed(**changes: Any) -> dict[str, str]:
    """Settings and values of the template with these changes."""
    values = {f.name: getattr(TEMPLATE, f.name) for f in fields(TEMPLATE)}
    action = Action(
        id="a", kind=ActionKind.CREATE, key="name:new01", vm="NEW01", vm_id=None, source=None,
        target="HV02", reason=ActionReason.ABSENT, wave=0, template=VMTemplate(**values | changes),
    )  # fmt: skip
    return dict(review(action))


def test_a_creation_is_read_as_on_the_wizards_last_page() -> None:
    """In a person's words and units; what is left open is said to be Hyper-V's own choice."""
    assert reviewed() == {
        "generation": "2",
        "folder": r"C:\ClusterStorage\Volume1\NEW01",
        "memory": "4 GiB",
        "processors": "2",
        "disk at SCSI": r"C:\ClusterStorage\Volume1\data.vhdx, which exists",
        "network": "not connected",
        "installed from": "nothing",
        "secure boot": "Hyper-V's default",
        "when its node shuts down": "Hyper-V's default",
    }


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"generation": 1}, {"generation": "1"}),
        ({"memory_startup_bytes": GIB}, {"memory": "1 GiB"}),
        (
            {"memory_minimum_bytes": GIB, "memory_maximum_bytes": 8 * GIB},
            {"dynamic memory": "1 GiB to 8 GiB"},
        ),
        ({"processors": 8}, {"processors": "8"}),
        ({"processor_compatibility": True}, {"processors": "2, to run on other models too"}),
        (
            {"location": r"C:\ClusterStorage\Volume2"},
            {"folder": r"C:\ClusterStorage\Volume2\NEW01"},
        ),
        ({"disks": ()}, {"disk": "none"}),
        ({"secure_boot_template": "MicrosoftWindows"}, {"secure boot": "MicrosoftWindows"}),
        ({"switch": "Prod"}, {"network": "Prod"}),
        ({"switch": "Prod", "vlan": 20}, {"network": "Prod, VLAN 20"}),
        ({"iso": r"C:\a.iso"}, {"installed from": r"C:\a.iso"}),
        ({"physical_drive": "D:"}, {"installed from": "the drive D: of HV02"}),
        ({"boots_from_network": True}, {"installed from": "the network"}),
        ({"automatic_stop": "ShutDown"}, {"when its node shuts down": "ShutDown"}),
    ],
)
def test_every_field_of_a_template_is_shown(changes: dict[str, Any], shown: dict[str, str]) -> None:
    """A setting that the plan does not show is one that nobody reviewed."""
    assert reviewed(**changes).items() >= shown.items()


def test_no_field_is_left_out() -> None:
    """A new field of the template comes with its line above."""
    marks = test_every_field_of_a_template_is_shown.pytestmark  # type: ignore[attr-defined]
    told = {name for changes, _ in marks[0].args[1] for name in changes}
    assert told == {f.name for f in fields(TEMPLATE)}
