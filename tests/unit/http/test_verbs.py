"""Orders over a real socket: who may give them, and everything that is sent back."""

import asyncio
import http.client
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.requests import Request

from controller.adapters.http.application import Sources, make_application
from controller.adapters.http.board import Board
from controller.adapters.http.server import bind, serve
from controller.adapters.http.verbs import BODY_BYTES_MAX, BURST, Bucket, is_loopback
from controller.errors import JournalBroken, SpecError
from controller.model.control import Demand, Stop, StopScope, StopSource, Verb
from tests.support import reports

TOKEN = "t0ken-t0ken-t0ken-t0ken"
RIGHT = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
BODY = {"owner": "anna", "reason": "fire drill"}
STOP = Stop(
    id="s1",
    scope=StopScope.VM,
    name="SQL01",
    source=StopSource.API,
    owner="anna",
    reason="backup",
    since=datetime(2030, 1, 7, 8, 0, tzinfo=UTC),
)


class Door:
    """A controller's API, and what got through to the inside."""

    def __init__(self) -> None:
        self.taken: list[Demand] = []
        self.fails: Exception | None = None
        self._port = 0

    async def give(self, demand: Demand) -> str:
        self.taken.append(demand)
        if self.fails is not None:
            raise self.fails
        return f"Done: {demand.verb}."

    def post(
        self, path: str, body: Any = BODY, headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """Status and sentence of one request with just these headers, Host and length apart."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request("POST", path, data, RIGHT if headers is None else headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        said = json.loads(text) if text.startswith("{") else {"error": text}
        return answer.status, said.get("message") or said["error"]

    def status(self) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        connection.request("GET", "/api/v1/status")
        found: dict[str, Any] = json.loads(connection.getresponse().read())
        connection.close()
        return found

    def open(self, look: Callable[[], None]) -> None:
        """Serve while somebody looks."""

        async def nothing(name: str = "") -> Any:
            return []

        async def main() -> None:
            board = Board(interval_seconds={}, now=lambda: datetime.now(UTC))
            await board.show(reports.report())
            listening = bind("127.0.0.1", 0)
            self._port = listening.getsockname()[1]
            sources = Sources(
                board=board,
                metrics=nothing,
                metrics_type="text/plain",
                explain=nothing,
                history=nothing,
                stops=lambda: [("demo", STOP)],
                give=self.give,
                token=TOKEN,
            )
            serving = asyncio.create_task(serve(make_application(sources), listening))
            await asyncio.to_thread(look)
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

        asyncio.run(main())


@pytest.mark.parametrize(
    ("verb", "more"),
    [
        (Verb.STOP, {"cluster": "demo", "seconds": 7200}),
        (Verb.PAUSE, {"name": "SQL01"}),
        (Verb.RESUME, {"name": "SQL01"}),
        (Verb.APPROVE, {"digest": "d1"}),
    ],
)
def test_whoever_has_the_token_is_obeyed(verb: Verb, more: dict[str, Any]) -> None:
    """Each verb comes through with who and why."""
    door = Door()
    door.open(lambda: check(door.post(f"/api/v1/{verb}", BODY | more) == (200, f"Done: {verb}.")))
    assert door.taken == [Demand(verb=verb, owner="anna", reason="fire drill", **more)]


def check(is_true: bool) -> None:
    assert is_true


LONG = {**BODY, "reason": "x" * BODY_BYTES_MAX}
REFUSED: list[tuple[str, int, Any, dict[str, str]]] = [
    ("no token", 401, BODY, {"content-type": "application/json"}),
    ("another token", 401, BODY, RIGHT | {"authorization": "Bearer nope"}),
    ("part of the token", 401, BODY, RIGHT | {"authorization": f"Bearer {TOKEN[:-1]}"}),
    ("another scheme", 401, BODY, RIGHT | {"authorization": f"Basic {TOKEN}"}),
    ("a token beyond ASCII", 401, BODY, RIGHT | {"authorization": "Bearer \xfc" * 9}),
    ("a page of another site", 403, BODY, RIGHT | {"origin": "https://evil.example"}),
    ("a page of this very site", 403, BODY, RIGHT | {"origin": "http://127.0.0.1"}),
    ("a sandboxed page", 403, BODY, RIGHT | {"origin": "null"}),
    ("a form", 415, b"owner=anna", RIGHT | {"content-type": "text/plain"}),
    ("a rebound name", 421, BODY, RIGHT | {"host": "evil.example"}),
    ("a rebound name with a port", 421, BODY, RIGHT | {"host": "127.0.0.1.evil.example:80"}),
    ("too much", 413, LONG, RIGHT),
    ("no JSON", 400, b"{", RIGHT),
    ("another shape", 400, [], RIGHT),
    ("nobody", 400, {"reason": "x"}, RIGHT),
    ("no reason", 400, {"owner": "anna", "reason": ""}, RIGHT),
    ("a line feed in the reason", 400, BODY | {"reason": "a\nb"}, RIGHT),
    ("an unknown field", 400, BODY | {"force": True}, RIGHT),
    ("a number as text", 400, BODY | {"seconds": "60"}, RIGHT),
    ("a stop of no length", 400, BODY | {"seconds": 0}, RIGHT),
]


def test_all_else_is_refused_and_changes_nothing() -> None:
    """Each with its own status and a sentence; the token is in none of them."""
    door = Door()

    def look() -> None:
        for what, status, body, headers in REFUSED:
            # Nobody is limited here but by the thing that is wrong.
            found, sentence = door.post("/api/v1/stop", body, headers)
            assert found == status, (what, sentence)
            assert sentence, what
            assert TOKEN not in sentence, what

    door.open(look)
    assert door.taken == []


def test_what_makes_no_sense_and_what_is_not_durable_are_told_apart() -> None:
    """A conflict is the caller's to mend, a broken journal is not; a stop holds all the same."""
    door = Door()

    def look() -> None:
        door.fails = SpecError("no cluster is called x")
        assert door.post("/api/v1/resume") == (409, "no cluster is called x")
        door.fails = JournalBroken("disk full")
        assert door.post("/api/v1/resume") == (503, "not done: disk full")
        status, sentence = door.post("/api/v1/stop")
        assert (status, sentence.split(",")[0]) == (503, "in force until the process ends")

    door.open(look)


def test_a_flood_of_orders_is_cut_off_but_a_stop_never() -> None:
    """A script gone wrong must not keep people from stopping."""
    door = Door()

    def look() -> None:
        statuses = [door.post("/api/v1/pause", BODY | {"name": "A"})[0] for _ in range(BURST + 5)]
        assert statuses[:BURST] == [200] * BURST
        assert 429 in statuses
        assert door.post("/api/v1/stop")[0] == 200

    door.open(look)


@pytest.mark.parametrize(
    ("client", "is_ours"),
    [("127.0.0.1", True), ("::1", True), ("::ffff:127.0.0.1", True), ("10.0.0.7", False)],
)
def test_orders_come_from_this_machine_only(client: str, is_ours: bool) -> None:
    """There is no TLS here: a token that travels can be read on its way."""
    request = Request({"type": "http", "client": (client, 4711), "headers": []})
    assert is_loopback(request) is is_ours


def test_the_flood_ends_with_time() -> None:
    """A burst, then one each two seconds."""
    now = [0.0]
    bucket = Bucket(lambda: now[0])
    assert [bucket.take() for _ in range(BURST + 1)] == [True] * BURST + [False]
    now[0] = 2.0
    assert [bucket.take(), bucket.take()] == [True, False]


def test_status_tells_of_stops() -> None:
    """Who, why, since when, until when."""
    door = Door()

    def look() -> None:
        (stop,) = door.status()["stops"]
        assert stop == {
            "cluster": "demo",
            "scope": "VM",
            "name": "SQL01",
            "source": "API",
            "owner": "anna",
            "reason": "backup",
            "since": "2030-01-07T08:00:00+00:00",
            "until": None,
        }

    door.open(look)
