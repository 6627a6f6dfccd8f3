"""What the API server itself takes, refuses and allows, with our kinds and our rights in it."""

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from controller.adapters.specs.documents import OPERATOR_KINDS, PLACEMENT_KINDS, read_documents
from tests.kube.api_server import CONTROLLER, ROOT, ApiServer
from tests.kube.story import team

pytestmark = pytest.mark.timeout(120)
ALL = OPERATOR_KINDS | PLACEMENT_KINDS

CLUSTER: Mapping[str, Any] = {
    "apiVersion": "ownernode.io/v1alpha1",
    "kind": "FailoverCluster",
    "metadata": {"name": "prod"},
    "spec": {
        "connection": {
            "nodes": ["hv01.corp.example"],
            "authentication": "NTLM",
            "credentials": {"file": "/run/secrets/hv"},
        }
    },
}
VM: Mapping[str, Any] = {
    "apiVersion": "ownernode.io/v1alpha1",
    "kind": "VirtualMachinePlacement",
    "metadata": {"name": "sql01", "namespace": "team-a"},
    "spec": {"cluster": "prod", "vm": {"name": "SQL01"}},
}
FOLDER = r"C:\ClusterStorage\Volume1\VMs"
GUID = "2b8a7d0e-1c53-4f0a-9e6d-1f2a3b4c5d6e"


def changed(base: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The document with one field set, or gone where the value is None."""
    document: dict[str, Any] = yaml.safe_load(yaml.safe_dump(dict(base)))
    *way, last = path.split(".")
    part = document
    for key in way:
        part = part.setdefault(key, {})
    if value is None:
        del part[last]
    else:
        part[last] = value
    return document


GOOD = (
    CLUSTER,
    VM,
    changed(CLUSTER, "spec.mode", "Enforce"),
    changed(CLUSTER, "spec.interval", "2m30s"),
    changed(CLUSTER, "spec.capacity", {"memoryReserve": "8Gi"}),
    changed(CLUSTER, "spec.allowedNamespaces", ["team-a", "team-b"]),
    changed(CLUSTER, "spec.connection.credentials", {"secretRef": {"name": "hv"}}),
    changed(CLUSTER, "spec.connection.addresses", {"HV01": "10.1.2.7:5986"}),
    changed(CLUSTER, "spec.defaultPaths", "Report"),
    changed(changed(CLUSTER, "spec.defaultPaths", "Manage"), "spec.defaultFolder", FOLDER),
    changed(VM, "spec.vm", {"id": GUID}),
    changed(VM, "spec.owners", {"preferred": ["HV01"], "possible": ["HV01", "HV02"]}),
    changed(VM, "spec.suspend", True),
)
BAD = (
    changed(CLUSTER, "spec.mode", "enforce"),
    changed(CLUSTER, "spec.interval", 15),
    changed(CLUSTER, "spec.interval", "15"),
    changed(CLUSTER, "spec.interval", "1h30m"),
    changed(CLUSTER, "spec.interval", "0s"),
    changed(CLUSTER, "spec.connection.nodes", []),
    changed(CLUSTER, "spec.connection.nodes", ["hv01"]),
    changed(CLUSTER, "spec.connection.authentication", None),
    changed(CLUSTER, "spec.connection.credentials", {}),
    changed(CLUSTER, "spec.connection.credentials", {"file": "/a/b", "env": "B"}),
    changed(CLUSTER, "spec.connection.tls", {}),
    changed(CLUSTER, "spec.migration", {"perNode": 0}),
    changed(CLUSTER, "spec.migration", {"perNode": 4, "perCluster": 2}),
    changed(CLUSTER, "spec.allowedNamespaces", ["Team"]),
    changed(CLUSTER, "spec.allowedNamespaces", ["team-a", "team-a"]),
    changed(CLUSTER, "spec.connection.ntlmOverHTTP", "yes"),
    changed(CLUSTER, "spec.modes", "Enforce"),
    changed(CLUSTER, "spec.defaultPaths", "Manage"),
    changed(CLUSTER, "spec.defaultFolder", FOLDER),
    changed(changed(CLUSTER, "spec.defaultPaths", "Report"), "spec.defaultFolder", FOLDER[:-4]),
    changed(VM, "spec.vm", {}),
    changed(VM, "spec.vm", {"name": "A", "id": GUID}),
    changed(VM, "spec.vm", {"name": "A "}),
    changed(VM, "spec.cluster", None),
    changed(VM, "spec.owners", {"preferred": ["this-name-is-too-long"]}),
    changed(VM, "spec.owners", {"failback": "Sometimes"}),
    changed(VM, "spec.owner", {"preferred": ["HV01"]}),
    changed(VM, "spec.suspend", "yes"),
)


def takes(server: ApiServer, document: Mapping[str, Any]) -> str:
    """Why the server refuses the document under strict validation; empty if it takes it."""
    ran = server.kubectl(
        "apply",
        "--server-side",
        "--dry-run=server",
        "--validate=strict",
        "-f",
        "-",
        text=yaml.safe_dump(dict(document)),
        check=False,
    )
    return ran.stderr if ran.returncode else ""


def validates(document: Mapping[str, Any]) -> bool:
    """What `ownernode validate` says of the same document as a file."""
    reading = read_documents({"a.yaml": yaml.safe_dump(dict(document)).encode()}, allowed=ALL)
    return not reading.findings


def test_server_and_validate_say_the_same(clean: ApiServer) -> None:
    """Of right and of wrong documents, schema and CEL alike."""
    team(clean, "team-a")
    for document in GOOD:
        assert (takes(clean, document), validates(document)) == ("", True), document
    for document in BAD:
        assert takes(clean, document) != "", document
        assert not validates(document), document


def test_examples_are_taken(clean: ApiServer) -> None:
    """Each example of this project is a right object too."""
    examples = sorted((ROOT / "deploy/examples").glob("**/specs/*.yaml"))
    assert examples
    for path in examples:
        for document in yaml.safe_load_all(path.read_text()):
            assert takes(clean, document | {"metadata": document["metadata"]}) == "", path


@pytest.mark.parametrize(
    ("may", "question"),
    [
        (True, ("list", "virtualmachineplacements.ownernode.io", "-A")),
        (True, ("patch", "failoverclusters.ownernode.io", "--subresource=status")),
        (True, ("get", "secrets", "-n", "ownernode")),
        (False, ("get", "secrets", "-n", "team-a")),
        (False, ("list", "secrets", "-n", "ownernode")),
        (False, ("list", "secrets", "-A")),
        (False, ("patch", "failoverclusters.ownernode.io")),
        (False, ("update", "virtualmachineplacements.ownernode.io", "-n", "team-a")),
        (False, ("delete", "virtualmachineplacements.ownernode.io", "-n", "team-a")),
        (False, ("delete", "leases.coordination.k8s.io", "-n", "ownernode")),
        (False, ("update", "leases.coordination.k8s.io/other", "-n", "ownernode")),
        (False, ("get", "pods", "-n", "ownernode")),
    ],
)
def test_rights_of_the_controller(may: bool, question: tuple[str, ...], server: ApiServer) -> None:
    """Enough to do its work, and no more."""
    ran = server.kubectl("auth", "can-i", *question, user=CONTROLLER, check=False)
    assert ran.stdout.strip() == ("yes" if may else "no"), ran.stderr


def test_tenant_without_rights_can_neither_place_nor_approve(clean: ApiServer) -> None:
    """Our kinds give nobody anything by themselves."""
    team(clean, "team-a")
    clean.apply(CLUSTER)
    for arguments in (
        ("annotate", "fcl", "prod", "ownernode.io/approve=1"),
        ("get", "vmp", "-n", "team-a"),
    ):
        ran = clean.kubectl(*arguments, user="tenant", check=False)
        assert "forbidden" in ran.stderr.lower(), ran.stderr
