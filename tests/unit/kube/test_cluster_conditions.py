"""What the status of a FailoverCluster says beside where its VMs stand."""

from dataclasses import replace

from controller.adapters.kube.status import _conditions_of_cluster
from tests.support import reports


def test_default_folders_that_are_not_right_are_a_condition_of_their_own() -> None:
    """They keep nothing from being Ready: no VM stands wrong for them."""
    report = reports.report()
    (found,) = (c for c in _conditions_of_cluster(report) if c.type == "DefaultPaths")
    assert (found.status, found.reason) == ("False", "NotAsDeclared")
    assert found.message.startswith("N2 puts new VMs in C:\\VMs")
    right = replace(report, plan=replace(report.plan, folders=()))
    assert [c for c in _conditions_of_cluster(right) if c.type == "DefaultPaths"] == []
