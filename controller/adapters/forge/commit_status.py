"""The status of a commit, where its author looks: converged, under way or held and why, refused.

GitHub's and GitLab's APIs take it at `.../statuses/<commit>` (GitHub REST, "Commit statuses";
GitLab API, "Commits: set commit pipeline status").
"""

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import requests

from controller.model.plan import Verdict
from controller.model.report import ClusterReport
from controller.model.source import SourceState
from controller.planning.sentences import hold_sentence

log = logging.getLogger(__name__)

TIMEOUT_SECONDS: Final = 10.0
RETRY_SECONDS: Final = 60.0
DESCRIPTION_CHARACTERS_MAX: Final = 140
"""GitHub refuses a longer one."""
_TOKEN_BYTES_MAX: Final = 4096


class State(StrEnum):
    """In GitHub's words."""

    SUCCESS = "success"
    PENDING = "pending"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forge:
    """Where statuses of one source's commits go."""

    source: str
    url: str
    """Up to `/statuses`."""
    token: Path
    """Read at each call, so that a rotated one is taken up."""
    ca: Path | None = None
    proxy: str | None = None


class CommitStatus:
    """A StatusSink that never waits and never fails: what can't be said now is said later."""

    def __init__(self, forge: Forge, seconds: Callable[[], float] = time.monotonic) -> None:
        self._forge = forge
        self._seconds = seconds
        self._told: dict[str, Mapping[str, tuple[State, str]]] = {}
        """Cluster -> commit -> what was said of it."""
        self._not_before = -float("inf")
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="commit status")

    async def show(self, report: ClusterReport) -> None:
        """Take the report of one cycle."""
        source = next((s for s in report.sources if s.name == self._forge.source), None)
        if source is None or self._seconds() < self._not_before:
            return
        wanted = statuses(report, source)
        told = self._told.get(report.cluster, {})
        self._told[report.cluster] = wanted
        for commit, status in wanted.items():
            if told.get(commit) != status:
                self._thread.submit(self._tell, report.cluster, commit, *status)

    def close(self) -> None:
        """Say no more; what is being said may go on for some seconds."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _tell(self, cluster: str, commit: str, state: State, description: str) -> None:
        try:
            self._post(commit, f"ownernode/{cluster}", state, description)
        except (requests.RequestException, OSError) as error:
            self._not_before = self._seconds() + RETRY_SECONDS
            self._told.pop(cluster, None)
            log.warning(
                "A commit status could not be set",
                extra={"source": self._forge.source, "reason": str(error)[:200]},
            )

    def _post(self, commit: str, context: str, state: State, description: str) -> None:
        with self._forge.token.open("rb") as file:
            token = file.read(_TOKEN_BYTES_MAX).decode("ascii", "replace").strip()
        body = {"state": state.value, "context": context, "description": description}
        headers = {"Authorization": f"Bearer {token}"}
        if "/api/v4/" in self._forge.url:
            failed = state is State.FAILURE
            body = {**body, "state": "failed" if failed else state.value, "name": context}
            headers = {"PRIVATE-TOKEN": token}
        with requests.Session() as session:
            session.trust_env = False  # neither a proxy nor a log-on of the machine's counts
            answer = session.post(
                f"{self._forge.url}/{commit}",
                json=body,
                headers=headers,
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
                verify=str(self._forge.ca) if self._forge.ca is not None else True,
                proxies={"https": self._forge.proxy} if self._forge.proxy else None,
            )
        if answer.status_code == 400 and "transition" in answer.text:
            return  # GitLab's way to say that the commit is in this state already
        answer.raise_for_status()
        if answer.is_redirect:
            raise requests.RequestException(f"{self._forge.url} sends elsewhere")


def statuses(report: ClusterReport, source: SourceState) -> Mapping[str, tuple[State, str]]:
    """Commit -> what is to be said of it: of the one in force, and of one that is not taken."""
    found = {}
    if source.revision:
        found[_commit(source.revision)] = _of_force(report)
    if source.refused:
        found[_commit(source.refused)] = State.FAILURE, _cut(source.why)
    return found


def _of_force(report: ClusterReport) -> tuple[State, str]:
    settled = sum(vm.verdict is Verdict.SETTLED for vm in report.vms)
    share = f"{settled} of {len(report.vms)} VMs as declared"
    holds = (*report.cluster_holds, *(vm.hold for vm in report.vms if vm.hold is not None))
    held = next((f"{h.vm or 'everything'} is held: {hold_sentence(h)}" for h in holds), "")
    state = State.SUCCESS if report.converged else State.PENDING
    return state, _cut(f"{share}; {held}" if held else share)


def _commit(revision: str) -> str:
    return revision.rpartition(":")[2]


def _cut(text: str) -> str:
    if len(text) <= DESCRIPTION_CHARACTERS_MAX:
        return text
    return f"{text[: DESCRIPTION_CHARACTERS_MAX - 1]}…"
