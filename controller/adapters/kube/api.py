"""The few requests that we make of a Kubernetes API server, with lightkube's way of logging on.

Objects stay plain JSON: the four kinds have models of their own, and of everything else we read a
handful of fields. lightkube's own client asks for no bookmarks, watches on an expired version for
ever when the 410 comes as a status, and takes an error for one only if the content type has no
charset; so requests and watches are made here.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from sys import intern
from typing import Any, Final

import httpx2
import msgspec
from lightkube.config.client_adapter import AsyncClient, ConnectionParams
from lightkube.config.kubeconfig import KubeConfig
from lightkube.core.exceptions import ConfigError

from controller.errors import OwnernodeError, SpecError, Unreachable

Json = dict[str, Any]

APPLY: Final = "application/apply-patch+yaml"
MERGE_PATCH: Final = "application/merge-patch+json"

PAGE_OBJECTS: Final = 500
"""Of one answer to a list: decoding so many holds the loop for some milliseconds."""
REQUEST_SECONDS: Final = 10.0
MESSAGE_CHARACTERS_MAX: Final = 256
GONE: Final = 410


class Refused(OwnernodeError):
    """The API server answered, and not with what was asked for."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(f"{reason or code}: {message[:MESSAGE_CHARACTERS_MAX]}")
        self.code = code
        self.reason = reason
        """Of the Status object, such as NotFound; empty where a proxy answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One kind of object, as its addresses are made."""

    group: str
    version: str
    plural: str
    namespaced: bool

    def path(self, namespace: str | None = None, name: str | None = None, sub: str = "") -> str:
        """The address of one object, or of all: of a namespace, or of every one."""
        root = f"apis/{self.group}/{self.version}" if self.group else f"api/{self.version}"
        inner = f"/namespaces/{namespace}" if namespace is not None else ""
        one = f"/{name}{f'/{sub}' if sub else ''}" if name is not None else ""
        return f"/{root}{inner}/{self.plural}{one}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Everything of a kind at one version, each as `slim` leaves it."""

    items: tuple[Json, ...]
    version: str


class Api:
    """One API server. Raises Unreachable for what may pass by itself, and Refused for the rest."""

    def __init__(self, client: httpx2.AsyncClient, namespace: str) -> None:
        self._client = client
        self.namespace = namespace
        """Our own: of the pod, or of the kubeconfig's context."""

    async def close(self) -> None:
        """Let go of every connection."""
        await self._client.aclose()

    async def list(self, what: Resource, namespace: str | None = None) -> Listing:
        """Every object, read in pages at one version."""
        items: list[Json] = []
        parameters: dict[str, str] = {"limit": str(PAGE_OBJECTS)}
        while True:
            page = await self.request("GET", what.path(namespace), parameters=parameters)
            items += map(slim, page["items"])
            if not page["metadata"].get("continue"):
                return Listing(items=tuple(items), version=page["metadata"]["resourceVersion"])
            parameters["continue"] = page["metadata"]["continue"]

    @asynccontextmanager
    async def watch(
        self, what: Resource, version: str, seconds: int, namespace: str | None = None
    ) -> AsyncIterator[AsyncIterator[Json]]:
        """What happens after that version, for so many seconds: events with `type` and `object`.

        Bookmarks are asked for: they keep the version young where nothing happens.
        """
        parameters = {
            "watch": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(seconds),
            "allowWatchBookmarks": "true",
        }
        request = self._client.build_request(
            "GET",
            what.path(namespace),
            params=parameters,
            timeout=httpx2.Timeout(REQUEST_SECONDS, read=None),
        )
        with _translated():
            response = await self._client.send(request, stream=True)
        try:
            if response.status_code != httpx2.codes.OK:
                with _translated():
                    await response.aread()
                raise _refusal(response)
            yield _events(response)
        finally:
            await response.aclose()

    async def get(self, what: Resource, name: str, namespace: str | None = None) -> Json:
        """One object."""
        return await self.request("GET", what.path(namespace, name))

    async def create(
        self, what: Resource, body: Mapping[str, Any], namespace: str | None = None
    ) -> Json:
        """Make an object; Refused with reason AlreadyExists if it is there."""
        return await self.request("POST", what.path(namespace), body=body)

    async def replace(
        self,
        what: Resource,
        name: str,
        body: Mapping[str, Any],
        namespace: str | None = None,
        *,
        timeout_seconds: float = REQUEST_SECONDS,
    ) -> Json:
        """Replace the object if it still has the version that the body names; else Conflict."""
        path = what.path(namespace, name)
        return await self.request("PUT", path, body=body, timeout_seconds=timeout_seconds)

    async def patch(
        self,
        what: Resource,
        name: str,
        body: Any,
        namespace: str | None = None,
        *,
        form: str,
        sub: str = "",
        manager: str | None = None,
    ) -> Json:
        """Change an object, or its status (`sub`). `manager`: for a server-side apply."""
        parameters = {"fieldManager": manager, "force": "true"} if manager else {}
        path = what.path(namespace, name, sub)
        return await self.request("PATCH", path, body=body, form=form, parameters=parameters)

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        form: str = "application/json",
        parameters: Mapping[str, str] | None = None,
        timeout_seconds: float = REQUEST_SECONDS,
    ) -> Json:
        """One request and its answer, or what became of it as an error."""
        with _translated():
            response = await self._client.request(
                method,
                path,
                params=parameters,
                content=None if body is None else msgspec.json.encode(body),
                headers={} if body is None else {"Content-Type": form},
                timeout=timeout_seconds,
            )
        if not response.is_success:
            raise _refusal(response)
        return _decoded(response.content)


def slim(item: Json) -> Json:
    """The object without what only the server needs, and each word of it in memory once.

    Managed fields are half of an object, and thousands of statuses say the same.
    """
    metadata = {k: v for k, v in item["metadata"].items() if k != "managedFields"}
    found: Json = _shared({**item, "metadata": metadata})
    return found


def _shared(value: Any) -> Any:
    match value:
        case str():
            return intern(value)
        case dict():
            return {intern(k): _shared(v) for k, v in value.items()}
        case list():
            return [_shared(v) for v in value]
        case _:
            return value


def connect(kubeconfig: str | None = None, namespace: str | None = None) -> Api:
    """The API server of the pod that we are in, or of a kubeconfig. Raises SpecError for neither.

    `namespace` is where our Lease and secrets are; absent: the pod's, or the context's.
    """
    try:
        found = KubeConfig.from_file(kubeconfig) if kubeconfig else KubeConfig.from_env()
        config = found.get()
        assert config is not None, "only a default of None could be None"
        client = AsyncClient(config, ConnectionParams(timeout=httpx2.Timeout(REQUEST_SECONDS)))
    except (ConfigError, OSError, ValueError) as error:
        raise SpecError(f"no Kubernetes API server is configured: {error}") from error
    return Api(client, namespace or config.namespace)


async def _events(response: httpx2.Response) -> AsyncIterator[Json]:
    """The events of a watch, each as its line is complete."""
    with _translated():
        async for line in response.aiter_lines():
            if not line.strip():
                continue
            event = _decoded(line.encode())
            if event.get("type") == "ERROR":
                status = event.get("object") or {}
                raise _error(int(status.get("code") or 500), status)
            yield event


def _refusal(response: httpx2.Response) -> OwnernodeError:
    try:
        status = _decoded(response.content)
    except Unreachable:  # a proxy's page
        status = {"message": response.text}
    return _error(response.status_code, status)


def _error(code: int, status: Mapping[str, Any]) -> OwnernodeError:
    reason, message = str(status.get("reason") or ""), str(status.get("message") or "")
    if code >= httpx2.codes.INTERNAL_SERVER_ERROR or code == httpx2.codes.TOO_MANY_REQUESTS:
        return Unreachable(f"the API server answers {code} {reason}: {message[:200]}")
    return Refused(code, reason, message)


def _decoded(content: bytes) -> Json:
    try:
        found = msgspec.json.decode(content)
    except msgspec.DecodeError as error:
        raise Unreachable(f"the API server's answer is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise Unreachable("the API server's answer is no object")
    return found


@contextmanager
def _translated() -> Iterator[None]:
    """Errors of the way there become Unreachable: nobody further up knows the library."""
    try:
        yield
    except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL) as error:
        told = str(error) or type(error).__name__
        raise Unreachable(f"the API server can't be reached: {told}") from error
