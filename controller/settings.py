"""How the process runs: where its files are, where it listens, how it logs. Never what runs where.

Every setting is a flag of the command line, or the environment variable OWNERNODE_<FLAG>; a file of
settings would be a third place to look. What should run where, and within which limits, stands in
the FailoverCluster documents of `--config` and in the specs.
"""

import json
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from controller.errors import SpecError

PORT_DEFAULT = 9464
"""The port where OpenTelemetry, too, serves what Prometheus scrapes."""


class LogForm(StrEnum):
    """How log lines are written."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where HTTP is served."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address as one types it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One controller process."""

    config: Path | None
    """File, or folder of files, of FailoverCluster documents; None where Kubernetes has them."""
    specs: tuple[str, ...]
    """Folders of placements, and addresses of Git repositories (docs/git.md)."""
    state: Path
    """Folder for the journal and the last good specs; only this process may write there."""
    web_config: Path | None = None
    """TLS and passwords of the HTTP side, as exporter-toolkit writes them; None: neither."""
    vm_metrics: bool = False
    """Whether /metrics has series of each VM."""
    token: Path | None = None
    """File with the token that orders need; None: `token` in the state folder, made when absent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubernetes:
    """Where the API server is, and how patient we are with it."""

    kubeconfig: Path | None = None
    """None: the pod's own account, else $KUBECONFIG."""
    namespace: str | None = None
    """Of the Lease and of secrets; None: the pod's own, or that of the kubeconfig's context."""
    lease: str = "ownernode"
    lease_seconds: tuple[float, float, float] = (15.0, 10.0, 2.0)
    """How long a Lease lasts, how long its holder leads after a renewal, and between two tries."""
    watch_seconds: int = 300
    silence_seconds: float = 90.0
    """Of a watch, after which it is begun anew; API servers send a bookmark about once a minute."""


def parse_lease(text: str) -> tuple[float, float, float]:
    """Read `15/10/2`. Raises SpecError for anything else, or where two could lead at once."""
    try:
        duration, renew, retry = (float(part) for part in text.split("/"))
    except ValueError:
        duration = renew = retry = 0.0
    if not 0 < retry < renew < duration:
        raise SpecError(
            f"--lease-seconds is {text!r}, expected duration/renewal/retry, such as 15/10/2, "
            "each shorter than the one before"
        )
    return duration, renew, retry


def parse_listen(text: str) -> Listen:
    """Read `127.0.0.1:9464` or `[::1]:9464`. Raises SpecError for anything else."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise SpecError(
            f"--listen is {text!r}, expected host:port such as 127.0.0.1:{PORT_DEFAULT}"
        )
    return Listen(host=host, port=int(port))


_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""What every log record has; the rest are the values that the caller gave by `extra`."""


class _Line(logging.Formatter):
    """A constant message with its values, as text (`key=value`) or as one JSON object."""

    def __init__(self, form: LogForm) -> None:
        super().__init__()
        self._form = form

    def format(self, record: logging.LogRecord) -> str:
        values = {k: v for k, v in vars(record).items() if k not in _OWN}
        if record.exc_info:
            values["traceback"] = self.formatException(record.exc_info)
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        head = {"at": at, "level": record.levelname, "message": record.getMessage()}
        if self._form is LogForm.JSON:
            return _quoted(head | values)
        return f"{at} {record.levelname} {head['message']}{_pairs(values)}"


def told(record: logging.LogRecord) -> str:
    """A log record as people read it where others tell the time: the message and its values."""
    return record.getMessage() + _pairs({k: v for k, v in vars(record).items() if k not in _OWN})


def _pairs(values: Mapping[str, Any]) -> str:
    return "".join(f" {name}={_value(value)}" for name, value in values.items())


def _value(value: Any) -> str:
    """A value without blanks as it is, any other quoted: one entry stays one line."""
    text = " ".join(value) if isinstance(value, tuple | list) else str(value)
    plain = text.isprintable() and " " not in text and '"' not in text and text != ""
    return text if plain else _quoted(text)


def _quoted(value: object) -> str:
    """JSON in people's own letters, unless one of them would steer a terminal or end a line."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(value, default=str)


def configure_logging(form: LogForm, level: int = logging.INFO) -> None:
    """Log to stderr, ours and that of the libraries that warn."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line(form))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("controller").setLevel(level)
