"""Coverage leads a fuzzer through the three readers of what others write: specs, frames, replies.

In the campaign only: `FUZZ_SECONDS=600 make campaign` is the time for each reader.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.winrm.node_replies import reply, role, view, vm

ROOT = Path(__file__).parents[2]
SECONDS = int(os.environ.get("FUZZ_SECONDS", "120"))
PROGRAM = """
import json, sys
import atheris
with atheris.instrument_imports(include=["controller", "yaml"]):
    from controller.adapters.specs.documents import read_documents
    from controller.adapters.winrm.frames import FrameReader
    from controller.adapters.winrm.parsing import parse_observation
    from controller.errors import ProtocolBroken, RemoteFailed
    from controller.model.spec import KINDS

def specs(raw):
    reading = read_documents({"f.yaml": raw}, allowed=frozenset(KINDS))
    assert reading.documents or reading.findings
    assert all(str(finding).isprintable() for finding in reading.findings)

def frames(raw):
    reader = FrameReader()
    reader.expect("a")
    try:
        reader.feed(raw)
    except ProtocolBroken:
        pass

def replies(raw):
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return
    if isinstance(document, dict):
        try:
            parse_observation(document)
        except ProtocolBroken:
            pass

target = sys.argv.pop(1)
atheris.Setup(sys.argv, {"specs": specs, "frames": frames, "replies": replies}[target])
atheris.Fuzz()
"""


@pytest.mark.campaign
@pytest.mark.parametrize("reader", ["specs", "frames", "replies"])
def test_no_input_is_answered_with_anything_but_a_finding(reader: str, tmp_path: Path) -> None:
    """Whatever the bytes: documents or findings, a reply or ProtocolBroken; nothing else."""
    if importlib.util.find_spec("atheris") is None:
        assert not os.environ.get("CI"), "atheris is missing"
        pytest.skip("atheris has no wheel for this Python or machine")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(_seeds(reader)):
        (corpus / f"seed-{number}").write_bytes(seed)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, reader, str(corpus), f"-max_total_time={SECONDS}",
         "-max_len=16384", "-rss_limit_mb=1024", "-timeout=10", f"-artifact_prefix={tmp_path}/"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    print(done.stderr.strip().splitlines()[-1])


def _seeds(reader: str) -> list[bytes]:
    match reader:
        case "specs":
            return [p.read_bytes() for p in sorted((ROOT / "deploy/examples").rglob("*.yaml"))]
        case "frames":
            return [b"HV1 a part QUJD\nHV1 a done QUJD\n", b"noise\nHV1 0 ready e30=\n"]
    parts = {"nodes": [view("HV01")], "vms": [vm("x")], "roles": [role("x", "HV01")]}
    return [json.dumps(reply("HV01", **parts)).encode()]
