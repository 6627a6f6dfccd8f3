"""A real Prometheus beside a real controller and its simulated cluster, for the tests of alerts."""

import asyncio
import json
import re
import sys
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.prometheus.programs import ROOT, RULES, program
from tests.support.ports import free_port

PATIENCE_SECONDS = 60.0
SHORTER = {
    r"\[30m\]": "[6s]",
    r"offset 30m": "offset 6s",
    r"\[15m\]": "[6s]",
    r"\[5m\]": "[5s]",
    r"> 120\b": "> 4",
    r"> 180\b": "> 4",
    r"> 3600\b": "> 3",
    r"for: \w+": "for: 0s",
}
"""What is minutes in the rules is seconds here; everything else stands as it is."""


def shortened_rules() -> str:
    """The rules as they are shipped, with shorter times."""
    text = RULES.read_text(encoding="utf-8")
    for long, short in SHORTER.items():
        text, count = re.subn(long, short, text)
        assert count, f"the rules no longer say {long}"
    return text


async def until(what: str, is_true: Callable[[], Awaitable[bool]]) -> None:
    """What is out there rings no bell: only looking tells."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await is_true():  # noqa: ASYNC110
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"never came true: {what}") from None


class Prometheus:
    """Asks one over its API."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """The instant vector of an expression; fails on an error."""
        found = await self._get("query?" + urllib.parse.urlencode({"query": expression}))
        result: list[dict[str, Any]] = found["result"]
        return result

    async def firing(self) -> dict[str, dict[str, Any]]:
        """The alerts that fire, by name."""
        alerts = (await self._get("alerts"))["alerts"]
        return {a["labels"]["alertname"]: a for a in alerts if a["state"] == "firing"}

    async def fires(self, name: str) -> None:
        """Return once the alert fires; its texts must be rendered without an error."""

        async def is_so() -> bool:
            return name in await self.firing()

        await until(f"{name} fires", is_so)
        for text in (await self.firing())[name]["annotations"].values():
            assert "<error" not in text, text

    async def is_over(self, name: str) -> None:
        """Return once the alert no longer fires."""

        async def is_so() -> bool:
            return name not in await self.firing()

        await until(f"{name} is over", is_so)

    async def _get(self, path: str) -> Any:
        def read() -> Any:
            with urllib.request.urlopen(f"{self._url}/api/v1/{path}", timeout=10) as answer:
                return json.load(answer)["data"]

        return await asyncio.to_thread(read)


@asynccontextmanager
async def prometheus(
    place: Path, jobs: dict[str, str], scrape: dict[str, Any] | None = None
) -> AsyncIterator[Prometheus]:
    """Scrapes each job's one target twice a second, with the shortened rules.

    `scrape` are further settings of the jobs.
    """
    place.mkdir()  # noqa: ASYNC240
    (place / "rules.yaml").write_text(shortened_rules(), encoding="utf-8")
    config = {
        "global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [target]}], **(scrape or {})}
            for job, target in jobs.items()
        ],
    }
    (place / "prometheus.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    port = free_port()
    with (place / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program("prometheus"),
            f"--config.file={place / 'prometheus.yaml'}",
            f"--storage.tsdb.path={place / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            stdout=log,
            stderr=log,
        )
    found = Prometheus(f"http://127.0.0.1:{port}")

    async def answers() -> bool:
        try:
            return await found.query("vector(1)") != []
        except OSError:
            return False

    try:
        await until("Prometheus answers", answers)
        yield found
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def controller(place: Path, target: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`ownernode run` over what lies in the place, listening at the target."""
    options = {
        "--config": place / "config.yaml",
        "--specs": place / "specs",
        "--state": place / "state",
        "--listen": target,
    }
    words = [str(word) for option in options.items() for word in option]
    with (place / "controller.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "controller", "run", *words, cwd=ROOT, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.terminate()
        assert await process.wait() == 0


async def command(place: Path, target: str, *words: str) -> str:
    """A command of the second terminal, at the controller; what it says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "controller",
        *words,
        "--url",
        f"http://{target}",
        *(("--token-file", str(place / "state/token")) if "--reason" in words else ()),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complained = await process.communicate()
    assert process.returncode == 0, complained.decode()
    return said.decode()
