"""The chart is the overlay in Helm's form: linted by helm, taken by a real API server."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.manifests import IMAGE, Manifest, admit, documents, of_kind, overlay
from tests.kube.api_server import NAMESPACE, ROOT, ApiServer

CHART = ROOT / "deploy/helm/ownernode"
REPOSITORY, TAG = IMAGE.split(":")
NEEDED = ("--set", f"image.repository={REPOSITORY}")
MONITORED = ("--set", "prometheus.podMonitor=true,prometheus.rules=true")


def run(helm: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([helm, *arguments], capture_output=True, text=True, check=False)


def rendered(helm: Path, *arguments: str) -> list[dict[str, object]]:
    """The chart's manifests, in the namespace that helm would give those without one."""
    done = run(helm, "template", "ownernode", str(CHART), "-n", NAMESPACE, *NEEDED, *arguments)
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)


def test_helm_finds_nothing_wrong(helm: Path) -> None:
    """`helm lint --strict`, with everything switched on."""
    done = run(helm, "lint", "--strict", str(CHART), *NEEDED, *MONITORED)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_server_takes_the_chart(helm: Path, server: ApiServer) -> None:
    """Each object is accepted under strict validation, also with every value given."""
    given = (
        "--set-json",
        'image.pullSecrets=[{"name":"registry"}]',
        "--set-json",
        'networkPolicy.extraEgress=[{"ports":[{"port":22,"protocol":"TCP"}]}]',
        "--set-string",
        "env.OWNERNODE_VM_METRICS=true,prometheus.labels.release=stack",
    )
    for arguments in ((), (*MONITORED, *given)):
        manifests = rendered(helm, *arguments)
        for manifest in manifests:
            metadata = manifest["metadata"]
            assert isinstance(metadata, dict)
            metadata.setdefault("namespace", NAMESPACE)
        assert len(admit(server, manifests)) == len(manifests)


def test_the_chart_is_the_overlay(helm: Path, server: ApiServer) -> None:
    """What one of them has and the other has not would be a fault of the other."""
    chart, kustomized = rendered(helm, *MONITORED), overlay(server, "monitored")
    there = {(m["kind"], m["metadata"]["name"]): body(m) for m in kustomized}
    here = {(m["kind"], m["metadata"]["name"]): body(m) for m in chart}  # type: ignore[index]
    del there["Namespace", NAMESPACE]  # `helm install --create-namespace` makes it
    assert here == there


def body(manifest: Manifest) -> dict[str, object]:
    """A manifest without what each tool adds of its own: labels, the place, the image's name."""
    rest = {k: v for k, v in manifest.items() if k not in {"metadata", "apiVersion"}}
    if manifest["kind"] == "Deployment":
        (container,) = manifest["spec"]["template"]["spec"]["containers"]
        container.pop("image")
        container.pop("imagePullPolicy", None)
    return rest


def test_another_namespace(helm: Path) -> None:
    """Account, roles and their subjects move with the release."""
    done = run(helm, "template", "x", str(CHART), "-n", "vms", *NEEDED)
    manifests = documents(done.stdout)
    assert of_kind(manifests, "ServiceAccount")["metadata"]["namespace"] == "vms"
    for kind in ("ClusterRoleBinding", "RoleBinding"):
        assert [s["namespace"] for s in of_kind(manifests, kind)["subjects"]] == ["vms"]
    assert "namespace: ownernode\n" not in done.stdout


def test_the_kinds_stay_when_the_release_goes(helm: Path) -> None:
    """`helm uninstall` would otherwise delete every placement with its kind."""
    kinds = [m for m in rendered(helm) if m["kind"] == "CustomResourceDefinition"]
    kept = {m["metadata"]["annotations"]["helm.sh/resource-policy"] for m in kinds}  # type: ignore[index]
    assert kept == {"keep"}
    without = rendered(helm, "--set", "crds.install=false")
    assert not any(m["kind"] == "CustomResourceDefinition" for m in without)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ("image.repository=", "'/image/repository'"),
        ("replcas=3", "'replcas' not allowed"),
        ("replicas=0", "'/replicas'"),
        ("prometheus.podMonitor=maybe", "'/prometheus/podMonitor'"),
        ("env.lower=x", "propertyName"),
    ],
)
def test_a_value_that_means_nothing(helm: Path, values: str, why: str) -> None:
    """It is refused by name; a misspelt one is not passed over."""
    done = run(helm, "template", "x", str(CHART), *NEEDED, "--set", values)
    assert done.returncode != 0
    assert why in done.stderr


def test_the_copies_are_fresh() -> None:
    """Kinds, rights and alerts of the chart are those that the rest of the project has."""
    done = subprocess.run(
        [sys.executable, ROOT / "deploy/helm/generate.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
