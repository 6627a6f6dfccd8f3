"""A Git repository as a source: one revision in force as a whole, until a better one is there.

Reading does not depend on the network: it gives what is in force and, when it is time, lets a fetch
begin beside it. A revision that can't be had or is not taken changes nothing but what is said.
"""

import asyncio
import hashlib
import logging
import random
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from controller.adapters.specs.git.accepted import Accepted, AcceptedStore
from controller.adapters.specs.git.address import Address
from controller.adapters.specs.git.judge import InForce, NotTaken, in_force, judge, read_files
from controller.adapters.specs.git.mirror import Mirror, Refused
from controller.adapters.specs.git.program import Limits, Stopped
from controller.errors import SpecError
from controller.model.findings import Finding
from controller.model.source import SourceRefusal, SourceState
from controller.ports import SpecReading

log = logging.getLogger(__name__)

JITTER_SHARE = 0.1
"""Of the interval, either way: many controllers must not ask one server at once."""
HINT_SECONDS_MIN = 2.0
"""Between two fetches that hints bring about."""
FIRST_SECONDS_MAX = 30.0
"""How long the first reading of all waits for the repository."""
LATER_SECONDS_MAX = 0.5
"""How long a later one does while a fetch runs: most are over then, a second before the next."""
_FINDINGS_MAX = 50


class GitSource:
    """One repository. `read` as often as you like; `hint` when it is said to have changed."""

    def __init__(
        self,
        address: Address,
        state: Path,
        *,
        limits: Limits | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """`state`: a folder for all Git sources. Another URL, ref, path or trust begins anew."""
        trust = "signed" if address.signed else "anybody"  # what came in unsigned is not kept
        place = "\n".join((address.url, address.kind, address.ref, trust, *address.paths))
        digest = hashlib.sha256(place.encode()).hexdigest()[:12]
        # Git is run in /, where nothing of the user's is found: a relative folder would be another.
        home = state.absolute() / f"{address.name}-{digest}"
        self.address = address
        self.fetched_at: datetime | None = None
        """When the repository was last asked with success."""
        self._mirror = Mirror(address, home, limits or Limits())
        self._store = AcceptedStore(home)
        self._force: InForce | None = None
        self._lost = ""
        self._recalled = False
        self._refused: tuple[str, NotTaken] | None = None
        """A commit that was read and is not taken, and why: it needs no second reading."""
        self._reading: SpecReading | None = None
        self._seconds = seconds
        self._due = self._hinted = -float("inf")
        self._poll: Future[SpecReading] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="git")

    async def read(self) -> SpecReading:
        """Give what is in force now."""
        if not self._recalled:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._recall)
        if self._poll is None and self._seconds() >= self._due:
            self._poll = self._thread.submit(self.read_now)
        if self._poll is not None:
            is_first = self._reading is None and self._force is None
            seconds = FIRST_SECONDS_MAX if is_first else LATER_SECONDS_MAX
            await asyncio.wait({asyncio.wrap_future(self._poll)}, timeout=seconds)
            if self._poll.done():
                done, self._poll = self._poll, None
                self._reading = done.result()
        if self._reading is None:
            why = "the repository has not answered yet"
            waits = None if self._force else Refused(SourceRefusal.UNREACHABLE, why)
            return self._say(waits, "")
        return self._reading

    def hint(self) -> None:
        """Ask the repository soon: somebody says that it changed."""
        now = self._seconds()
        self._due = min(self._due, max(now, self._hinted + HINT_SECONDS_MIN))
        self._hinted = max(now, self._due)

    def close(self) -> None:
        """End a fetch that runs; what is in force is on disk."""
        self._mirror.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def read_now(self) -> SpecReading:
        """Ask the repository and give what is then in force, in the calling thread."""
        interval = self.address.interval_seconds
        self._due = self._seconds() + interval * random.uniform(1 - JITTER_SHARE, 1 + JITTER_SHARE)
        if not self._recalled:
            self._recall()
        commit = ""
        try:
            commit = self._mirror.fetch()
            self.fetched_at = datetime.now(UTC)
            self._take(commit)
        except Stopped:
            pass
        except Refused as refused:
            return self._say(refused, self.address.revision(commit) if commit else "")
        except (SpecError, OSError) as error:
            why = (
                str(error)
                if isinstance(error, SpecError)
                else f"{error.filename}: {error.strerror}"
            )
            return self._say(Refused(SourceRefusal.UNREACHABLE, why), "")
        return self._say(None, "")

    def _take(self, commit: str) -> None:
        """Let the commit come into force. Raises Refused."""
        force, approved = self._force, commit == self.address.accept
        if self.address.signed and not self._mirror.is_signed(commit):
            raise Refused(SourceRefusal.UNSIGNED, "no trusted key has signed it")
        if force is not None and force.commit == commit:
            return
        if self._refused is not None and self._refused[0] == commit:
            raise self._refused[1]
        if (
            force is not None
            and not approved
            and not self._mirror.is_descendant(commit, force.commit)
        ):
            raise Refused(
                SourceRefusal.REWOUND,
                "it does not follow the revision in force: the branch was set back or rewritten",
            )
        try:
            self._force = self._judged(commit, approved=approved)
        except NotTaken as refused:
            self._refused = commit, refused
            raise
        self._refused = None
        self._keep(self._force)

    def _judged(self, commit: str, *, approved: bool) -> InForce:
        name, revision = self.address.name, self.address.revision(commit)
        listing = self._mirror.list_specs(commit)
        if listing.findings:
            first, *_ = findings = tuple(_in(name, finding) for finding in listing.findings)
            raise NotTaken(SourceRefusal.UNSAFE, str(first), findings)
        files = self._mirror.read_blobs(listing.entries)
        return judge(name, (revision, commit), files, self._force, approved=approved)

    def _keep(self, force: InForce) -> None:
        kept = Accepted(
            revision=force.revision,
            commit=force.commit,
            files=force.files,
            undeclared=force.undeclared,
        )
        self._lost = ""
        try:
            self._store.keep(kept)
        except OSError as error:
            self._lost = f"{force.revision} can't be kept over a restart: {error.strerror}"

    def _recall(self) -> None:
        """Take up what an earlier run had in force, read again by the rules of this one."""
        self._recalled = True
        accepted, self._lost = self._store.load()
        if accepted is None:
            return
        reading = read_files(self.address.name, accepted.files, ())
        if reading.findings:
            first = reading.findings[0]
            self._lost = f"{accepted.revision}, in force before, is good no longer: {first}"
            return
        force = in_force(accepted.revision, accepted.commit, accepted.files, reading)
        self._force = replace(force, undeclared=accepted.undeclared)

    def _say(self, refused: Refused | None, revision: str) -> SpecReading:
        force = self._force
        state = SourceState(
            name=self.address.name,
            revision=force.revision if force is not None else "",
            refused=revision if refused is not None else "",
            reason=refused.reason if refused is not None else None,
            why=str(refused) if refused is not None else "",
            undeclared=force.undeclared if force is not None else (),
        )
        findings = [_whole(self.address.name, state.sentence())] if refused is not None else []
        if isinstance(refused, NotTaken):
            findings += refused.findings[:_FINDINGS_MAX]
        if self._lost:
            findings.append(_whole(self.address.name, self._lost))
        return SpecReading(
            revision=state.revision or "none",
            documents=force.documents if force is not None else (),
            findings=tuple(findings),
            state=state,
        )


def _in(name: str, finding: Finding) -> Finding:
    return replace(finding, file=f"{name}:{finding.file}")


def _whole(name: str, message: str) -> Finding:
    return Finding(file=name, line=0, column=0, path="", message=message)
