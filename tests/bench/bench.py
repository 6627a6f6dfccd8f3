"""Measure what the README promises, on the simulator: `make bench`.

Prints a table and writes build/bench.json, a list of {name, value, unit, goal, holds}. The
controller runs in a process of its own beside another one with the simulated cluster, so that its
memory is its own; on two cores both share the machine.
"""

import json
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import chain
from pathlib import Path

import psutil
import yaml

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench import kubernetes, planning, scraping, wire
from tests.bench.figures import Figure, figure, show

ROOT = Path(__file__).parents[2]
URL = "http://127.0.0.1:19464"
INTERVAL_SECONDS = 1
CYCLES = 8
START_SECONDS_MAX = 120.0


def main() -> int:
    """Measure, print, write; 0 when every figure holds."""
    found = show(
        chain(
            planning.figures(),
            scraping.figures(),
            wire.figures(),
            process_figures(nodes=16, vms=1_000),
            kubernetes.figures(),
        )
    )
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    (build / "bench.json").write_text(
        json.dumps([asdict(item) for item in found], indent=2) + "\n", encoding="utf-8"
    )
    return int(any(item.holds is False for item in found))


def vm_name(number: int) -> str:
    """`VM0001`."""
    return f"VM{number:04}"


def node_name(number: int) -> str:
    """`HV01`."""
    return f"HV{number:02}"


def write_specs(folder: Path, *, nodes: int, vms: int) -> None:
    """A placement for each VM, on the node where `world` has it."""
    folder.mkdir(parents=True)
    for first in range(0, vms, 100):
        documents = [
            {
                "apiVersion": "ownernode.io/v1alpha1",
                "kind": "VirtualMachinePlacement",
                "metadata": {"name": vm_name(number).lower()},
                "spec": {
                    "cluster": "bench",
                    "vm": {"name": vm_name(number)},
                    "owners": {"preferred": [node_name(number % nodes + 1)]},
                },
            }
            for number in range(first, min(first + 100, vms))
        ]
        path = folder / f"{first:04}.yaml"
        path.write_text(yaml.safe_dump_all(documents), encoding="utf-8")


def world(*, nodes: int, vms: int) -> str:
    """A world.yaml where every VM is where it belongs."""
    return yaml.safe_dump(
        {
            "cluster": {"name": "bench", "domain": "bench.example"},
            "nodes": [{"name": node_name(n + 1), "memory": "1024Gi"} for n in range(nodes)],
            "volumes": [{"name": "Volume1", "size": "512Ti"}],
            "vms": [
                {"name": vm_name(n), "node": node_name(n % nodes + 1), "memory": "8Gi"}
                for n in range(vms)
            ],
        }
    )


def process_figures(*, nodes: int, vms: int) -> Iterator[Figure]:
    """A controller over WinRM, watched from outside for some cycles."""
    size = f"{nodes} nodes x {vms} VMs"
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write_specs(place / "specs", nodes=nodes, vms=vms)
        (place / "world.yaml").write_text(world(nodes=nodes, vms=vms), encoding="utf-8")
        with simulated(place) as config, controller(config, place) as process:
            before, memory = settled(process)
            deadline = time.monotonic() + 30.0 * CYCLES
            after = before
            while after["cycles"] < before["cycles"] + CYCLES and time.monotonic() < deadline:
                time.sleep(0.5)
                after = scrape()
                memory = max(memory, process.memory_info().rss)
    cycles = after["cycles"] - before["cycles"]
    assert cycles >= CYCLES, f"only {cycles} cycles in time"
    apart_seconds = (after["seen_at"] - before["seen_at"]) / cycles
    yield figure(f"no-drift cycle over WinRM, {size}", apart_seconds - INTERVAL_SECONDS, "s", 5)
    yield figure(f"memory of the controller process (RSS), {size}", memory / 2**20, "MiB", 200)
    yield figure(f"event loop lag, longest, {size}", longest_lag_ms(before, after), "ms", 50)


@contextmanager
def simulated(place: Path) -> Iterator[Path]:
    """The simulator in a process of its own; gives the path of a config for it, in Enforce."""
    command = [*OWNERNODE, "simulate", "--config", str(place / "world.yaml")]
    command += ["--dir", str(place / "site")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            config = Path(process.stdout.readline().decode().strip())
            document = yaml.safe_load(config.read_text(encoding="utf-8"))
            document["spec"] |= {"mode": "Enforce", "interval": f"{INTERVAL_SECONDS}s"}
            config.write_text(yaml.safe_dump(document), encoding="utf-8")
            yield config
        finally:
            process.send_signal(signal.SIGTERM)


OWNERNODE = [sys.executable, "-m", "controller"]


@contextmanager
def controller(config: Path, place: Path) -> Iterator[psutil.Process]:
    """`ownernode run` in a process of its own."""
    command = [*OWNERNODE, "run", "--config", str(config), "--specs", str(place / "specs")]
    command += ["--state", str(place / "state"), "--listen", URL.removeprefix("http://")]
    with subprocess.Popen(command) as process:
        try:
            yield psutil.Process(process.pid)
        finally:
            process.send_signal(signal.SIGTERM)


def settled(process: psutil.Process) -> tuple[dict[str, float], int]:
    """The first figures after warm-up (two cycles), and the memory until then."""
    deadline = time.monotonic() + START_SECONDS_MAX
    memory = 0
    while time.monotonic() < deadline:
        time.sleep(0.5)
        memory = max(memory, process.memory_info().rss)
        try:
            figures = scrape()
        except OSError:
            continue
        if figures.get("cycles", 0) >= 2:
            return figures, memory
    raise TimeoutError(f"no two cycles within {START_SECONDS_MAX} s")


def scrape() -> dict[str, float]:
    """What the metrics page says of cycles and lag."""
    with urllib.request.urlopen(f"{URL}/metrics", timeout=10) as answer:
        page = answer.read().decode()
    cycles = re.search(r'^ownernode_cycle_seconds_count\{.*phase="observe"\} (\S+)$', page, re.M)
    seen = re.search(r"^ownernode_node_observation_timestamp_seconds\{.*\} (\S+)$", page, re.M)
    if cycles is None or seen is None:
        return {}
    buckets = re.findall(r'^ownernode_loop_lag_seconds_bucket\{.*le="(\S+)"\} (\S+)$', page, re.M)
    lags = {f"lag {bound}": float(count) for bound, count in buckets}
    return {"cycles": float(cycles[1]), "seen_at": float(seen[1]), **lags}


def longest_lag_ms(before: dict[str, float], after: dict[str, float]) -> float:
    """Upper bound of the highest bucket that a wake-up between both scrapes fell into."""
    lags = {name.split()[1]: after[name] - before[name] for name in after if "lag" in name}
    longest = next(bound for bound, count in lags.items() if count == lags["+Inf"])
    return float(longest) * 1000


if __name__ == "__main__":
    raise SystemExit(main())
