"""The overlays are what a real API server takes, and what the security standard allows."""

import copy

import pytest

from tests.deploy.manifests import admit, admit_pod, of_kind, overlay
from tests.kube.api_server import ApiServer

KINDS_OF_OURS = 4
EVERYWHERE = {"Deployment", "Namespace", "NetworkPolicy", "PodDisruptionBudget", "ServiceAccount"}


@pytest.mark.parametrize("name", ["kubernetes", "git", "monitored"])
def test_the_server_takes_the_overlay(server: ApiServer, name: str) -> None:
    """Each object is accepted under strict validation: no field is unknown or there twice."""
    manifests = overlay(server, name)
    accepted = admit(server, manifests)
    assert len(accepted) == len(manifests)
    assert {m["kind"] for m in manifests} >= EVERYWHERE


@pytest.mark.parametrize("name", ["kubernetes", "git"])
def test_its_pods_keep_the_restricted_standard(server: ApiServer, name: str) -> None:
    """The namespace enforces `restricted`; one privilege more, and no pod would run there."""
    manifests = overlay(server, name)
    assert admit_pod(server, manifests) == ()
    loose = copy.deepcopy(manifests)
    container = of_kind(loose, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    container["securityContext"]["allowPrivilegeEscalation"] = True
    assert "restricted" in " ".join(admit_pod(server, loose))


def test_two_replicas_where_a_lease_divides_them(server: ApiServer) -> None:
    """A rollout never runs three, and keeps one; each has a state of its own."""
    manifests = overlay(server, "kubernetes")
    spec = of_kind(manifests, "Deployment")["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    state = next(v for v in spec["template"]["spec"]["volumes"] if v["name"] == "state")
    assert "emptyDir" in state
    assert sum(m["kind"] == "CustomResourceDefinition" for m in manifests) == KINDS_OF_OURS


def test_one_process_where_nothing_divides_them(server: ApiServer) -> None:
    """With Git there is no Lease: one replica, ended before the next begins, on one journal."""
    manifests = overlay(server, "git")
    spec = of_kind(manifests, "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (1, "Recreate")
    assert of_kind(manifests, "PersistentVolumeClaim")["spec"]["accessModes"] == [
        "ReadWriteOncePod"
    ]
    assert spec["template"]["spec"]["automountServiceAccountToken"] is False
    assert not {m["kind"] for m in manifests} & {"ClusterRole", "Role", "ClusterRoleBinding"}


@pytest.mark.parametrize(
    ("name", "ports"),
    [
        ("kubernetes", {53, 88, 443, 5985, 5986, 6443}),
        ("git", {22, 53, 88, 443, 5985, 5986, 6443}),
    ],
)
def test_where_it_may_connect_to(server: ApiServer, name: str, ports: set[int]) -> None:
    """Names, Kerberos, HTTPS, WinRM; ssh for Git only."""
    policy = of_kind(overlay(server, name), "NetworkPolicy")["spec"]
    assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == ports
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
