"""The roots that the image's steps made, and how a process of the image runs in them."""

import os
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path

from tests.kube.api_server import ROOT

SOURCES = (
    "pyproject.toml", "uv.lock", "README.md", "LICENSE", ".ci/versions", "controller",
    "deploy/examples",
)  # fmt: skip
# What a network that looks into TLS, a proxy or a mirror need; nothing of it is in the image.
SURROUNDINGS = ("http_proxy", "https_proxy", "no_proxy", "PIP_INDEX_URL", "UV_INDEX_URL")
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
USER = 65532


@cache
def roots(extras: str = "kubernetes") -> Path | str:
    """The folder with the roots `system` and `tools`, or why there is none."""
    done = subprocess.run([ROOT / ".ci/image", extras], capture_output=True, text=True, check=False)
    return Path(done.stdout.strip()) if done.returncode == 0 else done.stderr.strip()


def build(folder: Path, place: Path, extras: str) -> None:
    """The step `program`: from a copy of the sources into `place/opt`, where the tools are."""
    for name in SOURCES:
        (place / "src" / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, place / "src" / name)
    (place / "opt").mkdir()
    packages = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "uv"
    packages.mkdir(parents=True, exist_ok=True)
    root = folder / "tools"
    (root / "src").mkdir(exist_ok=True)
    (root / "packages").mkdir(exist_ok=True)
    environment = {k: v for k, v in os.environ.items() if k in SURROUNDINGS}
    _inside(
        root,
        {
            place / "src": "src",
            place / "opt": "opt",
            packages: "packages",
            AUTHORITIES: str(AUTHORITIES),
        },
        f"cd /src && exec sh /build.sh program {shlex.quote(extras)}",
        {**environment, "UV_CACHE_DIR": "/packages", "SSL_CERT_FILE": str(AUTHORITIES)},
    )


def run(folder: Path, place: Path, script: str) -> str:
    """What a shell script prints that runs as the image would: its user, its read-only root.

    Fails with all that was said where the script's status is not 0.
    """
    state = place / "state"
    state.mkdir(mode=0o700)
    os.chown(state, USER, USER)
    drop = f"--reuid={USER} --regid={USER} --clear-groups --no-new-privs --bounding-set=-all"
    return _inside(
        folder / "system",
        {place / "opt": "opt", state: "var/lib/ownernode"},
        f"exec setpriv {drop} sh -c {shlex.quote(script)}",
        {"PYTHONUNBUFFERED": "1"},
        read_only=("", "opt"),
    )


def _inside(
    root: Path,
    mounts: dict[Path, str],
    script: str,
    environment: dict[str, str],
    read_only: tuple[str, ...] = (),
) -> str:
    """Run a script in a root, in name spaces of its own: mounts and processes end with it."""
    lines = ["set -eu", f"root={shlex.quote(str(root))}", 'mount --bind "$root" "$root"']
    lines += [
        f'mount --bind {shlex.quote(str(source))} "$root/{target.lstrip("/")}"'
        for source, target in mounts.items()
    ]
    lines += ['mount -t tmpfs tmpfs "$root/tmp"', 'mount -t proc proc "$root/proc"']
    lines += [f'mount -o remount,bind,ro "$root/{target}"' for target in read_only]
    lines += [f'exec chroot "$root" sh -c {shlex.quote(script)}']
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", "\n".join(lines)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/opt/ownernode/bin:/usr/sbin:/usr/bin:/sbin:/bin", **environment},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
