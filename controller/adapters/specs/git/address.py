"""A Git source as an operator writes it: one URL, with everything that is to be known about it.

    git+https://git.corp.example/placements.git?branch=main&path=prod&credentials=/etc/ownernode/git

Each option names a file, never a secret, so that the address may stand in a unit file or a log.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, urlsplit

from controller.errors import SpecError
from controller.model.faults import nearest
from controller.model.quantities import parse_duration

PREFIX = "git+"
INTERVAL_SECONDS_DEFAULT = 60
BRANCH_DEFAULT = "main"
PATHS_MAX = 50

_SOURCE = ("branch", "tag", "commit", "path", "interval", "name", "accept")
_FORGE = ("webhook-secret", "status", "status-token", "status-ca")
_TRUST = ("gpg-keys", "allowed-signers")
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "https": (*_SOURCE, *_TRUST, *_FORGE, "credentials", "ca", "proxy"),
    "ssh": (*_SOURCE, *_TRUST, *_FORGE, "ssh-key", "known-hosts"),
    "file": (*_SOURCE, *_TRUST, *_FORGE),
}
"""Scheme -> what may be said of it; docs/git.md explains each."""
_FILES = frozenset(
    {
        *_TRUST,
        "credentials",
        "ca",
        "ssh-key",
        "known-hosts",
        "webhook-secret",
        "status-token",
        "status-ca",
    }
)
_COMMIT = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
# What git allows in a ref is more; this is what can be read aloud and never begins an option.
_REF = re.compile(r"(?!.*(?:\.\.|//|\.lock(?:/|$)))[A-Za-z0-9][A-Za-z0-9._/+#-]*(?<![/.])")
_NAME = re.compile("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_HOST = re.compile("[a-z0-9]([a-z0-9.-]*[a-z0-9])?|[0-9a-f:]+")


class RefKind(StrEnum):
    """What a source follows."""

    BRANCH = "branch"
    TAG = "tag"
    COMMIT = "commit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One Git source, checked. Paths of files are absolute."""

    name: str
    url: str
    """As git takes it, without `git+` and without options."""
    scheme: str
    host: str
    """With the port, as credentials are bound to it; empty for a local repository."""
    kind: RefKind
    ref: str
    paths: tuple[str, ...]
    """Folders or files within the repository; none: all of it."""
    interval_seconds: int
    accept: str | None
    """A commit that a person looked at: taken even where history or size speak against it."""
    proxy: str | None
    status: str | None
    """Where the status of a commit is set, up to `/statuses`."""
    files: Mapping[str, Path]
    """Option -> file, for those options that name one."""

    def revision(self, commit: str) -> str:
        """`main@sha1:…`, as Flux writes it; `sha1:…` for a pinned commit."""
        form = f"{'sha1' if len(commit) == 40 else 'sha256'}:{commit}"
        return form if self.kind is RefKind.COMMIT else f"{self.ref}@{form}"

    @property
    def signed(self) -> bool:
        """Whether only signed revisions are taken."""
        return any(option in self.files for option in _TRUST)


def is_address(text: str) -> bool:
    """Whether a `--specs` means a repository and not a folder."""
    return text.startswith(PREFIX)


def parse_address(text: str) -> Address:
    """Read an address. Raises SpecError that says which part is wrong and what is expected."""
    shown = text.split("?")[0]
    try:
        parts = urlsplit(text.removeprefix(PREFIX))
        _ = parts.port
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise SpecError(f"{shown}: is no URL: {error}") from None
    if parts.scheme not in OPTIONS:
        raise SpecError(
            f"{shown}: {PREFIX}{parts.scheme} is not supported (expected git+https://, git+ssh:// "
            "or git+file://)"
        )
    _refuse_bad_place(shown, parts)
    single, paths = _options(shown, parts.scheme, pairs)
    kind, ref = _ref(shown, single)
    accept = single.get("accept")
    if accept is not None and not _COMMIT.fullmatch(accept):
        raise SpecError(f"{shown}: accept is {accept!r}, expected a whole commit id")
    return Address(
        name=_name(shown, single.get("name"), parts.path),
        url=_url(parts),
        scheme=parts.scheme,
        host=parts.netloc.rpartition("@")[2],
        kind=kind,
        ref=ref,
        paths=paths,
        interval_seconds=_interval(shown, single.get("interval")),
        accept=accept,
        proxy=_proxy(shown, single.get("proxy")),
        status=_status(shown, single),
        files={name: Path(value) for name, value in single.items() if name in _FILES},
    )


def _url(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def _refuse_bad_place(shown: str, parts: SplitResult) -> None:
    """Refuse what git, ssh or a shell could take for something else than a place."""
    if parts.fragment or not parts.path.isprintable() or " " in parts.path:
        raise SpecError(
            f"{shown}: the path of the repository is not readable, expected no # or blank"
        )
    if parts.scheme == "file":
        if parts.netloc or not parts.path.startswith("/"):
            raise SpecError(f"{shown}: expected git+file:///absolute/path")
        return
    if not _HOST.fullmatch(parts.hostname or ""):
        raise SpecError(f"{shown}: {parts.hostname!r} is no host name")
    if parts.password is not None or (parts.username and parts.scheme == "https"):
        raise SpecError(
            f"{parts.scheme}://{parts.hostname}{parts.path}: no log-on belongs into an address "
            "(expected credentials=FILE, of two lines username=... and password=...)"
        )
    if parts.username is not None and not _REF.fullmatch(parts.username):
        raise SpecError(f"{shown}: {parts.username!r} is no user name")
    if not parts.path.strip("/"):
        raise SpecError(f"{shown}: names no repository")


def _options(
    shown: str, scheme: str, pairs: list[tuple[str, str]]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Every option but `path` at most once, and the paths."""
    single: dict[str, str] = {}
    paths: list[str] = []
    for name, value in pairs:
        if name not in OPTIONS[scheme]:
            close = nearest(name, OPTIONS[scheme])
            hint = f"did you mean {close}?" if close else f"known: {', '.join(OPTIONS[scheme])}"
            raise SpecError(f"{shown}: {name!r} is not an option of git+{scheme}; {hint}")
        if not value or not value.isprintable():
            raise SpecError(f"{shown}: {name} is empty or unreadable")
        if name in _FILES and not value.startswith("/"):
            raise SpecError(f"{shown}: {name} is {value!r}, expected an absolute path")
        if name == "path":
            paths.append(_path(shown, value))
        elif name in single:
            raise SpecError(f"{shown}: {name} is given twice")
        else:
            single[name] = value
    if len(paths) > PATHS_MAX:
        raise SpecError(f"{shown}: {len(paths)} paths, expected at most {PATHS_MAX}")
    if scheme == "ssh":
        for name in ("ssh-key", "known-hosts"):
            if name not in single:
                raise SpecError(
                    f"{shown}: {name}=FILE is missing; ssh is never asked, nor trusted blindly"
                )
    return single, tuple(dict.fromkeys(paths))


def _path(shown: str, value: str) -> str:
    path = value.rstrip("/")
    if not path or path.startswith("/") or {"", ".", ".."} & set(path.split("/")):
        raise SpecError(f"{shown}: path is {value!r}, expected one below the repository's root")
    return path


def _ref(shown: str, single: Mapping[str, str]) -> tuple[RefKind, str]:
    given = [kind for kind in RefKind if kind.value in single]
    if len(given) > 1:
        raise SpecError(f"{shown}: {' and '.join(given)} are given, expected one of them")
    if not given:
        return RefKind.BRANCH, BRANCH_DEFAULT
    kind, ref = given[0], single[given[0].value]
    if kind is RefKind.COMMIT:
        if not _COMMIT.fullmatch(ref):
            raise SpecError(f"{shown}: commit is {ref!r}, expected a whole commit id")
    elif not _REF.fullmatch(ref):
        raise SpecError(f"{shown}: {kind.value} is {ref!r}, expected a name such as release/2026")
    return kind, ref


def _name(shown: str, name: str | None, path: str) -> str:
    last = path.rstrip("/").rpartition("/")[2].removesuffix(".git").lower()
    chosen = name if name is not None else re.sub("[^a-z0-9]+", "-", last).strip("-")[:63]
    if not _NAME.fullmatch(chosen):
        raise SpecError(f"{shown}: name is {chosen!r}, expected lower-case letters, digits and -")
    return chosen


def _interval(shown: str, text: str | None) -> int:
    if text is None:
        return INTERVAL_SECONDS_DEFAULT
    seconds = parse_duration(text)
    if seconds is None or not 1 <= seconds <= 86400:
        raise SpecError(f"{shown}: interval is {text!r}, expected 1s to 24h, such as 1m")
    return seconds


def _status(shown: str, single: Mapping[str, str]) -> str | None:
    text = single.get("status")
    if text is None and "status-token" not in single:
        return None
    if text is None or "status-token" not in single:
        raise SpecError(f"{shown}: status=URL and status-token=FILE belong together")
    parts = urlsplit(text)
    at_home = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost")
    plain = parts.scheme == "https" or at_home
    if not plain or parts.username or parts.query or not parts.path.endswith("/statuses"):
        raise SpecError(f"{shown}: status is {text!r}, expected https://... that ends in /statuses")
    return text


def _proxy(shown: str, text: str | None) -> str | None:
    if text is None:
        return None
    parts = urlsplit(text)
    plain = parts.scheme in ("http", "https") and parts.hostname and not parts.username
    if not plain or parts.path.strip("/") or parts.query:
        raise SpecError(f"{shown}: proxy is {text!r}, expected http://host:port")
    return text
