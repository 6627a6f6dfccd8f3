"""Copies into the chart what it must carry: the four kinds, the rights, the alerts.

A chart can't read outside its folder, and what fetches charts drops links. `python deploy/helm/generate.py`
writes the copies; with `--check` it only says whether they are fresh.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = Path(__file__).parent / "ownernode/files"


def sources() -> dict[str, Path]:
    """Path of each copy in the chart's `files`, and what it is a copy of."""
    return {
        **{f"crds/{path.name}": path for path in sorted((ROOT / "crds").glob("*.yaml"))},
        "rbac.yaml": ROOT / "deploy/kubernetes/base/rbac.yaml",
        "rules.yaml": ROOT / "deploy/prometheus/ownernode.rules.yaml",
    }


def main() -> int:
    """0 when they are written, or are fresh."""
    stale = 0
    found = {str(p.relative_to(FILES)) for p in FILES.rglob("*") if p.is_file()}
    for name in sorted(found - set(sources())):
        stale += 1
        print(f"{name} is a copy of nothing")
    for name, source in sources().items():
        copy = FILES / name
        if copy.exists() and copy.read_bytes() == source.read_bytes():
            continue
        stale += 1
        if "--check" not in sys.argv[1:]:
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(source.read_bytes())
    if stale and "--check" in sys.argv[1:]:
        print("the chart's copies are not fresh; run python deploy/helm/generate.py")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
