"""The pages on installing: what they say to write is taken, and what they name is there."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.adapters.specs.documents import OPERATOR_KINDS, PLACEMENT_KINDS, read_documents
from tests.kube.api_server import ROOT

PAGES = sorted((ROOT / "docs").glob("install-*.md"))
OURS = "ownernode.io/"


def blocks(page: Path) -> list[str]:
    """What stands between fences, and in a shell's here-documents there."""
    fenced = re.findall(r"^```\w*\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    here = re.findall(r"<<'EOF'\n(.*?)^EOF", "".join(fenced), re.MULTILINE | re.DOTALL)
    return [*fenced, *here]


def manifests(page: Path) -> list[dict[str, Any]]:
    """Every YAML object on the page."""
    texts = (text for text in blocks(page) if text.startswith("apiVersion:"))
    return [document for text in texts for document in yaml.safe_load_all(text)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_names_is_there(page: Path) -> None:
    """Files of the project, pages that it links to, and overlays."""
    text = page.read_text()
    linked = re.findall(r"\]\(([\w.-]+\.md)\)", text)
    named = re.findall(r"(?<![\w/.-])deploy/[\w./-]*\w", text)
    assert linked
    assert named
    assert [name for name in linked if not (ROOT / "docs" / name).exists()] == []
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("name", ["install-systemd", "install-flux"])
def test_its_objects_are_taken(name: str) -> None:
    """`ownernode validate` finds nothing in a FailoverCluster or placement of a page."""
    page = ROOT / f"docs/{name}.md"
    ours = [m for m in manifests(page) if m["apiVersion"].startswith(OURS)]
    text = yaml.safe_dump_all(ours) + "...\n"
    reading = read_documents({page.name: text.encode()}, allowed=OPERATOR_KINDS | PLACEMENT_KINDS)
    assert reading.findings == ()
    assert len(reading.documents) == len(ours)
    assert "FailoverCluster" in {m["kind"] for m in ours}


def test_the_patch_for_argo_cd_gives_each_kind_its_health() -> None:
    """The program on the page, run as it stands there."""
    (program,) = (t for t in blocks(ROOT / "docs/install-argocd.md") if t.startswith("import json"))
    done = subprocess.run(
        ["python3", "-"], input=program, capture_output=True, text=True, check=True, cwd=ROOT
    )
    given = yaml.safe_load(done.stdout)["data"]
    kinds = {
        yaml.safe_load(p.read_text())["spec"]["names"]["kind"] for p in ROOT.glob("crds/*.yaml")
    }
    assert set(given) == {f"resource.customizations.health.ownernode.io_{kind}" for kind in kinds}
    assert set(given.values()) == {(ROOT / "deploy/argocd/health.lua").read_text()}
