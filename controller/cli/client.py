"""Asks a running controller over its API."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
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


class NotTaken(OwnernodeError):
    """The controller answers, and says why it does not do it: unknown name, wrong token, ..."""


def ask(url: str, *path: str) -> Any:
    """The JSON that the controller answers under `/api/v1/<path>`.

    Raises Unreachable when nobody answers, NotTaken with the controller's sentence, ProtocolBroken
    when it is something else that answers.
    """
    return _exchange(url, urllib.request.Request(_whole(url, *path)))  # noqa: S310


def tell(url: str, verb: str, token: str, body: Mapping[str, Any]) -> str:
    """Give an order to the controller; its answer in a sentence.

    Raises Unreachable, ProtocolBroken, or NotTaken with the controller's reason.
    """
    request = urllib.request.Request(  # noqa: S310
        _whole(url, verb),
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json", "authorization": f"Bearer {token}"},
    )
    # The token goes where the person says, and nowhere else.
    return str(_exchange(url, request, _DIRECT.open)["message"])


def _whole(url: str, *path: str) -> str:
    whole = "/".join((url.rstrip("/"), "api/v1", *(urllib.parse.quote(p, safe="") for p in path)))
    if not whole.startswith(("http://", "https://")):
        raise Unreachable(f"{url} is no http:// address of a controller")
    return whole


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow none: it comes out as the error that it then is."""


_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects)


def _exchange(
    url: str, request: urllib.request.Request, opened: Callable[..., Any] = urllib.request.urlopen
) -> Any:
    try:
        with opened(request, timeout=TIMEOUT_SECONDS) as answer:
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
        return NotTaken(str(json.loads(body)["error"]))
    except (ValueError, TypeError, KeyError):
        return ProtocolBroken(f"{url} answers {code}; is it a controller?")
