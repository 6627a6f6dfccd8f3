"""Asks a running controller over its API."""

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Annotated, Any

import typer

from controller.errors import OwnernodeError, ProtocolBroken, Unreachable

TIMEOUT_SECONDS = 10.0
ANSWER_BYTES_MAX = 64 * 1024 * 1024

UrlOption = Annotated[
    str,
    typer.Option("--url", envvar="OWNERNODE_URL", help="Where the running controller listens."),
]
URL_DEFAULT = "http://127.0.0.1:9464"


class NotFound(OwnernodeError):
    """The controller answers, and knows nothing of that name."""


def ask(url: str, *path: str) -> Any:
    """The JSON that the controller answers under `/api/v1/<path>`.

    Raises Unreachable when nobody answers, NotFound with the controller's sentence, ProtocolBroken
    when it is something else that answers.
    """
    whole = "/".join((url.rstrip("/"), "api/v1", *(urllib.parse.quote(p, safe="") for p in path)))
    if not whole.startswith(("http://", "https://")):
        raise Unreachable(f"{url} is no http:// address of a controller")
    try:
        with urllib.request.urlopen(whole, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
            return json.loads(answer.read(ANSWER_BYTES_MAX))
    except urllib.error.HTTPError as error:
        with error:
            raise _refusal(url, error.code, error.read(ANSWER_BYTES_MAX)) from None
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise Unreachable(
            f"no controller answers at {url} ({reason}); is `ownernode run` running there?"
        ) from error
    except ValueError as error:
        raise ProtocolBroken(
            f"{url} answers with something else than a controller's JSON"
        ) from error


def _refusal(url: str, code: int, body: bytes) -> OwnernodeError:
    try:
        return NotFound(str(json.loads(body)["error"]))
    except (ValueError, TypeError, KeyError):
        return ProtocolBroken(f"{url} answers {code}; is it a controller?")
