"""What `doctor` makes of what a node says: one thing is otherwise, one check says so."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.adapters.specs.documents import OPERATOR_KINDS
from controller.model.checkup import CheckName, CheckResult, NodeCondition
from controller.planning.checkup import judge, judge_together
from controller.planning.resolve import resolve
from tests.unit.specs.writing import CLUSTER, only, read

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FIT = NodeCondition(
    node="HV01",
    powershell="5.1.26100.1",
    user="CORP\\svc",
    administrator=True,
    domain="corp.example",
    domain_joined=True,
    scvmm_agent=False,
    system="Windows Server 2025",
    modules={"FailoverClusters": "2.0.0.0", "Hyper-V": "2.0.0.0"},
    clock=NOW,
    asked_at=NOW,
    quotas={"MaxEnvelopeSizekb": 500, "MaxShellsPerUser": 30},
    cluster="c1",
    cluster_id="a",
    functional_level=12,
    migrations_parallel_max=2,
    migrations_max=2,
    balancer_mode=0,
    vm_path="C:\\ClusterStorage\\Volume1\\VMs",
    vhd_path="c:\\clusterstorage\\volume1",
    volumes=("C:\\ClusterStorage\\Volume1",),
    call_seconds=0.02,
    nodes=("HV01", "HV02"),
)


def odd(cluster: str = CLUSTER, **changes: Any) -> list[tuple[CheckName, CheckResult]]:
    """What does not pass when this is otherwise; every such check says what to do."""
    desired = resolve(only(read(cluster, OPERATOR_KINDS)), (), (), "")
    checks = list(judge(replace(FIT, **changes), desired))
    found = [check for check in checks if check.result is not CheckResult.PASS]
    assert all(check.remedy for check in found)
    return [(check.name, check.result) for check in found]


def test_fit_node_passes_everything() -> None:
    """Nothing to do, nothing said."""
    assert odd() == []


@pytest.mark.parametrize(
    ("changes", "name", "result"),
    [
        ({"administrator": False}, CheckName.RIGHTS, CheckResult.WARN),
        ({"powershell": "4.0.1.1"}, CheckName.POWERSHELL, CheckResult.FAIL),
        ({"modules": {"Hyper-V": "2.0.0.0"}}, CheckName.MODULES, CheckResult.FAIL),
        ({"clock": NOW + timedelta(seconds=45)}, CheckName.CLOCK, CheckResult.WARN),
        ({"clock": NOW - timedelta(seconds=301)}, CheckName.CLOCK, CheckResult.FAIL),
        ({"quotas": None}, CheckName.QUOTAS, CheckResult.WARN),
        ({"quotas": {"MaxShellsPerUser": 2}}, CheckName.QUOTAS, CheckResult.FAIL),
        ({"functional_level": 8}, CheckName.FUNCTIONAL_LEVEL, CheckResult.FAIL),
        ({"functional_level": None}, CheckName.FUNCTIONAL_LEVEL, CheckResult.FAIL),
        ({"migrations_max": 0}, CheckName.MIGRATION_LIMITS, CheckResult.FAIL),
        ({"balancer_mode": 2}, CheckName.BALANCER, CheckResult.WARN),
        ({"scvmm_agent": True}, CheckName.BALANCER, CheckResult.WARN),
        ({"balancer_mode": None}, CheckName.BALANCER, CheckResult.WARN),
        ({"vm_path": "C:\\VMs"}, CheckName.DEFAULT_PATHS, CheckResult.WARN),
        ({"vhd_path": "C:\\ClusterStorage\\Volume10"}, CheckName.DEFAULT_PATHS, CheckResult.WARN),
        ({"call_seconds": 1.5}, CheckName.TIME_PER_CALL, CheckResult.WARN),
    ],
)
def test_one_thing_that_is_otherwise_is_the_one_that_is_told(
    changes: dict[str, Any], name: CheckName, result: CheckResult
) -> None:
    """With what an administrator does about it."""
    assert odd(**changes) == [(name, result)]


@pytest.mark.parametrize("kind", ["Basic", "Certificate"])
def test_local_accounts_are_for_clusters_without_a_domain(kind: str) -> None:
    """A VM that a local account made can fail to migrate later."""
    cluster = CLUSTER.replace("NTLM", kind)
    assert odd(cluster) == [(CheckName.AUTHENTICATION, CheckResult.FAIL)]
    assert odd(cluster, domain_joined=False) == []


def test_credssp_is_advised_against() -> None:
    """It works, and hands the password to every node for nothing."""
    assert odd(CLUSTER.replace("NTLM", "CredSSP")) == [(CheckName.AUTHENTICATION, CheckResult.WARN)]


def test_balancer_fails_where_the_controller_is_to_act() -> None:
    """Enforce would be held; with `balancer: Coexist` it is as wished."""
    enforce = CLUSTER + "  mode: Enforce\n"
    assert odd(enforce, balancer_mode=2) == [(CheckName.BALANCER, CheckResult.FAIL)]
    assert odd(enforce, scvmm_agent=True) == [(CheckName.BALANCER, CheckResult.FAIL)]
    assert odd(enforce + "  balancer: Coexist\n", balancer_mode=2, scvmm_agent=True) == []


def test_declared_limit_above_that_of_windows_is_said() -> None:
    """The smaller one counts."""
    cluster = CLUSTER + "  migration: {perNode: 4, perCluster: 8}\n"
    assert odd(cluster) == [(CheckName.MIGRATION_LIMITS, CheckResult.WARN)]


def test_nodes_of_two_clusters_in_one_document_are_told() -> None:
    """By the clusters' ids, since names are given twice."""
    checks = list(judge_together([FIT, replace(FIT, node="HV09", cluster_id="b")]))
    assert [(c.node, c.name, c.result) for c in checks] == [
        ("HV01", CheckName.CLUSTER, CheckResult.FAIL),
        ("HV09", CheckName.CLUSTER, CheckResult.FAIL),
    ]
    assert list(judge_together([FIT, replace(FIT, node="HV02")])) == []
