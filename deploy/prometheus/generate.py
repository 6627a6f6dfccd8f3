"""Makes the PrometheusRule of the Prometheus operator from the rules that promtool tests.

`python deploy/prometheus/generate.py` writes it; with `--check` it only says whether it is fresh.
"""

import sys
from pathlib import Path

RULES = Path(__file__).with_name("ownernode.rules.yaml")
OUT = Path(__file__).with_name("prometheusrule.yaml")
HEAD = """\
# Made by deploy/prometheus/generate.py from ownernode.rules.yaml; do not edit.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: ownernode
  labels: {app.kubernetes.io/name: ownernode}
spec:
"""


def made() -> str:
    """The whole document. The rules stand in it as they are, with their layout."""
    rules = RULES.read_text(encoding="utf-8")
    body = rules[rules.index("groups:") :]
    return HEAD + "".join(f"  {line}\n" if line else "\n" for line in body.splitlines())


def main() -> int:
    """0 when it is written, or is fresh."""
    if "--check" not in sys.argv[1:]:
        OUT.write_text(made(), encoding="utf-8")
        return 0
    if OUT.exists() and OUT.read_text(encoding="utf-8") == made():
        return 0
    print(f"{OUT.name} is not fresh; run python deploy/prometheus/generate.py")
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
