"""Affinity rules of the simulated cluster (Windows Server 2022), as Microsoft docs have them."""

import pytest

from controller.simulator.config import load_world
from controller.simulator.invoke import invoke
from controller.simulator.values import CmdletError
from controller.simulator.world import World

TEXT = """
cluster: {{migrationsParallelMax: 4, affinityRules: [{{name: R, type: {kind}, roles: [A, B]}}]}}
nodes: [{{name: HV01}}, {{name: HV02}}]
vms: [{{name: A, node: HV01}}, {{name: B, node: {b}}}, {{name: C, node: HV01}}]
"""


def moved(kind: str, b: str) -> World:
    """The world after A was asked to move to HV02."""
    world = load_world(TEXT.format(kind=kind, b=b))
    call = {"VMId": world.vm("A").id, "Node": "HV02", "MigrationType": "Live", "Wait": 0}
    invoke(world, "HV01", "Move-ClusterVirtualMachineRole", call)
    return world


def test_moving_one_role_of_a_rule_that_keeps_them_together_moves_all():
    """And nobody else."""
    world = moved("SameNode", "HV01")
    world.advance_to(world.now + 120)
    assert [world.vm(vm).node for vm in "ABC"] == ["HV02", "HV02", "HV01"]


@pytest.mark.parametrize("kind", ["DifferentNode", "DifferentFaultDomain"])
def test_a_move_that_breaks_a_rule_is_refused(kind: str):
    """ERROR_CLUSTER_AFFINITY_CONFLICT, and the VM runs on where it was."""
    with pytest.raises(CmdletError) as caught:
        moved(kind, "HV02")
    assert (caught.value.hresult or 0) & 0xFFFF == 5971
