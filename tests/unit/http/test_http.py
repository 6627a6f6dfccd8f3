"""What a browser, a probe and a script get from the controller, over a real socket."""

import asyncio
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controller.adapters.http.application import Sources, make_application
from controller.adapters.http.board import Board
from controller.adapters.http.page import VMS_SHOWN_MAX, render_page
from controller.adapters.http.server import bind, serve
from controller.errors import SpecError
from controller.model.control import Demand
from controller.model.json_documents import read_report
from controller.model.plan import Verdict
from controller.model.report import ClusterReport
from tests.support import reports


def get(url: str) -> tuple[int, dict[str, str], str]:
    """Status, headers in lower case and body of one GET."""
    try:
        answer = urllib.request.urlopen(url, timeout=10)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return answer.status, headers, answer.read().decode()


def with_server(
    shown: list[ClusterReport], look: Callable[[str], None], *, age_seconds: float = 0.0
) -> None:
    """Serve these reports, seen `age_seconds` after the first of them, and let `look` look."""
    now = reports.report().completed_at + timedelta(seconds=age_seconds)
    board = Board(interval_seconds={"demo": 15.0}, now=lambda: now)

    async def metrics() -> bytes:
        return b"ownernode_up 1\n"

    async def explain(vm: str) -> list[dict[str, Any]]:
        return [{"vm": vm}] if vm in ("SQL01", "a/b") else []

    async def nobody_asks(demand: Demand) -> str:
        raise AssertionError(demand)

    async def run() -> None:
        for report in shown:
            await board.show(report)
        listening = bind("127.0.0.1", 0)
        port = listening.getsockname()[1]
        application = make_application(
            Sources(
                board=board,
                metrics=metrics,
                metrics_type="text/plain",
                explain=explain,
                history=explain,
                stops=tuple,
                give=nobody_asks,
                token="unused",
            )
        )
        serving = asyncio.create_task(serve(application, listening))
        await asyncio.to_thread(look, f"http://127.0.0.1:{port}")
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving

    asyncio.run(run())


def test_ready_only_with_a_fresh_complete_cycle() -> None:
    """A controller that sees half the cluster, or saw it long ago, says so to its probe."""
    complete = replace(reports.report(), observation_complete=True)

    def look(expected: int, words: str) -> Callable[[str], None]:
        def at(url: str) -> None:
            status, _, text = get(f"{url}/readyz")
            assert (status, words in text) == (expected, True), text
            assert get(f"{url}/healthz")[0] == 200

        return at

    with_server([], look(503, "no complete cycle yet"))
    with_server([reports.report()], look(503, "no complete cycle yet"))
    with_server([complete], look(200, "ok"), age_seconds=45)
    with_server([complete], look(503, "46 s old"), age_seconds=46)


def test_status_is_the_report_document() -> None:
    """A script reads the same document that docs and schema describe."""

    def look(url: str) -> None:
        status, headers, text = get(f"{url}/api/v1/status")
        (document,) = json.loads(text)["clusters"]
        assert (status, headers["content-type"]) == (200, "application/json")
        assert read_report(json.dumps(document), "status") == reports.report()

    with_server([reports.report()], look)


def test_explain_finds_a_vm_or_says_that_there_is_none() -> None:
    """A name is one path segment or several; an unknown one is 404 with a sentence."""

    def look(url: str) -> None:
        assert json.loads(get(f"{url}/api/v1/explain/SQL01")[2]) == {
            "explanations": [{"vm": "SQL01"}]
        }
        assert get(f"{url}/api/v1/explain/a%2Fb")[0] == 200
        status, _, text = get(f"{url}/api/v1/explain/nobody")
        assert status == 404
        assert "nobody" in json.loads(text)["error"]

    with_server([reports.report()], look)


def test_the_page_can_neither_run_script_nor_be_framed() -> None:
    """A VM may be called anything: it stays text, and the browser is told to run nothing."""
    report = reports.report()
    evil = replace(report.vms[0], vm="<script>alert(1)</script>", sentence='"><img src=x>')
    report = replace(report, vms=(evil, *report.vms[1:]))

    def look(url: str) -> None:
        status, headers, text = get(url)
        assert status == 200
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
        assert "<script" not in text
        assert "<img" not in text
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert get(f"{url}/style.css")[1]["content-type"].startswith("text/css")

    with_server([report], look)


def test_what_is_for_reading_takes_nothing() -> None:
    """Only the verbs may be written to: see test_verbs.py."""

    def look(url: str) -> None:
        request = urllib.request.Request(f"{url}/api/v1/status", data=b"{}", method="POST")
        with pytest.raises(urllib.error.HTTPError) as refusal:
            urllib.request.urlopen(request, timeout=10)
        assert refusal.value.code == 405
        refusal.value.close()

    with_server([reports.report()], look)


def test_the_page_shows_what_is_wrong_before_what_is_right() -> None:
    """A node with hundreds of VMs shows the ones that need a look, and how many more there are."""
    report = reports.report()
    many = tuple(
        replace(report.vms[1], key=f"name:v{n}", vm=f"V{n:03}", owner="N2", verdict=Verdict.SETTLED)
        for n in range(VMS_SHOWN_MAX)
    )
    page = render_page([replace(report, vms=(*many, *report.vms[:2]))], ())
    assert "WEB01" in page
    assert "and 1 more" in page


def test_a_port_that_is_taken_is_said_in_a_sentence() -> None:
    """Two controllers on one machine: the second one says why it does not start."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SpecError, match=f"can't listen on 127.0.0.1:{port}: Address already"):
            bind("127.0.0.1", port)
