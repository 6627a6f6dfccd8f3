"""What was found by breaking things and is not mended yet: each test fails until it is."""

import pytest

from controller.model.desired import DiskTemplate
from tests.builders import VOLUME, created, history, node, observed, template, vm
from tests.unit.planning.planned import plan_for


@pytest.mark.xfail(strict=True, reason="no rule knows whose disk it is")
def test_a_disk_of_another_vm_is_never_attached() -> None:
    """A spec names the disk of a VM that no spec names: to boot from it would destroy it."""
    disk = DiskTemplate(path=rf"{VOLUME}\OLD01\OS.vhdx", create_bytes=None)
    thief = created("THIEF", "HV01", template=template(disks=(disk,)))
    world = observed(node("HV01"), node("HV02"), vm("OLD01", "HV02"))
    plan = plan_for(world, thief, past=history(absent_cycles={thief.key: 2}))
    assert plan.actions == ()
