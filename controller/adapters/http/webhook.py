"""A forge says that a repository changed: a hint to look, and nothing more.

What it sends is hashed as it comes and never read: neither a payload nor a URL in it is used. Who
knows the secret can make the controller fetch what it would have fetched a minute later.
"""

import asyncio
import hmac
from collections.abc import Callable, Mapping
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

BODY_BYTES_MAX = 32 * 1024**2
"""GitHub sends at most 25 MB (its docs, "Webhook events and payloads: payload cap")."""
BODY_SECONDS_MAX = 10.0
SECRET_BYTES_MIN = 16
SECRET_BYTES_MAX = 4096

Hints = Mapping[str, tuple[Path, Callable[[], None]]]
"""Source -> file with its webhook's secret, and what a genuine call brings about."""

_SIGNATURES = (
    "x-hub-signature-256",  # GitHub, Gitea, Forgejo
    "x-hub-signature",  # Bitbucket
    "x-gitea-signature",
    "x-forgejo-signature",
)
_TOKEN = "x-gitlab-token"  # noqa: S105  # the name of a header


async def take_hint(hints: Hints, request: Request) -> Response:
    """Obey a call that proves to know the secret of its source."""
    source = request.path_params["source"]
    if source not in hints:
        return _say(HTTPStatus.NOT_FOUND, "no source of that name has a webhook")
    file, obey = hints[source]
    secret = await asyncio.to_thread(_secret, file)
    if secret is None:
        return _say(HTTPStatus.SERVICE_UNAVAILABLE, "the secret of this webhook can't be read")
    digest = hmac.new(secret, digestmod=sha256)
    taken = 0
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            async for part in request.stream():
                taken += len(part)
                if taken > BODY_BYTES_MAX:
                    return _say(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too much")
                digest.update(part)
    except (TimeoutError, ClientDisconnect):
        return _say(HTTPStatus.REQUEST_TIMEOUT, "the body did not come whole")
    if not _is_genuine(request, secret, digest.hexdigest()):
        return _say(HTTPStatus.UNAUTHORIZED, "the signature does not fit")
    obey()
    return _say(HTTPStatus.ACCEPTED, "the repository will be looked at")


def _is_genuine(request: Request, secret: bytes, digest: str) -> bool:
    """Whether any of the known headers fits; each is compared in constant time."""
    given = [request.headers.get(name, "").removeprefix("sha256=") for name in _SIGNATURES]
    fits = [hmac.compare_digest(text.encode("latin-1"), digest.encode()) for text in given]
    # GitLab signs nothing: it sends the secret itself (its docs, "Webhooks: validate payloads").
    token = request.headers.get(_TOKEN, "").encode("latin-1")
    return any([*fits, hmac.compare_digest(token, secret)])


def _secret(file: Path) -> bytes | None:
    try:
        with file.open("rb") as opened:
            secret = opened.read(SECRET_BYTES_MAX).strip()
    except OSError:
        return None
    return secret if len(secret) >= SECRET_BYTES_MIN else None


def _say(status: HTTPStatus, sentence: str) -> Response:
    return PlainTextResponse(f"{sentence}\n", status)
