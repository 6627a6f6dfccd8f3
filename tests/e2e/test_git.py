"""A day of a team that keeps its placements in Git: real git, real controller, real webhook."""

import hmac
import json
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_operator import OWNERNODE, ROOT, place, run, set_mode, wait_until_ready
from tests.support.forge import Api
from tests.support.ports import own_port
from tests.support.repository import Repository

__all__ = ["place"]  # the fixture of a simulated cluster that is being served

SECRET = "a webhook's secret"
URL = f"http://127.0.0.1:{own_port(19467)}"


def placement(vm: str, node: str) -> str:
    return (
        "apiVersion: ownernode.io/v1alpha1\nkind: VirtualMachinePlacement\n"
        f"metadata: {{name: {vm.lower()}}}\n"
        f"spec: {{cluster: ops, vm: {{name: {vm}}}, owners: {{preferred: [{node}]}}}}\n"
    )


def push(secret: str = SECRET) -> int:
    """What a forge does after a push."""
    body = json.dumps({"ref": "refs/heads/main"}).encode()
    digest = hmac.new(secret.encode(), body, "sha256").hexdigest()
    request = urllib.request.Request(
        f"{URL}/api/v1/webhook/team", body, {"X-Hub-Signature-256": f"sha256={digest}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def status_when(fits: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
    """The cluster's report once it fits."""
    deadline = time.monotonic() + 60
    while True:
        with urllib.request.urlopen(f"{URL}/api/v1/status", timeout=10) as answer:
            (report,) = json.load(answer)["clusters"]
        if fits(report):
            return dict(report)
        assert time.monotonic() < deadline, f"never {what}: {json.dumps(report)[:2000]}"
        time.sleep(0.2)


def owners(report: dict[str, Any]) -> dict[str, str]:
    return {vm["vm"]: vm["owner"] for vm in report["vms"] if vm["verdict"] == "Settled"}


@pytest.fixture
def api() -> Iterator[Api]:
    with Api().serving() as serving:
        yield serving


@pytest.mark.timeout(240)
def test_commits_move_a_vm_and_a_bad_one_only_says_so(place: Path, api: Api) -> None:
    """Commit, push, moved; then a bad commit, its mending, and a VM that leaves the specs."""
    repository = Repository(place / "team")
    repository.commit({"ops/sql01.yaml": placement("SQL01", "HV01")})
    first = repository.commit({"ops/web01.yaml": placement("WEB01", "HV01")})
    (place / "hook").write_text(SECRET)
    address = f"{repository.address}?path=ops&interval=1h&webhook-secret={place}/hook"
    address += f"&status={api.url}/repos/corp/team/statuses&status-token={place}/hook"
    config = set_mode(place, "Enforce")
    command = [*OWNERNODE, "run", "--config", config, "--specs", address]
    command += ["--state", place / "state", "--listen", URL.removeprefix("http://")]
    with subprocess.Popen(
        [str(part) for part in command], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as controller:
        wait_until_ready(URL)
        report = status_when(
            lambda r: owners(r).get("SQL01") == "HV01", "moved by the first commit"
        )
        assert report["revision"] == f"main@sha1:{first}"

        second = repository.commit({"ops/web01.yaml": placement("WEB01", "HV02")})
        assert push("a guessed secret") == 401
        assert push() == 202
        report = status_when(lambda r: owners(r).get("WEB01") == "HV02", "moved by a commit")
        assert report["revision"] == f"main@sha1:{second}"

        bad = repository.commit({"ops/sql01.yaml": placement("SQL01", "[HV02")})
        assert push() == 202
        report = status_when(lambda r: r["sources"][0]["reason"] == "Invalid", "refused")
        assert report["revision"] == f"main@sha1:{second}"
        assert report["sources"][0]["refused"] == f"main@sha1:{bad}"
        said = run("status", "--url", URL).stdout
        assert re.search(r"team:ops/sql01\.yaml:4:\d+:", said), said
        with urllib.request.urlopen(f"{URL}/metrics", timeout=10) as answer:
            metrics = answer.read().decode()
        assert 'ownernode_spec_refused{cluster="ops",source="team"} 1.0' in metrics
        assert f'revision="main@sha1:{second}",source="team"}} 1.0' in metrics

        third = repository.commit({"ops/sql01.yaml": None})
        assert push() == 202
        report = status_when(lambda r: r["revision"] == f"main@sha1:{third}", "taken")
        (gone,) = report["undeclared"]
        assert report["sources"][0]["undeclared"] == [gone]
        assert (gone["vm"], gone["revision"]) == ("SQL01", f"main@sha1:{third}")
        assert report["unmanagedVms"] == 1
        assert "No longer declared, and left alone" in run("status", "--url", URL).stdout
        controller.send_signal(signal.SIGTERM)
        assert controller.wait(timeout=10) == 0
        assert controller.stderr is not None
        logged = controller.stderr.read()
    told = {(path[-40:], body["state"]) for path, _, body in api.so_far()}
    assert {(first, "pending"), (first, "success"), (second, "success"), (bad, "failure")} <= told
    assert (bad, "success") not in told
    assert f"main@sha1:{bad[:12]} is not taken: team:ops/sql01.yaml:4:" in logged
    assert f"SQL01 is no longer declared since main@sha1:{third[:12]}" in logged


def test_plan_and_explain_read_a_repository_too(place: Path) -> None:
    """What would a branch do: asked of the repository itself, without a work tree."""
    repository = Repository(place / "team")
    repository.commit({"ops/sql01.yaml": placement("SQL01", "HV01")})
    repository.git("switch", "--quiet", "-c", "proposal")
    repository.commit({"ops/sql01.yaml": placement("SQL01", "HV02")})
    config = place / "site/config.yaml"
    seen = run("snapshot", "--config", config, "--out", place / "snapshot.json")
    assert seen.returncode == 0, seen.stderr
    for branch, status in (("main", 2), ("proposal", 0)):
        address = f"{repository.address}?branch={branch}"
        done = run(
            "plan", "--specs", address, "--snapshot", place / "snapshot.json", "--detailed-exitcode"
        )
        assert done.returncode == status, done.stderr
    missing = run("plan", "--specs", f"{repository.address}?branch=no", "--config", config)
    assert missing.returncode == 1
    assert "the repository has no branch no; nothing is in force" in missing.stderr


@pytest.mark.timeout(120)
def test_a_commit_in_the_demos_repository_moves_a_vm() -> None:
    """The demo names its repository and the command; following its words moves a VM."""
    with subprocess.Popen(
        [sys.executable, "-m", "controller", "demo", "--once"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    ) as demo:
        assert demo.stderr is not None
        specs = command = ""
        said = []
        for line in demo.stderr:
            said.append(line)
            if found := re.search(r"specs (/\S+): a Git repository", line):
                specs = found[1]
            if found := re.search(r"then: (git -C \S+ commit .*), and watch", line):
                command = found[1]
            if "Watching demo" in line:
                break
        path = next(p for p in Path(specs).glob("*.yaml") if "MAIL01" in p.read_text())
        text = path.read_text()
        path.write_text(
            re.sub(r"(MAIL01}.*?preferred: \[)HV\d\d", r"\1HV04", text, flags=re.DOTALL)
        )
        subprocess.run(command, shell=True, check=True, capture_output=True)
        moved = next((line for line in demo.stderr if "Ordered to move MAIL01" in line), "")
        assert "to HV04" in moved, "".join(said)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(timeout=15) == 1
