"""What a person or a script relies on at the command line, without any cluster."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "deploy/examples"


def ownernode(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run the command as a process of its own, with a pipe for a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "controller", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "COLUMNS": "100"},
        timeout=60,
    )


def test_help_lists_every_command_and_loads_nothing_heavy() -> None:
    """Completion and `--help` must answer at once: what is heavy is loaded by who needs it."""
    done = ownernode("--help")
    assert done.returncode == 0
    for command in (
        *("demo", "run", "validate", "plan", "apply", "snapshot"),
        *("status", "explain", "history", "crd", "schema", "simulate"),
        *("pause", "resume", "stop", "approve"),
    ):
        assert f"\n  {command} " in done.stdout
    loaded = subprocess.run(
        [sys.executable, "-c", "import controller.cli.main, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    ).stdout.split()
    assert not {"pydantic", "winrm", "yaml", "prometheus_client", "starlette"} & set(loaded)


@pytest.mark.parametrize(
    "command",
    [
        *("demo", "run", "validate", "plan", "apply", "snapshot", "status", "explain", "crd"),
        *("schema", "history", "pause", "resume", "stop", "approve"),
    ],
)
def test_each_command_explains_itself(command: str) -> None:
    """`COMMAND --help` needs no argument, and exits 0."""
    done = ownernode(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage:")


def test_valid_specs_exit_0_with_data_nowhere_and_a_sentence_on_stderr() -> None:
    """The examples that the demo uses are valid; so is the operator's file, when it is named."""
    done = ownernode("validate", EXAMPLES / "specs", EXAMPLES / "config.yaml")
    assert (done.returncode, done.stdout) == (0, "")
    assert "documents in 5 files: valid" in done.stderr


def test_every_finding_is_printed_with_its_place(tmp_path: Path) -> None:
    """A person mends all faults in one go, an editor jumps to each."""
    text = (EXAMPLES / "specs/databases.yaml").read_text(encoding="utf-8")
    bad = text.replace("preferred: [HV02]", "prefered: [HV02]").replace("possible:", "posible:")
    (tmp_path / "a.yaml").write_text(bad, encoding="utf-8")
    done = ownernode("validate", tmp_path)
    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert len(lines) == 2
    assert lines[0].startswith(f"{tmp_path}/a.yaml:9:")
    assert "did you mean 'preferred'?" in lines[0]
    assert "2 findings" in done.stderr
    found = json.loads(ownernode("validate", tmp_path, "-o", "json").stdout)
    assert [f["suggestion"] for f in found] == ["preferred", "possible"]


def test_a_cluster_document_among_placements_is_a_finding() -> None:
    """It would say where credentials go; a folder of placements is written by others."""
    done = ownernode("validate", EXAMPLES)
    assert done.returncode == 1
    assert "config.yaml" in done.stdout
    assert "FailoverCluster" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("validate",), 2),
        (("validate", "no/such/folder"), 2),
        (("plan",), 2),
        (("schema", "pod"), 2),
        (("apply", "--config", "nowhere.yaml", "--specs", "nowhere"), 2),
        (("no-such-command",), 2),
        (("stop",), 2),
        (("pause", "SQL01"), 2),
        (("approve", "--reason", "x"), 2),
        (("stop", "--reason", "x", "--token-file", "nowhere"), 1),
        (("stop", "--reason", "x", "--token-file", "README.md", "--for", "soon"), 1),
        (("history", "SQL01", "--url", "http://127.0.0.1:1"), 1),
        (("plan", "--specs", "deploy/examples/specs"), 1),
        (("plan", "--specs", "deploy/examples/specs", "--snapshot", "README.md"), 1),
        (("status", "--url", "http://127.0.0.1:1"), 1),
        (("explain", "SQL01", "--url", "ftp://example.org"), 1),
        (("run", "--config", "deploy/examples/config.yaml", "--specs", "deploy/examples/specs",
          "--listen", "nowhere"), 1),
        (("snapshot", "--config", "deploy/examples/specs/databases.yaml"), 1),
        (("crd", "--out", "/proc/nowhere"), 1),
        (("simulate", "--config", "deploy/examples/config.yaml"), 1),
        (("simulate", "--config", "deploy/examples"), 2),
        (("apply", "README.md", "--config", "deploy/examples/config.yaml",
          "--specs", "deploy/examples/specs"), 1),
    ],
)  # fmt: skip
def test_bad_input_gets_a_sentence_and_no_traceback(
    arguments: tuple[str, ...], status: int
) -> None:
    """Wrong usage exits 2, anything else that can't be done exits 1; both say what and why."""
    done = ownernode(*arguments)
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip()) > 20


DARK = """apiVersion: ownernode.io/v1alpha1
kind: FailoverCluster
metadata: {name: dark}
spec:
  connection:
    nodes: [hv01.dark.example]
    addresses: {HV01: "127.0.9.1:9"}
    authentication: Basic
    credentials: {env: NO_SUCH_VARIABLE}
"""


def test_a_snapshot_of_nothing_is_no_success(tmp_path: Path) -> None:
    """A script goes by the status, and the last good snapshot is not overwritten."""
    (tmp_path / "dark.yaml").write_text(DARK, encoding="utf-8")
    kept = tmp_path / "snapshot.json"
    kept.write_text("kept", encoding="utf-8")
    done = ownernode("snapshot", "--config", tmp_path / "dark.yaml", "--out", kept)
    assert (done.returncode, done.stdout, kept.read_text()) == (1, "", "kept")
    unseen, nothing = done.stderr.splitlines()
    where = "hv01.dark.example at 127.0.9.1:9"
    assert unseen == (
        f"not seen: hv01: Unreachable, {where} cannot be connected to: connection refused"
    )
    assert nothing.startswith("nothing could be observed: no node of the cluster answered")


@pytest.mark.parametrize(
    "command",
    [("validate",), ("crd", "--out"), ("plan", "--specs", EXAMPLES / "specs", "--snapshot")],
)
def test_a_pipe_is_not_waited_for(command: tuple[str | Path, ...], tmp_path: Path) -> None:
    """Whoever writes the specs must not be able to make `validate` in somebody's CI hang."""
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    done = ownernode(*command, pipe)
    assert done.returncode == 1
    assert "pipe.yaml" in done.stderr


def test_the_crds_printed_are_the_crds_shipped(tmp_path: Path) -> None:
    """Whoever applies `crds/` and whoever pipes `ownernode crd` into kubectl get the same."""
    done = ownernode("crd")
    names = [d["spec"]["names"]["kind"] for d in yaml.safe_load_all(done.stdout)]
    assert sorted(names) == [
        "FailoverCluster", "NodeMaintenance", "PlacementRule", "VirtualMachinePlacement",
    ]  # fmt: skip
    assert ownernode("crd", "--out", tmp_path).returncode == 0
    shipped = {p.name: p.read_text(encoding="utf-8") for p in (ROOT / "crds").glob("*.yaml")}
    assert {p.name: p.read_text(encoding="utf-8") for p in tmp_path.iterdir()} == shipped


@pytest.mark.parametrize(
    "kind", ["FailoverCluster", "virtualmachineplacement", "snapshot", "plan", "report"]
)
def test_schemas_are_json_schemas(kind: str) -> None:
    """An editor can load what `schema KIND` prints."""
    schema = json.loads(ownernode("schema", kind).stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
