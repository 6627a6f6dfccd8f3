"""One API server for all tests of this folder, with what others bring: a namespace, kinds."""

import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.kube.api_server import NAMESPACE, ROOT, ApiServer, Missing, api_server, build

# What a Prometheus operator brings; its schemas are not here, so the fields are not judged.
OPERATOR_KIND = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: {plural}.monitoring.coreos.com}}
spec:
  group: monitoring.coreos.com
  scope: Namespaced
  names: {{kind: {kind}, plural: {plural}}}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}
"""
OPERATOR_KINDS = {"PodMonitor": "podmonitors", "PrometheusRule": "prometheusrules"}


@cache
def build_helm() -> subprocess.CompletedProcess[str]:
    """Build helm if need be, once on a machine."""
    return subprocess.run(
        [str(ROOT / ".ci/helm")], stdout=subprocess.PIPE, stderr=None, text=True, check=False
    )


def pytest_collection_finish() -> None:
    """Build the programs before any test's time runs."""
    build()
    build_helm()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """The server; skipped where its programs can't be had."""
    try:
        with api_server(tmp_path_factory.mktemp("kubernetes")) as found:
            found.kubectl("create", "namespace", NAMESPACE)
            found.apply(
                *(OPERATOR_KIND.format(kind=k, plural=p) for k, p in OPERATOR_KINDS.items())
            )
            found.kubectl(
                "wait",
                "--for=condition=Established",
                "--timeout=30s",
                *(f"crd/{plural}.monitoring.coreos.com" for plural in OPERATOR_KINDS.values()),
            )
            yield found
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def helm() -> Path:
    """The program; skipped where it can't be had."""
    built = build_helm()
    if built.returncode != 0:
        pytest.skip(".ci/helm could not build helm; it said why above")
    return Path(built.stdout.strip()) / "helm"
