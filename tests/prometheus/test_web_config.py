"""The HTTP side behind TLS and passwords: a real server, asked by requests and by Prometheus."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import bcrypt
import pytest
import requests
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from controller.adapters.http.server import bind, serve
from controller.adapters.http.web_config import Passwords, TlsContext, read_web_config
from controller.errors import SpecError
from controller.simulator.winrm_server.certificates import CertificateAuthority
from tests.prometheus.live import prometheus, until

PASSWORD = "a long one: with, a colon"


def config(place: Path, **more: str) -> Path:
    """A web.config.yml with a certificate for localhost and one user."""
    issued = CertificateAuthority(place).issue_for_node("localhost")
    shutil.copy(issued.certificate_file, place / "tls.crt")
    shutil.copy(issued.key_file, place / "tls.key")
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    document = {
        "tls_server_config": {"cert_file": "tls.crt", "key_file": "tls.key", **more},
        "basic_auth_users": {"prometheus": hashed},
    }
    path = place / "web.config.yml"
    path.write_text(yaml.safe_dump(document))
    return path


@asynccontextmanager
async def served(path: Path) -> AsyncIterator[str]:
    """Host and port of an application that says `up 1` everywhere, with the file's protection."""

    async def page(_: Request) -> PlainTextResponse:
        return PlainTextResponse("demo 1\n")

    paths = ("/metrics", "/healthz", "/api/v1/stop")
    application = Starlette(routes=[Route(p, page, methods=["GET", "POST"]) for p in paths])
    web = read_web_config(path)
    protected = Passwords(application, web.basic_auth_users)
    listening = bind("127.0.0.1", 0)
    tls = TlsContext(web, path.parent).context
    serving = asyncio.create_task(serve(protected, listening, tls))
    try:
        yield f"localhost:{listening.getsockname()[1]}"
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def test_who_reads_needs_the_password_over_tls(tmp_path: Path) -> None:
    """Health has none, and orders have a token of their own."""
    asyncio.run(_asked(tmp_path))


async def _asked(place: Path) -> None:
    async with served(config(place)) as target:

        async def status(path: str, auth: tuple[str, str] | None = None, verb: str = "GET") -> int:
            url = f"https://{target}{path}"
            answer = await asyncio.to_thread(
                requests.request, verb, url, auth=auth, verify=str(place / "ca.pem"), timeout=10
            )
            return answer.status_code

        right = ("prometheus", PASSWORD)
        assert await status("/metrics") == 401
        assert await status("/metrics", ("prometheus", "wrong")) == 401
        assert await status("/metrics", ("somebody", PASSWORD)) == 401
        assert [await status("/metrics", right) for _ in range(2)] == [200, 200]
        assert await status("/metrics", ("prometheus", PASSWORD + "x")) == 401
        assert await status("/healthz") == 200
        assert await status("/api/v1/stop", verb="POST") == 200
        with pytest.raises(requests.exceptions.ConnectionError):
            await asyncio.to_thread(requests.get, f"http://{target}/healthz", timeout=10)
        scrape = {
            "scheme": "https",
            "basic_auth": {"username": right[0], "password": right[1]},
            "tls_config": {"ca_file": str(place / "ca.pem")},
        }
        async with prometheus(place / "prometheus", {"ownernode": target}, scrape) as watcher:

            async def is_scraped() -> bool:
                return bool(await watcher.query("demo == 1"))

            await until("Prometheus reads it", is_scraped)


def test_a_new_certificate_is_taken_up(tmp_path: Path) -> None:
    """cert-manager replaces the files; nobody restarts a controller for it."""
    path = config(tmp_path)
    tls = TlsContext(read_web_config(path), tmp_path)
    assert not tls.reload()
    before = (tmp_path / "tls.crt").read_text()
    shutil.copy(tmp_path / "tls.crt", tmp_path / "old.crt")
    config(tmp_path)
    assert (tmp_path / "tls.crt").read_text() != before
    os.utime(tmp_path / "tls.crt", ns=(1, 1))
    assert tls.reload()
    shutil.copy(tmp_path / "old.crt", tmp_path / "tls.crt")  # half of a pair
    os.utime(tmp_path / "tls.crt", ns=(2, 2))
    assert not tls.reload()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tls_server_config: {cert_file: a}", "tls_server_config.key_file: Field required"),
        ("http_server_config: {http2: true}", "http_server_config: Extra inputs"),
        ("basic_auth_users: {anna: secret}", "basic_auth_users.anna is no bcrypt hash"),
        ("tls_server_config: {cert_file: a, key_file: b}", "the TLS files"),
        ("[", "is no YAML"),
    ],
)
def test_what_is_wrong_is_said_and_no_secret_with_it(tmp_path: Path, text: str, says: str) -> None:
    """A protection that is not understood is none: the process does not start."""
    path = tmp_path / "web.config.yml"
    path.write_text(text)
    with pytest.raises(SpecError, match=says.replace("[", r"\[")) as caught:
        TlsContext(read_web_config(path), tmp_path)
    assert "secret" not in str(caught.value)
