"""TLS and passwords for the HTTP side, from a `web.config.yml` as Prometheus' exporters read it.

A subset of exporter-toolkit's format: certificate, key and client CA, and users with bcrypt hashes.
Certificates that were replaced on the disk are taken up without a restart.
"""

import asyncio
import base64
import binascii
import hashlib
import ssl
from pathlib import Path
from typing import Literal

import bcrypt
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from controller.errors import SpecError

FREE_PATHS = frozenset({"/healthz", "/readyz"})
"""What asks for these, a kubelet say, has no password; they tell nothing."""
RELOAD_SECONDS = 30.0
_KNOWN_MAX = 64


class _Tls(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    cert_file: str
    key_file: str
    client_ca_file: str | None = None
    client_auth_type: Literal["NoClientCert", "RequireAndVerifyClientCert"] = "NoClientCert"
    min_version: Literal["TLS12", "TLS13"] = "TLS12"


class WebConfig(BaseModel):
    """What the file may hold. An option of exporter-toolkit that is not here is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    tls_server_config: _Tls | None = None
    basic_auth_users: dict[str, str] = Field(default_factory=dict)


def read_web_config(path: Path) -> WebConfig:
    """Read the file. Raises SpecError with what is wrong with it, never with what it holds."""
    try:
        config = WebConfig.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except OSError as error:
        raise SpecError(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError):
        raise SpecError(f"{path} is no YAML") from None
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        field = ".".join(map(str, first["loc"])) or "the document"
        raise SpecError(f"{path}: {field}: {first['msg']}") from None
    for user, hashed in config.basic_auth_users.items():
        if not hashed.startswith(("$2a$", "$2b$", "$2y$")):
            raise SpecError(f"{path}: basic_auth_users.{user} is no bcrypt hash")
    tls = config.tls_server_config
    if tls is not None and tls.client_auth_type != "NoClientCert" and tls.client_ca_file is None:
        raise SpecError(f"{path}: tls_server_config.client_auth_type needs client_ca_file")
    return config


class TlsContext:
    """A server's context that follows its files."""

    def __init__(self, config: WebConfig, base: Path) -> None:
        """Paths are relative to `base`. Raises SpecError when a file can't be used."""
        assert config.tls_server_config is not None, "the caller asked whether there is TLS"
        self._tls = config.tls_server_config
        self._base = base
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        newest = self._tls.min_version == "TLS13"
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3 if newest else ssl.TLSVersion.TLSv1_2
        self._seen = self._stamp()
        try:
            self._load()
            if self._tls.client_ca_file is not None:
                self.context.load_verify_locations(self._path(self._tls.client_ca_file))
        except (OSError, ssl.SSLError) as error:
            raise SpecError(f"the TLS files of the web configuration: {error}") from error
        if self._tls.client_auth_type != "NoClientCert":
            self.context.verify_mode = ssl.CERT_REQUIRED

    async def follow(self) -> None:
        """Load certificate and key anew when they change; a pair that does not fit is left out."""
        while True:
            await asyncio.sleep(RELOAD_SECONDS)
            self.reload()

    def reload(self) -> bool:
        """Whether there was something new that could be loaded."""
        stamp = self._stamp()
        if stamp == self._seen:
            return False
        try:
            self._load()
        except (OSError, ssl.SSLError):
            return False  # half of a pair was replaced: the next look finds both
        self._seen = stamp
        return True

    def _load(self) -> None:
        self.context.load_cert_chain(
            self._path(self._tls.cert_file), self._path(self._tls.key_file)
        )

    def _path(self, name: str) -> Path:
        return self._base / name

    def _stamp(self) -> tuple[int, ...]:
        files = (self._path(self._tls.cert_file), self._path(self._tls.key_file))
        return tuple(f.stat().st_mtime_ns if f.exists() else 0 for f in files)


class Passwords:
    """ASGI middleware: reading needs one of the users; orders have their own token."""

    def __init__(self, app: ASGIApp, users: dict[str, str]) -> None:
        self._app = app
        self._users = users
        self._known: set[bytes] = set()
        """Digests of what passed: bcrypt takes a twentieth of a second, a scrape comes each 15."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it through, or answer 401."""
        free = scope["type"] != "http" or scope["path"] in FREE_PATHS or scope["method"] == "POST"
        if free or await self._is_right(Request(scope).headers.get("authorization", "")):
            await self._app(scope, receive, send)
            return
        answer: Response = PlainTextResponse(
            "a user and a password are needed\n", 401, {"www-authenticate": "Basic"}
        )
        await answer(scope, receive, send)

    async def _is_right(self, header: str) -> bool:
        kind, _, encoded = header.partition(" ")
        if kind.lower() != "basic":
            return False
        try:
            user, colon, password = base64.b64decode(encoded, validate=True).partition(b":")
        except binascii.Error:
            return False
        hashed = self._users.get(user.decode("utf-8", "replace"))
        mark = hashlib.sha256(b"\0".join((user, password, (hashed or "").encode()))).digest()
        if mark in self._known:
            return True
        # An unknown user costs as much as a wrong password, so that time tells neither apart.
        known = hashed if hashed is not None else next(iter(self._users.values()))
        right = await asyncio.to_thread(_matches, password, known.encode())
        if not (right and hashed is not None and colon):
            return False
        if len(self._known) < _KNOWN_MAX:
            self._known.add(mark)
        return True


def _matches(password: bytes, hashed: bytes) -> bool:
    try:
        return bcrypt.checkpw(password[:72], hashed)
    except ValueError:
        return False
