"""A webhook proves that it knows the secret, is a hint, and is told nothing."""

import asyncio
import hmac
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message

from controller.adapters.http import webhook

SECRET = b"0123456789abcdef"
BODY = b'{"ref": "refs/heads/main"}'
SIGNED = hmac.new(SECRET, BODY, "sha256").hexdigest()


class Calls:
    """A source with a webhook, and how often it was hinted at."""

    def __init__(self, secret: Path) -> None:
        self.count = 0
        self._secret = secret

    def hint(self) -> None:
        self.count += 1

    async def post(self, headers: dict[str, str], source: str = "prod", body: bytes = BODY) -> int:
        """The status of one call, by way of the real routing and without a socket."""
        hints = {"prod": (self._secret, self.hint)}

        async def handle(request: Request) -> Response:
            return await webhook.take_hint(hints, request)

        parts = [body[:10], body[10:]]
        statuses: list[int] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        scope = {
            "type": "http",
            "method": "POST",
            "path": f"/hook/{source}",
            "query_string": b"",
            "headers": [(k.encode(), v.encode("latin-1")) for k, v in headers.items()],
        }
        routes = [Route("/hook/{source}", handle, methods=["POST"])]
        await Starlette(routes=routes)(scope, receive, send)
        return statuses[0]


@pytest.fixture
def calls(tmp_path: Path) -> Calls:
    (tmp_path / "secret").write_bytes(SECRET + b"\n")
    return Calls(tmp_path / "secret")


def post(calls: Calls, headers: dict[str, str], source: str = "prod", body: bytes = BODY) -> int:
    return asyncio.run(calls.post(headers, source, body))


@pytest.mark.parametrize(
    "headers",
    [
        {"x-hub-signature-256": f"sha256={SIGNED}"},
        {"x-hub-signature": f"sha256={SIGNED}"},
        {"x-gitea-signature": SIGNED},
        {"x-forgejo-signature": SIGNED},
        {"x-gitlab-token": SECRET.decode()},
    ],
)
def test_each_forges_own_way_of_signing_is_a_hint(calls: Calls, headers: dict[str, str]) -> None:
    """GitHub, Bitbucket, Gitea, Forgejo, GitLab."""
    assert (post(calls, headers), calls.count) == (202, 1)


@pytest.mark.parametrize(
    ("headers", "source", "body", "status"),
    [
        ({}, "prod", BODY, 401),
        ({"x-hub-signature-256": "sha256="}, "prod", BODY, 401),
        ({"x-hub-signature-256": f"sha256={SIGNED}"}, "prod", BODY + b" ", 401),
        ({"x-hub-signature-256": "sha256=\xe9"}, "prod", BODY, 401),
        ({"x-gitlab-token": SIGNED}, "prod", BODY, 401),
        ({"x-hub-signature-256": f"sha256={SIGNED}"}, "other", BODY, 404),
    ],
)
def test_nobody_else_is_obeyed(
    calls: Calls, headers: dict[str, str], source: str, body: bytes, status: int
) -> None:
    """No signature, an empty one, one of another body, the digest as a token, another source."""
    assert (post(calls, headers, source, body), calls.count) == (status, 0)


def test_too_much_is_not_hashed_to_its_end(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endless body holds nothing up."""
    monkeypatch.setattr(webhook, "BODY_BYTES_MAX", 20)
    headers = {"x-hub-signature-256": f"sha256={SIGNED}"}
    assert (post(calls, headers), calls.count) == (413, 0)


def test_without_a_secret_nobody_is_obeyed(tmp_path: Path) -> None:
    """A file that is missing, empty or too short is no secret that an empty signature fits."""
    for content in (None, b"", b"short\n"):
        path = tmp_path / "secret"
        if content is not None:
            path.write_bytes(content)
        calls = Calls(path)
        empty = hmac.new(b"", BODY, "sha256").hexdigest()
        assert (post(calls, {"x-hub-signature-256": f"sha256={empty}"}), calls.count) == (503, 0)
