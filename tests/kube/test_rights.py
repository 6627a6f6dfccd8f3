"""The rights of deploy/kubernetes are those that the controller uses: none missing, none idle."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.kube.api_server import CONTROLLER, ROOT, ApiServer
from tests.kube.story import by_secret, condition, placement, replica, simulated, team, until

pytestmark = pytest.mark.timeout(180)
READY = ("--for=condition=Ready", "--timeout=50s")


class Call(NamedTuple):
    """One kind of call, or one right."""

    verb: str
    group: str
    resource: str
    """With its subresource: `failoverclusters/status`."""
    namespace: str
    """Empty for a right in every namespace."""
    name: str
    """Empty for a right to every name."""


def rights() -> set[Call]:
    """What the manifest allows, one by one."""
    documents = list(yaml.safe_load_all((ROOT / "deploy/kubernetes/base/rbac.yaml").read_text()))
    return {
        Call(verb, group, resource, document["metadata"].get("namespace", ""), name)
        for document in documents
        if document["kind"] in ("Role", "ClusterRole")
        for rule in document["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    }


def recorded(server: ApiServer) -> Iterator[tuple[Call, bool]]:
    """Each call that a controller made of that server, and whether it was allowed."""
    for line in server.audit_log.read_text().splitlines():
        entry: dict[str, Any] = json.loads(line)
        if entry["user"]["username"] != CONTROLLER or entry["userAgent"].startswith("kubectl"):
            continue
        at = entry["objectRef"]
        sub = f"/{at['subresource']}" if "subresource" in at else ""
        call = Call(
            entry["verb"],
            at.get("apiGroup", ""),
            at["resource"] + sub,
            at.get("namespace", ""),
            at.get("name", ""),
        )
        yield call, entry["annotations"]["authorization.k8s.io/decision"] == "allow"


def covers(right: Call, call: Call) -> bool:
    """Whether the call needs that right."""
    return (
        right[:3] == call[:3]
        and right.namespace in ("", call.namespace)
        and right.name in ("", call.name)
    )


def go(server: ApiServer, node: str) -> None:
    """Let SQL01 go to that node, and wait until it has settled."""
    server.apply(placement("sql01", "SQL01", node))

    def is_there() -> bool:
        status = server.get("vmp", "sql01", "team-a").get("status", {})
        return (status.get("node"), status.get("verdict")) == (node, "Settled")

    until(is_there, f"SQL01 is on {node}")


def test_rights_are_the_calls_that_were_made(clean: ApiServer, tmp_path: Path) -> None:
    """Log on by a secret, move there and back and there, refuse two kinds, hold the Lease."""
    server = clean
    team(server, "team-a")
    rule = {
        "apiVersion": "ownernode.io/v1alpha1",
        "kind": "PlacementRule",
        "metadata": {"name": "apart", "namespace": "team-a"},
        "spec": {
            "cluster": "west",
            "rule": "KeepApart",
            "vms": {"matchLabels": {"app": "sql"}},
        },
    }
    maintenance = {
        "apiVersion": "ownernode.io/v1alpha1",
        "kind": "NodeMaintenance",
        "metadata": {"name": "hv03"},
        "spec": {"cluster": "west", "node": "HV03"},
    }
    with simulated(tmp_path / "world") as cluster, replica(server, tmp_path / "a"):
        secret = by_secret(cluster, tmp_path / "world")
        server.apply(secret, cluster, rule, maintenance)
        for node in ("HV02", "HV01", "HV02"):  # the same news twice are one Event, counted
            go(server, node)
        for kind, name, *space in (("plr", "apart", "team-a"), ("hvnm", "hv03")):
            until(
                lambda kind=kind, name=name, space=space: condition(  # type: ignore[misc]
                    server.get(kind, name, *space), "Ready"
                ),
                f"{name} has a status",
            )

    calls = set(recorded(server))
    assert {call for call, allowed in calls if not allowed} == set()
    made, have = {call for call, _ in calls}, rights()
    assert {call for call in made if not any(covers(right, call) for right in have)} == set()
    assert {right for right in have if not any(covers(right, call) for call in made)} == set()
