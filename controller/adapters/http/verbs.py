"""The few requests that change what the controller does, and all that stands before them.

A browser must not be made to send one: it needs a token that no browser has, a content type that no
form sends, and no Origin. The token goes over no network: there is no TLS here, so only this
machine is listened to.
"""

import asyncio
import hmac
import ipaddress
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from controller.errors import JournalBroken, SpecError
from controller.model.control import Demand, Verb

BODY_BYTES_MAX = 4096
BODY_SECONDS_MAX = 5.0
SECONDS_MAX = 90 * 86400
"""Of a stop with an end: what is to last longer has none."""
BURST = 20
PER_SECOND = 0.5
"""A person, or a script that walks through a list of VMs; what is faster is a mistake."""
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


def _printable(text: str) -> str:
    """Others read it in a terminal, in a log and on the page, and it is to steer none of them."""
    if not text.isprintable():
        raise ValueError("is to be one line without control or invisible characters")
    return text


_Line = Annotated[str, AfterValidator(_printable)]


class _Body(BaseModel):
    """What each verb may carry."""

    model_config = ConfigDict(extra="forbid", strict=True)

    owner: _Line = Field(min_length=1, max_length=64)
    reason: _Line = Field(min_length=1, max_length=200)
    cluster: str = Field(default="", max_length=63)


class _Resume(_Body):
    name: str = Field(default="", max_length=128)


class _Stop(_Resume):
    seconds: int | None = Field(default=None, ge=1, le=SECONDS_MAX)


class _Approve(_Body):
    digest: str = Field(min_length=1, max_length=64)


_BODIES: dict[Verb, type[_Body]] = {
    Verb.STOP: _Stop,
    Verb.PAUSE: _Stop,
    Verb.RESUME: _Resume,
    Verb.APPROVE: _Approve,
}


class Refused(Exception):
    """The request goes no further."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Bucket:
    """Lets a burst through and then so many a second."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._left = float(BURST)
        self._at = seconds()

    def take(self) -> bool:
        """Whether one more may pass now."""
        now = self._seconds()
        self._left = min(float(BURST), self._left + (now - self._at) * PER_SECOND)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Gate:
    """Decides which requests are verbs that somebody may give."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()
        self._bucket = Bucket()

    async def demand(self, verb: Verb, request: Request) -> Demand:
        """The demand that the request makes. Raises Refused."""
        if not is_loopback(request):
            raise Refused(
                HTTPStatus.FORBIDDEN, "orders are taken from the controller's own machine only"
            )
        if "origin" in request.headers:
            raise Refused(HTTPStatus.FORBIDDEN, "orders are not taken from a browser")
        given = request.headers.get("authorization", "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, b"Bearer " + self._token):
            raise Refused(HTTPStatus.UNAUTHORIZED, "this needs the token of the controller")
        if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body must be application/json")
        # Nobody who may stop it is ever told to come back later.
        if not self._bucket.take() and verb is not Verb.STOP:
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, "too many orders; try again in a minute")
        try:
            body = _BODIES[verb].model_validate_json(await _read(request))
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors()
            )
            raise Refused(HTTPStatus.BAD_REQUEST, faults) from None
        return Demand(verb=verb, **body.model_dump())


async def answer(
    gate: Gate, give: Callable[[Demand], Awaitable[str]], verb: Verb, request: Request
) -> Response:
    """Have the demand obeyed, or say in a sentence why not."""
    try:
        sentence = await give(await gate.demand(verb, request))
    except Refused as refusal:
        return _refusal(refusal.status, str(refusal))
    except SpecError as error:
        return _refusal(HTTPStatus.CONFLICT, str(error))
    except JournalBroken as error:
        in_force = verb in (Verb.STOP, Verb.PAUSE)
        effect = "in force until the process ends, and then forgotten" if in_force else "not done"
        return _refusal(HTTPStatus.SERVICE_UNAVAILABLE, f"{effect}: {error}")
    return JSONResponse({"message": sentence})


def is_loopback(request: Request) -> bool:
    """Whether it comes from this machine."""
    try:
        client = ipaddress.ip_address(request.client.host if request.client else "")
    except ValueError:
        return False
    mapped = getattr(client, "ipv4_mapped", None)
    return (mapped or client).is_loopback


def is_host_right(request: Request) -> bool:
    """Whether a local client means this machine by name: else a web page had its name rebound.

    Others may call the machine by names that are not known here.
    """
    host = request.headers.get("host", "")
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    return not is_loopback(request) or name.lower() in LOOPBACK_NAMES


async def _read(request: Request) -> bytes:
    body = b""
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            async for part in request.stream():
                body += part
                if len(body) > BODY_BYTES_MAX:
                    raise Refused(
                        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {BODY_BYTES_MAX} bytes"
                    )
    except TimeoutError:
        raise Refused(HTTPStatus.REQUEST_TIMEOUT, "the body did not come in time") from None
    except ClientDisconnect:
        raise Refused(HTTPStatus.BAD_REQUEST, "the body did not come whole") from None
    return body


def _refusal(status: HTTPStatus, sentence: str) -> Response:
    headers = {"www-authenticate": "Bearer"} if status is HTTPStatus.UNAUTHORIZED else {}
    return JSONResponse({"error": sentence}, status, headers=headers)
