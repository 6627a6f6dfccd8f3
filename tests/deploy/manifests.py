"""Manifests as data, and what the API server says to them."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from tests.kube.api_server import NAMESPACE, ROOT, ApiServer

Manifest = Mapping[str, Any]
OVERLAYS = ROOT / "deploy/kubernetes/overlays"
IMAGE = "registry.corp.example/ownernode:0.1.0"


def documents(text: str) -> list[dict[str, Any]]:
    """Every document of a YAML text."""
    return [document for document in yaml.safe_load_all(text) if document]


def overlay(server: ApiServer, name: str) -> list[dict[str, Any]]:
    """What `kubectl kustomize` makes of an overlay."""
    return documents(server.kubectl("kustomize", str(OVERLAYS / name)).stdout)


def of_kind(manifests: Sequence[Manifest], kind: str) -> Manifest:
    """The one manifest of that kind."""
    (found,) = [manifest for manifest in manifests if manifest["kind"] == kind]
    return found


def admit(server: ApiServer, manifests: Sequence[Manifest]) -> list[str]:
    """Let the server judge them strictly, and keep nothing; what it would have done, by line."""
    done = server.kubectl(
        "apply",
        "--server-side",
        "--dry-run=server",
        "--validate=strict",
        "-f",
        "-",
        text=yaml.safe_dump_all(manifests),
    )
    return done.stdout.splitlines()


def admit_pod(server: ApiServer, manifests: Sequence[Manifest]) -> tuple[str, ...]:
    """Why the server would not have a pod of the Deployment in its own namespace: nothing, or why.

    The security standard of a namespace holds for pods; a Deployment gets a warning at most.
    """
    space, account = of_kind(manifests, "Namespace"), of_kind(manifests, "ServiceAccount")
    server.apply(dict(space), dict(account))
    template = of_kind(manifests, "Deployment")["spec"]["template"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**template["metadata"], "name": "probe", "namespace": NAMESPACE},
        "spec": template["spec"],
    }
    done = server.kubectl(
        "create", "--dry-run=server", "-f", "-", text=yaml.safe_dump(pod), check=False
    )
    return tuple(done.stderr.splitlines()) if done.returncode != 0 else ()
