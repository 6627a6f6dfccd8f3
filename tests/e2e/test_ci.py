"""What is run at a pull request, run as a runner does: its own lines, in a shell, in a checkout."""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.model.json_documents import write_document
from tests.support import loopback, reports
from tests.support.repository import PLAIN, Repository

ROOT = Path(__file__).parents[2]
CI = ROOT / "deploy/ci"
CONFIG = """apiVersion: ownernode.io/v1alpha1
kind: FailoverCluster
metadata: {name: demo}
spec:
  connection: {nodes: [n1.corp.example], authentication: NTLM, credentials: {env: NONE}}
  mode: Enforce
"""


def placement(vm: str, node: str) -> str:
    return (
        "apiVersion: ownernode.io/v1alpha1\nkind: VirtualMachinePlacement\n"
        f"metadata: {{name: {vm.lower()}}}\n"
        f"spec: {{cluster: demo, vm: {{name: {vm}}}, owners: {{preferred: [{node}]}}}}\n"
    )


class Forge:
    """The comments of one pull or merge request, as GitHub's and GitLab's APIs keep them."""

    def __init__(self) -> None:
        self.comments: list[dict[str, Any]] = [{"id": 1, "body": "Looks good to me."}]
        self.tokens: set[str] = set()
        self.url = ""

    @contextmanager
    def serving(self) -> Iterator["Forge"]:
        """Serve meanwhile."""
        with loopback.serving(_handler(self)) as target:
            self.url = f"http://{target}"
            yield self


def _handler(forge: Forge) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, forge.comments)

        def do_POST(self) -> None:
            number = len(forge.comments) + 1
            forge.comments.append({"id": number, "url": f"{forge.url}/comments/{number}"})
            self._write(forge.comments[-1])

        def do_PATCH(self) -> None:
            number = int(self.path.rpartition("/")[2])
            self._write(next(c for c in forge.comments if c["id"] == number))

        def do_PUT(self) -> None:
            self.do_PATCH()

        def _write(self, comment: dict[str, Any]) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            comment["body"] = json.loads(body)["body"]
            self._answer(201, comment)

        def _answer(self, status: int, data: Any) -> None:
            forge.tokens.add(self.headers.get("Authorization") or self.headers["PRIVATE-TOKEN"])
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(data).encode())

        def log_message(self, *_: object) -> None:
            """Nothing: what matters is asserted."""

    return Handler


@pytest.fixture
def checkout(tmp_path: Path) -> tuple[Repository, str]:
    """A clone at a change that moves SQL01 and lets OLD01 go, and the commit before."""
    origin = Repository(tmp_path / "origin")
    snapshot = write_document(reports.snapshot())
    base = origin.commit(
        {
            "prod/sql01.yaml": placement("SQL01", "N1"),
            "prod/old01.yaml": placement("OLD01", "N1"),
            "clusters/demo.yaml": CONFIG,
            "snapshots/demo.json": snapshot,
        }
    )
    origin.git("switch", "--quiet", "-c", "change")
    origin.commit({"prod/sql01.yaml": placement("SQL01", "N2"), "prod/old01.yaml": None})
    folder = tmp_path / "checkout"
    clone = ["git", "clone", "--quiet", "--depth=1", "--branch=change", f"file://{origin.folder}"]
    subprocess.run([*clone, folder], check=True, env=PLAIN, capture_output=True)
    made = Repository.__new__(Repository)
    made.folder = folder
    return made, base


def run_lines(
    text: str, folder: Path, shell: tuple[str, ...], **variables: str
) -> subprocess.CompletedProcess[str]:
    """One script in the checkout, with the project's own ownernode on PATH."""
    path = f"{ROOT / '.venv/bin'}:{os.environ['PATH']}"
    return subprocess.run(
        [*shell, "-c", text],
        cwd=folder,
        env={**PLAIN, "PATH": path, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


BASH = ("bash", "--noprofile", "--norc", "-e", "-o", "pipefail")
"""As GitHub runs `shell: bash` (its docs, "Workflow syntax: jobs.<job_id>.steps[*].shell")."""


def github_steps() -> dict[str, dict[str, Any]]:
    action = yaml.safe_load((CI / "github/action.yml").read_text())
    return {step["name"]: step for step in action["runs"]["steps"]}


def on_github(
    checkout: tuple[Repository, str], forge: Forge, temp: Path, specs: str = "prod"
) -> dict[str, subprocess.CompletedProcess[str]]:
    """Every step until one fails, with the variables that the action gives it."""
    repository, base = checkout
    variables = {
        "GITHUB_API_URL": forge.url,
        "GITHUB_REPOSITORY": "corp/placements",
        "GITHUB_STEP_SUMMARY": str(temp / "summary.md"),
        "RUNNER_TEMP": str(temp),
        "INSTALL": "ownernode",
        "ACTION": str(CI / "github"),
        "SPECS": specs,
        "SNAPSHOT": "snapshots/demo.json",
        "CONFIG": "clusters",
        "BASE": base,
        "TOKEN": "t0ken",
        "NUMBER": "7",
    }
    done = {}
    for name, step in github_steps().items():
        assert set(step.get("env", {})) <= set(variables)
        done[name] = run_lines(step["run"], repository.folder, BASH, **variables)
        if done[name].returncode != 0:
            break
    return done


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="no curl: apt install curl")


@needs_curl
def test_github_comments_the_plan_and_renews_its_comment(
    checkout: tuple[Repository, str], tmp_path: Path
) -> None:
    """A second push writes the same comment anew; the job's summary says the same."""
    with Forge().serving() as forge:
        for _ in range(2):
            done = on_github(checkout, forge, tmp_path)
            assert [d.returncode for d in done.values()] == [0, 0, 0, 0], done
        assert forge.tokens == {"Bearer t0ken"}
    told, comment = forge.comments
    assert told["body"] == "Looks good to me."
    assert "Nothing is done about <code>OLD01</code>" in comment["body"]
    assert comment["body"] in (tmp_path / "summary.md").read_text()


def test_github_shows_a_fault_at_its_line(checkout: tuple[Repository, str], tmp_path: Path) -> None:
    """Validation fails, nothing is planned, and the matcher finds file, line, column and words."""
    repository, _ = checkout
    (repository.folder / "prod/sql01.yaml").write_text(placement("SQL01", "N2") + "wrong: 1\n")
    with Forge().serving() as forge:
        done = on_github(checkout, forge, tmp_path)
    assert list(done) == ["Install", "Validate"]
    said = done["Validate"]
    assert said.returncode == 1
    assert said.stdout.startswith(f"::add-matcher::{CI / 'github'}/matcher.json\n")
    matcher = json.loads((CI / "github/matcher.json").read_text())
    (pattern,) = matcher["problemMatcher"][0]["pattern"]
    found = [m for line in said.stdout.splitlines() if (m := re.match(pattern["regexp"], line))]
    assert [(m[pattern["file"]], m[pattern["line"]], m[pattern["column"]]) for m in found] == [
        ("prod/sql01.yaml", "5", "1")
    ]


def test_the_workflow_gives_only_inputs_that_the_action_has() -> None:
    """What is misspelt in `with` would be passed over with a warning."""
    action = yaml.safe_load((CI / "github/action.yml").read_text())
    workflow = yaml.safe_load((CI / "github/workflow.yml").read_text())
    step = workflow["jobs"]["ownernode"]["steps"][-1]
    assert set(step["with"]) <= set(action["inputs"])


@needs_curl
@pytest.mark.parametrize(("shell", "options"), [("bash", "set -eo pipefail"), ("sh", "set -e")])
def test_gitlab_writes_one_note_and_renews_it(
    checkout: tuple[Repository, str], shell: str, options: str
) -> None:
    """Its lines as one script, as a runner joins them, with bash and without."""
    repository, base = checkout
    job = yaml.safe_load((CI / "gitlab/ownernode.gitlab-ci.yml").read_text())["ownernode"]
    script = "\n".join([options, *job["script"]])
    with Forge().serving() as forge:
        variables = {
            **job["variables"],
            "SNAPSHOT": "snapshots/demo.json",
            "CONFIG": "clusters",
            "CI_MERGE_REQUEST_DIFF_BASE_SHA": base,
            "CI_API_V4_URL": f"{forge.url}/api/v4",
            "CI_PROJECT_ID": "12",
            "CI_MERGE_REQUEST_IID": "7",
            "OWNERNODE_TOKEN": "t0ken",
        }
        for _ in range(2):
            done = run_lines(script, repository.folder, (shell,), **variables)
            assert done.returncode == 0, done.stderr
        assert forge.tokens == {"t0ken"}
    assert len(forge.comments) == 2
    assert "Nothing is done about <code>OLD01</code>" in forge.comments[1]["body"]
    (repository.folder / "prod/sql01.yaml").write_text("kind: x\n")
    done = run_lines(script, repository.folder, (shell,), **variables)
    assert done.returncode == 1
    assert "prod/sql01.yaml:1:" in done.stdout


@pytest.mark.parametrize("name", [".pre-commit-config.yaml", ".pre-commit-hooks.yaml"])
def test_the_hook_stops_a_commit_with_a_fault(checkout: tuple[Repository, str], name: str) -> None:
    """As pre-commit runs it: entry and args, no shell, no file names."""
    repository, _ = checkout
    read = yaml.safe_load((CI / "pre-commit" / name).read_text())
    (hook,) = read["repos"][0]["hooks"] if isinstance(read, dict) else read
    assert (hook["language"], hook["pass_filenames"]) == ("system", False)
    command = shlex.join([*shlex.split(hook["entry"]), *hook["args"]])
    assert run_lines(command, repository.folder, BASH).returncode == 0
    (repository.folder / "prod/sql01.yaml").write_text(placement("SQL01", "N2")[:-1])
    assert run_lines(command, repository.folder, BASH).returncode == 1
