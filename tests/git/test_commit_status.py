"""What a forge is told of a commit: once for each change, in its own words, until it hears."""

import asyncio
import queue
from collections.abc import Iterator
from dataclasses import replace
from logging.handlers import QueueHandler
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.forge import commit_status
from controller.adapters.forge.commit_status import (
    DESCRIPTION_CHARACTERS_MAX,
    CommitStatus,
    Forge,
    State,
    statuses,
)
from controller.model.report import ClusterReport
from controller.model.source import SourceRefusal, SourceState
from tests.support import reports
from tests.support.forge import Api

SHA, BAD = "1" * 40, "2" * 40
SOURCE = SourceState(name="team", revision=f"main@sha1:{SHA}")
REFUSED = replace(
    SOURCE,
    refused=f"main@sha1:{BAD}",
    reason=SourceRefusal.INVALID,
    why="team:sql01.yaml:4:1: " + "x" * 200,
)


@pytest.fixture
def api() -> Iterator[Api]:
    with Api().serving() as made:
        yield made


class Time:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def sink(api: Api, tmp_path: Path, path: str, time: Time) -> CommitStatus:
    (tmp_path / "token").write_text("t0ken\n")
    url = f"{api.url}{path}"
    return CommitStatus(Forge(source="team", url=url, token=tmp_path / "token"), time)


def report(source: SourceState, *, converged: bool = False) -> ClusterReport:
    return replace(reports.report(), sources=(source,), converged=converged)


def test_a_commit_is_held_then_done_and_a_bad_one_refused() -> None:
    """Pending with the hold's sentence, success, failure with file and line; never too long."""
    held = statuses(report(SOURCE), SOURCE)
    assert held[SHA][0] is State.PENDING
    assert "0 of 2 VMs as declared; WEB01 is held: somebody else moved it" in held[SHA][1]
    both = statuses(report(REFUSED, converged=True), REFUSED)
    assert both[SHA][0] is State.SUCCESS
    state, words = both[BAD]
    assert state is State.FAILURE
    assert words.startswith("team:sql01.yaml:4:1: ")
    assert len(words) == DESCRIPTION_CHARACTERS_MAX


def test_github_is_told_once_for_each_change(api: Api, tmp_path: Path) -> None:
    """The same report again says nothing; the context names the cluster."""
    told = sink(api, tmp_path, "/repos/corp/vms/statuses", Time())
    for shown in (report(SOURCE), report(SOURCE), report(SOURCE, converged=True)):
        asyncio.run(told.show(shown))
    path, token, body = api.next()
    assert (path, token) == (f"/repos/corp/vms/statuses/{SHA}", "Bearer t0ken")
    assert (body["state"], body["context"]) == ("pending", "ownernode/demo")
    assert api.next()[2]["state"] == "success"
    told.close()
    assert api.asked.empty()


def test_gitlab_is_told_in_its_own_words(api: Api, tmp_path: Path) -> None:
    """Another header, `failed`, and its refusal of a state that is there already is no fault."""
    api.answers = [(400, "Cannot transition status via :enqueue from :pending")]
    told = sink(api, tmp_path, "/api/v4/projects/12/statuses", Time())
    asyncio.run(told.show(report(REFUSED)))
    first, second = api.next(), api.next()
    assert {first[0][-40:], second[0][-40:]} == {SHA, BAD}
    assert first[1] == "t0ken"
    assert {first[2]["state"], second[2]["state"]} == {"pending", "failed"}
    asyncio.run(told.show(report(REFUSED)))
    told.close()
    assert api.asked.empty()


def test_what_could_not_be_said_is_said_later(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A forge that is down gets no storm, and in the end the truth."""
    logged: queue.Queue[Any] = queue.Queue()
    monkeypatch.setattr(commit_status.log, "handlers", [QueueHandler(logged)])
    api.answers = [(503, "down")]
    time = Time()
    told = sink(api, tmp_path, "/repos/corp/vms/statuses", time)
    asyncio.run(told.show(report(SOURCE)))
    assert api.next()[2]["state"] == "pending"
    assert "503" in logged.get(timeout=20).reason
    asyncio.run(told.show(report(SOURCE, converged=True)))
    assert api.asked.empty()
    time.seconds += 61
    asyncio.run(told.show(report(SOURCE, converged=True)))
    assert api.next()[2]["state"] == "success"
    told.close()
