"""The image's steps, run on the Debian that it is of, and the program as the image runs it.

No container engine is here: that `podman build` strings the steps together as the Containerfile
says is not shown.
"""

import re
import shutil
from pathlib import Path

import pytest

from tests.deploy import image
from tests.kube.api_server import ROOT

STORY = Path(__file__).with_name("story.sh")
CONTAINERFILE = ROOT / "deploy/Containerfile"


def roots(extras: str) -> Path:
    found = image.roots(extras)
    if isinstance(found, str):
        pytest.skip(found)
    return found


@pytest.mark.timeout(600)
def test_the_program_runs_as_an_unprivileged_user_on_a_read_only_root(tmp_path: Path) -> None:
    """help, validate and run: it writes to its state and to /tmp, and there is no other place."""
    folder = roots("kubernetes")
    image.build(folder, tmp_path, "kubernetes")
    said = image.run(folder, tmp_path, STORY.read_text())
    assert said.splitlines()[0] == "ownernode"
    assert "main@sha1:" in said
    assert "ended with 0" in said
    assert "No module" not in said
    assert {p.name for p in (tmp_path / "state").iterdir()} >= {"git", "token"}


@pytest.mark.campaign
def test_the_image_with_kerberos(tmp_path: Path) -> None:
    """The extras that deploy/Containerfile names, with the compiler that Kerberos needs."""
    (extras,) = re.findall(r'^ARG EXTRAS="(.*)"$', CONTAINERFILE.read_text(), re.MULTILINE)
    folder = roots(extras)
    image.build(folder, tmp_path, extras)
    said = image.run(folder, tmp_path, STORY.read_text())
    assert "ended with 0" in said
    shutil.rmtree(tmp_path / "state")
    lines = "/opt/ownernode/bin/python -c 'import krb5, gssapi; print(krb5.init_context())'"
    assert image.run(folder, tmp_path, lines) == "Krb5Context\n"


def test_the_containerfile_runs_the_same_steps() -> None:
    """Nothing is installed or built but by the script that is run here, and from the same files."""
    lines = CONTAINERFILE.read_text().splitlines()
    steps = [line.removeprefix("RUN sh /build.sh ") for line in lines if line.startswith("RUN")]
    assert steps == ['tools "$EXTRAS"', 'program "$EXTRAS"', "system && rm /build.sh"]
    copied = {
        name
        for line in lines
        if line.startswith("COPY") and "--from" not in line
        for name in line.split()[1:-1]
    }
    assert copied == {*image.SOURCES, "deploy/image/build.sh"}
    bases = {line.split()[1] for line in lines if line.startswith("FROM")}
    assert bases == {"docker.io/library/debian:bookworm-slim"}
    assert f"USER {image.USER}:{image.USER}" in lines
