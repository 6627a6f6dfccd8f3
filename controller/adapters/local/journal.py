"""The journal: what a restart must not forget, in one SQLite file.

SQLite in WAL mode with synchronous=FULL, because a commit that has returned is on the disk, a torn
write is detected and rolled back at the next start, and readers (`ownernode history`, sqlite3) need
no code of ours. An append-only file of our own would have to earn all three. A commit costs one
fsync, some 0.4 ms, and there is one for each command and for each cycle in which something changed.

Every entry is (cluster, kind, key) -> JSON, with a checksum, since SQLite has none of its own. What
history no longer needs is marked `gone` and kept for people to read, for 90 days and up to a bound.

A file that is whole may still lack its end: a disk that only said that it had written, or a log
that was cut short. So the machine's boot is kept in it, and how many commits there were beside it:
where either differs, nothing here is trusted before the cluster was seen to be quiet.
"""

import json
import logging
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from time import monotonic
from types import MappingProxyType
from typing import Any

from pydantic import TypeAdapter, ValidationError

from controller.errors import JournalBroken
from controller.model.control import Approval, Order, Stop, StopScope, StopSource
from controller.model.history import (
    ForeignMove,
    History,
    Intent,
    IntentState,
    OwnMove,
    Past,
    PastCommand,
    Refusals,
    Result,
    Sighting,
    SpecMark,
    WaitingPlan,
)
from controller.model.report import Outcome
from controller.planning.sentences import why

log = logging.getLogger(__name__)

SCHEMA_VERSION = 3
# Moves, commands, orders and stops that are over are kept so long, for people to read.
KEPT_DAYS = 90
# And no more than some 25 MB of them; enough for 90 days of a busy cluster.
GONE_ENTRIES_MAX = 50_000
PURGE_SECONDS = 86400.0

_SCHEMA = """
CREATE TABLE entries (
    number INTEGER PRIMARY KEY,
    cluster TEXT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    body TEXT NOT NULL,
    checksum INTEGER NOT NULL,
    answer TEXT,
    gone INTEGER NOT NULL DEFAULT 0,
    gone_at INTEGER,
    UNIQUE (cluster, kind, key)
) STRICT
"""
# One row. The total, of all checksums, tells of entries that are each sound and not the last ones.
_LIFE = """
CREATE TABLE life (boot TEXT NOT NULL, commits INTEGER NOT NULL, total INTEGER NOT NULL) STRICT
"""
_BORN = "INSERT INTO life SELECT '', 0, coalesce(sum(checksum), 0) FROM entries"
_TOTALS = (
    (
        "CREATE TRIGGER total_insert AFTER INSERT ON entries"
        " BEGIN UPDATE life SET total = total + new.checksum; END"
    ),
    (
        "CREATE TRIGGER total_delete AFTER DELETE ON entries"
        " BEGIN UPDATE life SET total = total - old.checksum; END"
    ),
    (
        "CREATE TRIGGER total_update AFTER UPDATE ON entries"
        " BEGIN UPDATE life SET total = total + new.checksum - old.checksum; END"
    ),
)
_SEAL = "UPDATE entries SET checksum = seal(cluster, kind, key, body, answer, gone)"
# From the version that is the index to the next one.
_UPGRADES = (
    (),
    ("ALTER TABLE entries ADD COLUMN gone_at INTEGER",),
    (_SEAL, _LIFE, _BORN, *_TOTALS),
)
# Until version 3 answers and what is gone were not part of the checksum.
_UNSOUND_2 = "SELECT kind, key FROM entries WHERE checksum <> crc(cluster, kind, key, body) LIMIT 1"
_UNSOUND = """
SELECT kind, key FROM entries
WHERE checksum <> seal(cluster, kind, key, body, answer, gone) LIMIT 1
"""
_INSERT = """
INSERT INTO entries (cluster, kind, key, body, checksum)
VALUES (?1, ?2, ?3, ?4, seal(?1, ?2, ?3, ?4, NULL, 0))
"""
_UPSERT = f"""{_INSERT}
ON CONFLICT (cluster, kind, key) DO UPDATE SET
    body = excluded.body, gone = 0,
    checksum = seal(cluster, kind, key, excluded.body, answer, 0)
"""
_ANSWER = """
UPDATE entries SET answer = ?1, checksum = seal(cluster, kind, key, body, ?1, gone)
WHERE cluster = ?2 AND kind = 'intent' AND key = ?3
"""
_GONE = """
UPDATE entries SET
    gone = 1, gone_at = CAST(strftime('%s', 'now') AS INTEGER),
    checksum = seal(cluster, kind, key, body, answer, 1)
"""
_NOTE = """
INSERT INTO entries (cluster, kind, key, body, checksum, gone, gone_at)
VALUES (?1, ?2, ?3, ?4, seal(?1, ?2, ?3, ?4, NULL, 1), 1, CAST(strftime('%s', 'now') AS INTEGER))
"""
_COUNT = "UPDATE life SET commits = commits + 1 RETURNING commits"
_PURGE = """
DELETE FROM entries WHERE gone = 1 AND (
    gone_at < CAST(strftime('%s', 'now') AS INTEGER) - ?
    OR number <= (
        SELECT number FROM entries WHERE gone = 1 ORDER BY number DESC LIMIT 1 OFFSET ?))
"""
_PAST = """
SELECT kind, key, body, checksum, answer, gone FROM entries
WHERE cluster = ? AND kind IN ('intent', 'foreign', 'order') ORDER BY number
"""
_LOAD = """
SELECT kind, key, body, checksum, answer, gone FROM entries
WHERE cluster = ? AND gone = 0 ORDER BY number
"""

_INTENT = TypeAdapter(Intent)
_SIGHTING = TypeAdapter(Sighting)
_FOREIGN = TypeAdapter(ForeignMove)
_MOVE = TypeAdapter(OwnMove)
_SPEC = TypeAdapter(SpecMark)
_RESULT = TypeAdapter(Result)
_REFUSALS = TypeAdapter(Refusals)
_WAITING = TypeAdapter(WaitingPlan)
_TIME = TypeAdapter(datetime)
_STOP = TypeAdapter(Stop)
_APPROVAL = TypeAdapter(Approval)
_ORDER = TypeAdapter(Order)

# They change with every look at a migration, and to begin them anew after a restart only makes us
# wait longer before an intent is called not done.
_VOLATILE = {"first_quiet_at", "last_active_at"}

_TRUST = ("trust", "")
_CLUSTER = ("cluster", "")

Entries = dict[tuple[str, str], str]
"""(kind, key) -> body, as it stands on the disk."""


class SqliteJournal:
    """Memory that survives `kill -9`; one process at a time (see `StateLock`)."""

    def __init__(self, path: Path, *, boot: str | None = None) -> None:
        """Nothing is opened yet: `load` finds out whether the file can be used.

        `boot` names the run of this machine, from its start to its end; absent: Linux' own name.
        """
        self._path = path
        self._boot = boot
        self._connection: sqlite3.Connection | None = None
        self._written: dict[str, Entries] = {}
        self._purged_at = monotonic()

    def load(self, cluster: str) -> History:
        """Rebuild the history of a cluster; trusted once a history kept here was.

        A file that is damaged, that a newer version wrote, or that cannot be written to raises
        JournalBroken and is left as it is, for a person to look at.
        """
        with self._transaction("read") as connection:
            rows = self._sound(connection.execute(_LOAD, (cluster,)).fetchall(), cluster)
            entries: Entries = {(kind, key): body for kind, key, body, *_ in rows}
            unanswered = {key for _, key, _, _, answer, _ in rows if answer is None}
            try:
                history = _history(cluster, entries, unanswered)
            except ValidationError as error:
                raise JournalBroken(f"{self._path}: an entry cannot be read: {error}") from error
        self._written[cluster] = entries
        return history

    def open_intent(self, cluster: str, intent: Intent) -> None:
        """Make the intent durable; an id that exists already is refused."""
        body = _text(_INTENT, intent, _VOLATILE)
        with self._writing("write an intent to") as connection:
            connection.execute(_INSERT, (cluster, "intent", intent.id, body))
            # Before the first intent an empty journal cannot be told from a lost one.
            connection.execute(_UPSERT, (cluster, *_TRUST, "{}"))
        written = self._written.setdefault(cluster, {})
        written["intent", intent.id] = body
        written[_TRUST] = "{}"

    def keep(self, cluster: str, history: History, outcomes: Sequence[Outcome]) -> None:
        """Write what differs from what is on the disk; nothing, when nothing does."""
        written = self._written.setdefault(cluster, {})
        entries = _entries(history, written)
        changed = [(at, body) for at, body in entries.items() if written.get(at) != body]
        gone = [at for at in written if at not in entries]
        if not (changed or gone or outcomes):
            return
        with self._writing("write to") as connection:
            connection.executemany(_UPSERT, [(cluster, *at, body) for at, body in changed])
            connection.executemany(
                f"{_GONE} WHERE cluster = ? AND kind = ? AND key = ?",
                [(cluster, *at) for at in gone],
            )
            if gone and monotonic() - self._purged_at >= PURGE_SECONDS:
                _purge(connection)
                self._purged_at = monotonic()
            connection.executemany(_ANSWER, [_answer(cluster, outcome) for outcome in outcomes])
        self._written[cluster] = entries

    def note(self, order: Order) -> None:
        """Make an order durable, for people: what it leads to is kept with the history."""
        body = _text(_ORDER, order)
        with self._writing("write an order to") as connection:
            connection.execute(_NOTE, (order.cluster, "order", order.id, body))

    def past(self, cluster: str) -> Past:
        """Commands, moves by others and orders of the last 90 days, oldest first.

        Raises JournalBroken.
        """
        with self._transaction("read") as connection:
            rows = self._sound(connection.execute(_PAST, (cluster,)).fetchall(), cluster)
        of = {
            kind: [(body, answer) for k, _, body, _, answer, _ in rows if k == kind]
            for kind in ("intent", "foreign", "order")
        }
        return Past(
            commands=tuple(_command(body, answer) for body, answer in of["intent"]),
            foreign=tuple(_FOREIGN.validate_json(body) for body, _ in of["foreign"]),
            orders=tuple(_ORDER.validate_json(body) for body, _ in of["order"]),
        )

    def close(self) -> None:
        """Let go of the file; everything in it is durable already."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _sound(self, rows: list[Any], cluster: str) -> list[Any]:
        for kind, key, body, checksum, answer, gone in rows:
            if checksum != _seal(cluster, kind, key, body, answer, gone):
                raise JournalBroken(f"{self._path} is damaged: entry {kind} {key}")
        return rows

    @contextmanager
    def _writing(self, verb: str) -> Iterator[sqlite3.Connection]:
        """One transaction, on the disk when the block has ended, and counted."""
        with self._transaction(verb) as connection:
            yield connection
            (count,) = connection.execute(_COUNT).fetchone()
        try:
            _write_count(self._path, count)
        except OSError as error:
            raise JournalBroken(f"could not count a commit of {self._path}: {error}") from error

    @contextmanager
    def _transaction(self, verb: str) -> Iterator[sqlite3.Connection]:
        try:
            if self._connection is None:
                self._connection = _open(self._path, self._boot or _boot_of_linux())
            connection = self._connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except (sqlite3.Error, OSError, ValueError) as error:  # ValueError: text that is none
            raise JournalBroken(f"could not {verb} {self._path}: {error}") from error


def _open(path: Path, boot: str) -> sqlite3.Connection:
    """Open the file, prove it whole and writable, and make its tables if it is new."""
    # One caller at a time, though not always on the thread that opened it.
    connection = sqlite3.connect(path, isolation_level=None, timeout=1.0, check_same_thread=False)
    try:
        connection.create_function("seal", 6, _seal, deterministic=True)
        connection.create_function("crc", 4, _crc, deterministic=True)
        (report,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if report != "ok":
            raise JournalBroken(f"{path} is damaged: {report}")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise JournalBroken(f"{path} was written by a newer ownernode (version {version})")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        if version == 0:
            for statement in (_SCHEMA, _LIFE, _BORN, *_TOTALS):
                connection.execute(statement)
        else:
            unsound = _UNSOUND if version == SCHEMA_VERSION else _UNSOUND_2
            for kind, key in connection.execute(unsound):
                raise JournalBroken(f"{path} is damaged: entry {kind} {key}")
            for statement in (s for upgrade in _UPGRADES[version:] for s in upgrade):
                connection.execute(statement)
        count = _recognise(connection, path, boot)
        _purge(connection)
        # Writes the file's header each time: a disk that takes no writes is found here, not later.
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
        _write_count(path, count)
    except BaseException:
        connection.close()
        raise
    return connection


def _recognise(connection: sqlite3.Connection, path: Path, boot: str) -> int:
    """Trust nothing in the file if its last commits may be missing; count this one."""
    ((known_boot, commits, total),) = connection.execute("SELECT * FROM life")
    (found,) = connection.execute("SELECT coalesce(sum(checksum), 0) FROM entries").fetchone()
    if found != total:
        raise JournalBroken(f"{path} is damaged: its entries are not those that were last written")
    counted = _read_count(path)
    doubt = ""
    if known_boot != boot:
        doubt = "the machine was started anew since it was written"
    elif counted is None or counted > commits:
        doubt = f"it knows {commits} commits, and {counted or 'nobody knows how many'} were made"
    if doubt and connection.execute(f"{_GONE} WHERE kind = 'trust' AND gone = 0").rowcount:
        log.critical(
            "The journal may lack its end: everything is looked at anew before anything is done",
            extra={"path": str(path), "reason": doubt},
        )
    count: int = max(commits, counted or 0) + 1
    connection.execute("UPDATE life SET boot = ?, commits = ?", (boot, count))
    return count


# The count lies beside the file and is not synced: it tells of a log that was cut while the machine
# ran on. Of a machine that went down, the boot tells.
_COUNT_WIDTH = 20


def _count_file(path: Path) -> Path:
    return path.with_name(f"{path.name}-count")


def _read_count(path: Path) -> int | None:
    try:
        text = _count_file(path).read_bytes()[:_COUNT_WIDTH]
    except FileNotFoundError:
        return None
    return int(text) if len(text) == _COUNT_WIDTH and text.isdigit() else None


def _write_count(path: Path, count: int) -> None:
    file = os.open(_count_file(path), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, f"{count:0{_COUNT_WIDTH}}".encode())
    finally:
        os.close(file)


def _boot_of_linux() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _purge(connection: sqlite3.Connection) -> None:
    connection.execute(_PURGE, (KEPT_DAYS * 86400, GONE_ENTRIES_MAX))


def _entries(history: History, written: Entries) -> Entries:
    """What of a history is durable. Counters of cycles are not: a restart counts anew."""
    entries: Entries = {}
    if history.trusted or _TRUST in written:
        entries[_TRUST] = "{}"
    if history.cluster_id is not None:
        entries[_CLUSTER] = history.cluster_id
    entries |= {("binding", key): vm_id for key, vm_id in history.bound.items()}
    for intent in history.intents:
        entries["intent", intent.id] = _text(_INTENT, intent, _VOLATILE)
    for sighting in history.sightings.values():
        at = ("sighting", f"{sighting.vm_id} {sighting.owner}")
        # The first sighting of a stay: else each cycle would write each VM.
        entries[at] = written.get(at) or _text(_SIGHTING, sighting)
    for foreign in history.foreign:
        entries["foreign", f"{foreign.vm_id} {foreign.seen_at}"] = _text(_FOREIGN, foreign)
    for move in history.moves:
        entries["move", f"{move.vm_id} {move.started_at}"] = _text(_MOVE, move)
    # What the process was told to do with everything is kept once, not with each cluster.
    of_all = history.cluster == ""
    for stop in history.stops:
        is_kept = stop.source in (StopSource.API, StopSource.SIGNAL)
        if is_kept and (stop.scope is StopScope.EVERYTHING) == of_all:
            entries["stop", stop.id] = _text(_STOP, stop)
    for approval in history.approvals:
        entries["approval", f"{approval.digest} {approval.at}"] = _text(_APPROVAL, approval)
    if history.waiting is not None:
        entries["waiting", ""] = _text(_WAITING, history.waiting)
    entries |= {("spec", key): _spec_text(spec) for key, spec in history.specs.items()}
    for result in history.results:
        entries["result", result.intent] = _text(_RESULT, result)
    for refusals in history.refusals:
        entries["refusals", f"{refusals.key} {refusals.kind}"] = _text(_REFUSALS, refusals)
    entries |= {("node away", node): "{}" for node in sorted(history.nodes_away)}
    entries |= {("node up", n): _text(_TIME, at) for n, at in history.node_up_since.items()}
    return entries


def _history(cluster: str, entries: Mapping[tuple[str, str], str], unanswered: Set[str]) -> History:
    """The history that the entries tell. Raises ValidationError."""

    def of(kind: str) -> list[tuple[str, str]]:
        return [(key, body) for (at, key), body in entries.items() if at == kind]

    intents = [_INTENT.validate_json(body) for _, body in of("intent")]
    sightings = [_SIGHTING.validate_json(body) for _, body in of("sighting")]
    return History(
        cluster=cluster,
        cluster_id=entries.get(_CLUSTER),
        bound=MappingProxyType(dict(of("binding"))),
        intents=tuple(_recalled(i, i.id not in unanswered) for i in intents),
        sightings=MappingProxyType({sighting.vm_id: sighting for sighting in sightings}),
        foreign=tuple(_FOREIGN.validate_json(body) for _, body in of("foreign")),
        moves=tuple(_MOVE.validate_json(body) for _, body in of("move")),
        specs=MappingProxyType({key: _SPEC.validate_json(body) for key, body in of("spec")}),
        results=_in_order(_RESULT.validate_json(body) for _, body in of("result")),
        refusals=tuple(_REFUSALS.validate_json(body) for _, body in of("refusals")),
        nodes_away=frozenset(node for node, _ in of("node away")),
        node_up_since=MappingProxyType(
            {node: _TIME.validate_json(body) for node, body in of("node up")}
        ),
        stops=tuple(_STOP.validate_json(body) for _, body in of("stop")),
        waiting=next((_WAITING.validate_json(body) for _, body in of("waiting")), None),
        approvals=tuple(_APPROVAL.validate_json(body) for _, body in of("approval")),
        trusted=_TRUST in entries,
    )


def _in_order(results: Iterable[Result]) -> tuple[Result, ...]:
    return tuple(sorted(results, key=lambda result: (result.at, result.intent)))


def _recalled(intent: Intent, is_answered: bool) -> Intent:
    """Of an open intent without an answer nobody knows whether its command left."""
    if is_answered or intent.state is not IntentState.OPEN:
        return intent
    return replace(intent, unknown=True)


def _seal(*values: str | int | None) -> int:
    return zlib.crc32(repr(values).encode())


def _crc(*values: str) -> int:
    return zlib.crc32("\0".join(values).encode())


def _text(adapter: TypeAdapter[Any], entry: object, exclude: set[str] | None = None) -> str:
    return adapter.dump_json(entry, exclude=exclude).decode()


@lru_cache(maxsize=16_384)  # most of them are those of the cycle before
def _spec_text(mark: SpecMark) -> str:
    return _text(_SPEC, mark)


def _command(body: str, answer: str | None) -> PastCommand:
    said = json.loads(answer) if answer is not None else {}
    return PastCommand(
        intent=_INTENT.validate_json(body),
        why=said.get("why", ""),
        result=said.get("result"),
    )


def _answer(cluster: str, outcome: Outcome) -> tuple[str, str, str]:
    said = {
        "why": why(outcome.action),
        "result": outcome.result.value,
        "condition": outcome.condition,
        "found": outcome.found,
        "detail": outcome.detail,
    }
    return json.dumps(said), cluster, outcome.intent_id
