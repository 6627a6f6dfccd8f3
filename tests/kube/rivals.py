"""Replicas of the controller as processes that are begun quickly, and a witness inside each.

A process is forked from one that has everything imported already, and then runs what `ownernode run
--kubernetes` runs. The witness is a thread beside that. It writes down, a hundred times a second,
what the replica itself believes: whether it leads, and which placements it mirrors.
"""

import asyncio
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

from controller.adapters.http.server import bind
from controller.adapters.kube.kinds import PLACEMENT
from controller.adapters.kube.lease import seconds_since_boot
from controller.app.kubernetes import Replica
from controller.cli.process import run_until_stopped
from controller.settings import Kubernetes, LogForm, Settings, configure_logging

SAMPLE_SECONDS = 0.01
SAMPLES_A_MIRROR = 5
WATCH_SECONDS = 3
SILENCE_SECONDS = 4.0
"""Longer than a watch: nothing but a stall breaks one off, so that no list heals what was lost."""

Mirror = dict[str, tuple[str, str]]
"""`namespace/name` of each placement -> its uid, and the nodes that it prefers."""

forks = multiprocessing.get_context("forkserver")
forks.set_forkserver_preload([__name__])


@dataclass
class Rival:
    """One replica: its folder, and its process of now."""

    name: str
    kubeconfig: Path
    folder: Path
    lease_seconds: tuple[float, float, float]
    process: BaseProcess | None = None
    lives: int = 0
    is_stopped: bool = False

    def begin(self, *, with_empty_disk: bool) -> None:
        """Start a process, on the disk of the last one or on an empty one."""
        self.lives += 1
        disk = self.folder / (f"state-{self.lives}" if with_empty_disk else "state")
        self.process = forks.Process(
            target=_live, args=(self.name, self.kubeconfig, self.folder, disk, self.lease_seconds)
        )
        self.process.start()

    def signal(self, number: signal.Signals) -> None:
        """Send that signal."""
        assert self.process is not None
        assert self.process.pid is not None
        os.kill(self.process.pid, number)
        self.is_stopped = number is signal.SIGSTOP

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        assert self.process is not None
        self.process.kill()
        self.process.join()
        self.is_stopped = False

    def end(self) -> None:
        """SIGTERM, and no more patience than it has itself."""
        if self.process is None:
            return
        if self.is_stopped:
            self.signal(signal.SIGCONT)
        self.process.terminate()
        self.process.join(12)
        if self.process.is_alive():
            self.kill()

    def mirror(self) -> Mirror | None:
        """What it last mirrored; None before its first list."""
        path = self.folder / "mirror.json"
        if not path.exists():
            return None
        found = json.loads(path.read_text())
        return {name: (uid, preferred) for name, (uid, preferred) in found.items()}

    def leads(self) -> bool:
        """Whether it led when its witness last looked, which was just now."""
        path = self.folder / "leads"
        lines = path.read_text().splitlines()[-1:] if path.exists() else []
        at, leads = lines[0].split() if lines else ("0", "0")
        return leads == "1" and seconds_since_boot() - float(at) < 10 * SAMPLE_SECONDS

    def terms(self) -> list["Term"]:
        """The times during which it believed that it leads, each without a break."""
        found: list[Term] = []
        path, last = self.folder / "leads", "0"
        for line in path.read_text().splitlines() if path.exists() else ():
            at, leads = line.split()
            if leads == "1" and last == "1":
                found[-1].last = float(at)
            elif leads == "1":
                found.append(Term(holder=self.name, first=float(at), last=float(at)))
            last = leads
        return found


@dataclass
class Term:
    """From the first to the last moment at which a replica was seen to believe that it leads."""

    holder: str
    first: float
    last: float


@dataclass
class _Witness:
    replica: Replica
    folder: Path
    mirror: Mirror = field(default_factory=dict)

    def watch(self) -> None:
        """Write down what the replica believes, as long as the process lives."""
        told = os.open(self.folder / "leads", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        (self.folder / "mirror.json").unlink(missing_ok=True)
        os.write(told, f"{seconds_since_boot():.4f} 0\n".encode())
        number = 0
        while True:
            # The time first: a process that is stopped in between then tells of the past.
            at, leads = seconds_since_boot(), self.replica._elector.leads()
            os.write(told, f"{at:.4f} {int(leads)}\n".encode())
            if number % SAMPLES_A_MIRROR == 0:
                self._copy_mirror()
            number += 1
            time.sleep(SAMPLE_SECONDS)

    def _copy_mirror(self) -> None:
        informer = self.replica._informers[PLACEMENT]
        if not informer.synced.is_set():
            return
        mirror = mirror_of(list(informer.items.values()))
        path = self.folder / "mirror.json"
        if mirror != self.mirror or not path.exists():
            fresh = self.folder / "mirror.new"
            fresh.write_text(json.dumps(mirror))
            fresh.replace(path)
            self.mirror = mirror


def mirror_of(items: list[dict[str, object]]) -> Mirror:
    """What matters of placements here."""
    found: Mirror = {}
    for item in items:
        metadata, spec = item["metadata"], item["spec"]
        assert isinstance(metadata, dict)
        assert isinstance(spec, dict)
        at = f"{metadata['namespace']}/{metadata['name']}"
        found[at] = (metadata["uid"], ",".join(spec["owners"]["preferred"]))
    return found


def _live(
    name: str, kubeconfig: Path, folder: Path, disk: Path, lease: tuple[float, float, float]
) -> None:
    """The whole life of a replica's process."""
    log = os.open(folder / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ["HOSTNAME"] = name
    configure_logging(LogForm.TEXT)
    settings = Settings(config=None, specs=(), state=disk)
    kubernetes = Kubernetes(
        kubeconfig=kubeconfig,
        lease_seconds=lease,
        watch_seconds=WATCH_SECONDS,
        silence_seconds=SILENCE_SECONDS,
    )
    listening = bind("127.0.0.1", 0)

    async def serve() -> None:
        replica = Replica(settings, kubernetes)
        watching = _Witness(replica, folder).watch
        threading.Thread(target=watching, daemon=True, name="witness").start()
        await replica.serve(listening)

    asyncio.set_event_loop_policy(None)
    sys.exit(run_until_stopped(serve()))
