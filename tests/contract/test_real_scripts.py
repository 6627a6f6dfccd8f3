"""The shipped scripts in a real PowerShell engine, behind real WinRM, seen by the real adapters."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.model.observed import JobState, ObservedState
from controller.model.plan import ActionKind
from controller.model.report import OutcomeResult
from controller.simulator.engine import find_engine
from controller.simulator.winrm_server.injection import Cut
from tests.contract.clusters import FENCE, TEMPLATE, Cluster, action, ntlm_over_https

pytestmark = pytest.mark.engine
NEVER = datetime(2000, 1, 1, tzinfo=UTC)
TWO_NODES = """
cluster:
  name: c1
  domain: corp.example
  parameters: {OwnernodeEpoch: 7, OwnernodeHolder: aaaaaaaa-0000-4000-8000-000000000007}
nodes: [{name: HV01}, {name: HV02}]
vms:
- name: SQL01
  node: HV01
  preferredOwners: [HV02]
  iso: C:\\ClusterStorage\\Volume1\\a.iso
- {name: WEB01, node: HV02, possibleOwners: [HV01, HV02], priority: 3000}
- {name: IDLE, node: HV01, state: "Off"}
- {name: LOOSE, node: HV02, clustered: false, switch: null}
"""


@pytest.fixture
def engine() -> Path:
    found = find_engine()
    if found is None:
        pytest.skip("no PowerShell engine: OWNERNODE_POWERSHELL names none and there is no pwsh")
    return found


def timeless(seen: ObservedState) -> ObservedState:
    """What was seen, without when."""
    nodes = tuple(replace(node, observed_at=None, hardware_at=None) for node in seen.nodes)
    vms = tuple(replace(vm, equipment_at=None) for vm in seen.vms)
    return replace(seen, nodes=nodes, vms=vms, started_at=NEVER, completed_at=NEVER)


def test_scripts_and_responder_give_the_same_snapshot(engine: Path) -> None:
    """Whoever tests without an engine tests against what the scripts would say."""
    snapshots: list[ObservedState] = []

    async def look(cluster: Cluster) -> None:
        snapshots.append(await cluster.observer.observe())

    for way in (engine, None):
        ntlm_over_https(look, world=TWO_NODES, engine=way, node_seconds=60)
    by_scripts, by_responder = snapshots
    assert by_scripts.is_complete
    assert all(node.hardware_at is not None for node in by_scripts.nodes)
    assert timeless(by_scripts) == timeless(by_responder)


def test_scripts_move_register_and_create(engine: Path) -> None:
    """Each command of this release, from the plan's action to its effect in the snapshot."""

    async def story(cluster: Cluster) -> None:
        await cluster.observer.observe()
        cluster.servers["HV01"].faults.script_cuts([Cut.AFTER, Cut.NONE, Cut.AFTER])
        wave = (
            action(cluster, ActionKind.MOVE, "SQL01", target="HV02"),
            action(cluster, ActionKind.REGISTER, "LOOSE"),
            action(cluster, ActionKind.START, "IDLE"),
            action(cluster, ActionKind.CREATE, "NEW01", target="HV02", template=TEMPLATE),
        )
        for number, planned in enumerate(wave):
            intent = f"44444444-4444-4444-8444-{number:012d}"
            outcome = await cluster.actuator.submit(planned, intent, FENCE)
            assert outcome.result is OutcomeResult.SUBMITTED, outcome
        sql01, loose = cluster.id_of("SQL01"), cluster.id_of("LOOSE")
        seen = await cluster.until(
            lambda s: (
                s.vm(sql01).host == "HV02"
                and s.vm(loose).role is not None
                and len(s.jobs) == 2
                and all(job.state is not JobState.RUNNING for job in s.jobs)
            )
        )
        assert {job.state for job in seen.jobs} == {JobState.SUCCEEDED}
        assert [vm.host for vm in seen.named("NEW01")] == ["HV02"]
        assert len(cluster.world.truth_of("SQL01").migrations) == 1

    ntlm_over_https(story, world=TWO_NODES, engine=engine, node_seconds=60, speed=5)
