"""One API server for all tests of this folder, with our kinds and our rights installed."""

from collections.abc import Iterator

import pytest

from tests.kube.api_server import NAMESPACE, ROOT, ApiServer, Missing, api_server, build


def pytest_collection_finish() -> None:
    """Build the programs before any test's time runs."""
    build()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """The server; skipped where its programs can't be had."""
    try:
        with api_server(tmp_path_factory.mktemp("kubernetes")) as found:
            install(found)
            yield found
    except Missing as missing:
        pytest.skip(str(missing))


def install(found: ApiServer) -> None:
    """Our kinds and our rights, as the base of deploy/kubernetes has them."""
    found.kubectl("create", "namespace", NAMESPACE)
    crds = [str(path) for path in sorted((ROOT / "crds").glob("*.yaml"))]
    found.kubectl("apply", "--server-side", *(f"--filename={path}" for path in crds))
    found.kubectl("apply", "--server-side", "-f", str(ROOT / "deploy/kubernetes/base/rbac.yaml"))
    kinds = ("failoverclusters", "virtualmachineplacements", "placementrules", "nodemaintenances")
    found.kubectl(
        "wait",
        "--for=condition=Established",
        "--timeout=30s",
        *(f"crd/{kind}.ownernode.io" for kind in kinds),
    )


@pytest.fixture
def clean(server: ApiServer) -> Iterator[ApiServer]:
    """The server without any object of ours, before and after."""
    yield server
    server.kubectl("delete", "failoverclusters,nodemaintenances", "--all", "--ignore-not-found")
    for kind in ("virtualmachineplacements", "placementrules"):
        server.kubectl("delete", kind, "--all", "--all-namespaces", "--ignore-not-found")
    server.kubectl("delete", "lease", "ownernode", "-n", NAMESPACE, "--ignore-not-found")
