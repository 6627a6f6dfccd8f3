"""The journal keeps its word, or says that it can't."""

import resource
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controller.adapters.local.journal import SCHEMA_VERSION, SqliteJournal
from controller.errors import JournalBroken
from controller.model.control import Approval, Order, Stop, StopScope, StopSource, Verb
from controller.model.history import (
    ForeignMove,
    History,
    Intent,
    IntentState,
    OwnMove,
    Refusals,
    Result,
    Sighting,
    SpecMark,
    WaitingPlan,
)
from controller.model.plan import Action, ActionKind, ActionReason
from controller.model.report import Outcome, OutcomeResult

NOW = datetime(2030, 1, 7, 8, 0, tzinfo=UTC)
SQL01 = "11111111-0000-0000-0000-000000000001"


def intent(number: int = 1) -> Intent:
    return Intent(
        id=f"99999999-0000-0000-0000-{number:012}",
        kind="Move",
        key="name:sql01",
        vm="SQL01",
        vm_id=SQL01,
        source="N2",
        target="N1",
        hop=False,
        revision="r1",
        opened_at=NOW,
    )


def submitted() -> Outcome:
    move = Action(
        id="move",
        kind=ActionKind.MOVE,
        key="name:sql01",
        vm="SQL01",
        vm_id=SQL01,
        source="N2",
        target="N1",
        reason=ActionReason.NOT_ON_PREFERRED,
        wave=0,
    )
    return Outcome(intent_id=intent().id, action=move, result=OutcomeResult.SUBMITTED)


def full_history() -> History:
    return History(
        cluster="demo",
        cluster_id="00000000-0000-0000-0000-00000000c1c1",
        bound={"name:sql01": SQL01},
        intents=(intent(), replace(intent(2), state=IntentState.DONE, closed_at=NOW)),
        sightings={SQL01: Sighting(vm_id=SQL01, owner="N2", at=NOW)},
        foreign=(ForeignMove(vm_id=SQL01, source="N1", target="N2", seen_at=NOW),),
        moves=(
            OwnMove(
                vm_id=SQL01,
                source="N3",
                target="N1",
                started_at=NOW,
                seen_at=NOW + timedelta(seconds=9),
                hop=False,
                revision="r1",
            ),
        ),
        specs={
            "name:sql01": SpecMark(key="name:sql01", digest="d2", since=NOW, accepted="d1"),
        },
        results=tuple(
            Result(
                intent=f"i{n}",
                key="name:sql01",
                vm="SQL01",
                failed=n == 2,
                at=NOW - timedelta(minutes=n),
            )
            for n in (2, 1)
        ),
        refusals=(
            Refusals(
                key="name:sql01", kind="Move", count=2, intent="i3", detail="notBusy: x", at=NOW
            ),
        ),
        waiting=WaitingPlan(
            digest="d",
            revision="r1",
            since=NOW,
            actions=("Move name:sql01 x n3 n1",),
            supersedes="c",
            because="the specs changed",
        ),
        stops=(stop(),),
        approvals=(
            Approval(
                digest="d1",
                owner="anna",
                reason="read it",
                at=NOW,
                revision="r1",
                actions=("a", "b"),
                given=("a",),
            ),
        ),
        nodes_away=frozenset({"n3"}),
        node_up_since={"n2": NOW},
        trusted=True,
    )


def stop(scope: StopScope = StopScope.VM, source: StopSource = StopSource.API) -> Stop:
    return Stop(
        id=f"{scope} {source}",
        scope=scope,
        name="SQL01" if scope is StopScope.VM else "",
        source=source,
        owner="anna",
        reason="backup",
        since=NOW,
        until=NOW + timedelta(hours=2),
    )


def order(cluster: str = "demo") -> Order:
    return Order(
        id=f"o1 {cluster}",
        verb=Verb.PAUSE,
        cluster=cluster,
        owner="anna",
        reason="backup",
        at=NOW,
        what="VM SQL01",
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def killed(journal: SqliteJournal) -> None:
    """What a kill leaves: the file as it is, the process gone."""
    journal.close()


def test_history_comes_back_whole_after_a_kill(path: Path) -> None:
    """Everything that decisions rest on is there for the next process."""
    journal = SqliteJournal(path)
    journal.load("demo")
    journal.open_intent("demo", intent())
    journal.keep("demo", full_history(), (submitted(),))
    killed(journal)
    assert SqliteJournal(path).load("demo") == full_history()


def test_an_intent_is_on_the_disk_when_open_intent_returns(path: Path) -> None:
    """Another reader of the file sees the intent before the command can leave."""
    journal = SqliteJournal(path)
    journal.load("demo")
    journal.open_intent("demo", intent())
    assert [i.id for i in SqliteJournal(path).load("demo").open_intents] == [intent().id]


def test_an_intent_whose_answer_was_never_written_is_recalled_as_unknown(path: Path) -> None:
    """Killed between the intent and the answer: whether the command left nobody can say."""
    journal = SqliteJournal(path)
    journal.load("demo")
    journal.open_intent("demo", intent())
    killed(journal)
    assert SqliteJournal(path).load("demo").intents == (replace(intent(), unknown=True),)


def test_an_empty_journal_is_not_trusted_until_we_acted_by_it(path: Path) -> None:
    """A lost journal restarted twice is still a lost journal."""
    journal = SqliteJournal(path)
    assert not journal.load("demo").trusted
    journal.keep("demo", replace(full_history(), intents=(), trusted=False), ())
    killed(journal)
    journal = SqliteJournal(path)
    assert not journal.load("demo").trusted
    journal.open_intent("demo", intent())
    killed(journal)
    assert SqliteJournal(path).load("demo").trusted


def test_what_is_on_the_disk_depends_on_no_other_module(path: Path) -> None:
    """Incident: JSON documents give these classes aliases, and broke the journal when first."""
    journal = SqliteJournal(path)
    journal.load("demo")
    journal.open_intent("demo", intent())
    killed(journal)
    reader = subprocess.run(
        [sys.executable, "-c", _READ_AFTER_DOCUMENTS, str(path)], capture_output=True, text=True
    )
    assert reader.stdout.strip() == intent().id, reader.stderr


def test_clusters_do_not_share_histories(path: Path) -> None:
    """One file serves all clusters; what is known of one says nothing of another."""
    journal = SqliteJournal(path)
    journal.load("demo")
    journal.open_intent("demo", intent())
    other = journal.load("other")
    assert other == History(cluster="other")


def test_nothing_is_written_in_a_cycle_where_nothing_changed(path: Path) -> None:
    """A quiet cluster costs no disk writes: only times of sightings moved on."""
    journal = SqliteJournal(path)
    journal.load("demo")
    journal.keep("demo", full_history(), ())
    before = commits(path)
    later = Sighting(vm_id=SQL01, owner="N2", at=NOW + timedelta(hours=1))
    watched = replace(intent(), first_quiet_at=NOW, last_active_at=NOW)
    journal.keep(
        "demo",
        replace(
            full_history(),
            sightings={SQL01: later},
            intents=(watched, full_history().intents[1]),
            complete_cycles=99,
        ),
        (),
    )
    assert commits(path) == before


def test_what_history_forgot_stays_readable_and_is_not_loaded(path: Path) -> None:
    """Old intents are evidence for people after decisions have no use for them."""
    journal = SqliteJournal(path)
    journal.load("demo")
    journal.keep("demo", full_history(), ())
    journal.keep("demo", replace(full_history(), intents=()), ())
    killed(journal)
    assert SqliteJournal(path).load("demo").intents == ()
    with closing(sqlite3.connect(path)) as reader:
        rows = reader.execute("SELECT gone FROM entries WHERE kind = 'intent'").fetchall()
    assert rows == [(1,), (1,)]


def test_an_intent_id_is_used_once(path: Path) -> None:
    """Two commands under one id could not be told apart afterwards."""
    journal = SqliteJournal(path)
    journal.load("demo")
    journal.open_intent("demo", intent())
    with pytest.raises(JournalBroken):
        journal.open_intent("demo", intent())


@pytest.mark.parametrize("where", [b"SQLite format", b"CREATE TABLE", b'"vm":"SQL01"'])
def test_a_damaged_file_is_refused_and_left_alone(path: Path, where: bytes) -> None:
    """A journal that may lie is worse than none: no history is made up from it."""
    journal = SqliteJournal(path)
    journal.load("demo")
    for number in range(200):
        journal.open_intent("demo", intent(number))
    killed(journal)
    damaged = bytearray(path.read_bytes())
    damaged[damaged.index(where) + 6] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(JournalBroken):
        SqliteJournal(path).load("demo")
    assert path.read_bytes() == damaged


def test_an_edited_entry_is_refused(path: Path) -> None:
    """Valid SQLite whose words are not the ones that we wrote."""
    journal = SqliteJournal(path)
    journal.load("demo")
    journal.open_intent("demo", intent())
    killed(journal)
    with closing(sqlite3.connect(path)) as editor, editor:
        editor.execute("UPDATE entries SET body = '{}' WHERE kind = 'intent'")
    with pytest.raises(JournalBroken, match="damaged: entry intent"):
        SqliteJournal(path).load("demo")


def test_a_newer_versions_journal_is_refused(path: Path) -> None:
    """After a downgrade: entries whose meaning we don't know are not acted by."""
    SqliteJournal(path).load("demo")
    with closing(sqlite3.connect(path)) as newer:
        newer.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(JournalBroken, match="newer ownernode"):
        SqliteJournal(path).load("demo")


def test_a_place_that_takes_no_writes_is_found_at_the_start(tmp_path: Path) -> None:
    """Not at the first command, when a plan is already half carried out."""
    with pytest.raises(JournalBroken):
        SqliteJournal(tmp_path / "not-there" / "journal.sqlite").load("demo")


def test_a_full_disk_breaks_the_word_and_keeps_what_was_durable(path: Path) -> None:
    """The intent that did not fit raises; those before it are still there."""
    journal = SqliteJournal(path)
    journal.load("demo")
    journal.open_intent("demo", intent(1))
    with disk_full_after(commits(path) + 100), pytest.raises(JournalBroken):
        journal.open_intent("demo", intent(2))
    killed(journal)
    assert [i.id for i in SqliteJournal(path).load("demo").intents] == [intent(1).id]


def commits(path: Path) -> int:
    """Grows with each commit: the size of the write-ahead log, which nobody truncates here."""
    return path.with_name(path.name + "-wal").stat().st_size


@contextmanager
def disk_full_after(size_bytes: int) -> Iterator[None]:
    """Let no file of this process grow beyond the size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


_READ_AFTER_DOCUMENTS = """
import sys
from pathlib import Path
import controller.model.json_documents
from controller.adapters.local.journal import SqliteJournal
print(SqliteJournal(Path(sys.argv[1])).load("demo").intents[0].id)
"""


def test_each_stop_is_kept_where_it_belongs_and_once(path: Path) -> None:
    """Of everything: for the process. The file is its own memory, the cluster's flag too."""
    every = tuple(stop(scope, source) for scope in StopScope for source in StopSource)
    journal = SqliteJournal(path)
    for cluster in ("", "demo"):
        journal.load(cluster)
        journal.keep(cluster, History(cluster=cluster, stops=every), ())
    killed(journal)
    journal = SqliteJournal(path)
    of_all = {(s.scope, s.source) for s in journal.load("").stops}
    kept = (StopSource.API, StopSource.SIGNAL)
    assert of_all == {(StopScope.EVERYTHING, source) for source in kept}
    narrow = [scope for scope in StopScope if scope is not StopScope.EVERYTHING]
    found = {(s.scope, s.source) for s in journal.load("demo").stops}
    assert found == {(scope, source) for scope in narrow for source in kept}


def test_the_past_is_told_long_after_history_let_go_of_it(path: Path) -> None:
    """Who ordered what, which command was given and why, whom others moved."""
    journal = SqliteJournal(path)
    journal.load("demo")
    journal.open_intent("demo", intent())
    journal.keep("demo", full_history(), (submitted(),))
    journal.note(order())
    journal.keep("demo", History(cluster="demo", trusted=True), ())
    killed(journal)
    journal = SqliteJournal(path)
    assert journal.load("demo").intents == ()
    past = journal.past("demo")
    assert past.orders == (order(),)
    assert past.foreign == full_history().foreign
    (command,) = [c for c in past.commands if c.intent.id == intent().id]
    assert (command.why, command.result) == ("N2 is not among its preferred owners", "Submitted")


def test_the_past_ends_after_ninety_days(path: Path) -> None:
    """What history needs is kept whatever its age."""
    journal = SqliteJournal(path)
    journal.load("demo")
    journal.keep("demo", full_history(), (submitted(),))
    for number, days in enumerate((89, 91)):
        journal.note(replace(order(), id=str(days)))
        with closing(sqlite3.connect(path)) as connection, connection:
            sql = "UPDATE entries SET gone_at = gone_at - ? WHERE key = ?"
            assert connection.execute(sql, (days * 86400, str(days))).rowcount == 1, number
    killed(journal)
    journal = SqliteJournal(path)
    assert journal.load("demo") == full_history()
    assert [o.id for o in journal.past("demo").orders] == ["89"]


def test_a_journal_of_the_first_version_is_taken_over(path: Path) -> None:
    """An upgrade forgets nothing; another one after it finds nothing to do."""
    journal = SqliteJournal(path)
    journal.load("demo")
    journal.keep("demo", full_history(), (submitted(),))
    killed(journal)
    with closing(sqlite3.connect(path)) as connection, connection:
        for event in ("insert", "delete", "update"):
            connection.execute(f"DROP TRIGGER total_{event}")
        connection.create_function("crc", -1, lambda *t: zlib.crc32("\0".join(t).encode()))
        connection.execute("UPDATE entries SET checksum = crc(cluster, kind, key, body)")
        connection.execute("ALTER TABLE entries DROP COLUMN gone_at")
        connection.execute("DROP TABLE life")
        connection.execute("PRAGMA user_version = 1")
    for _ in range(2):
        journal = SqliteJournal(path)
        assert journal.load("demo") == replace(full_history(), trusted=False)
        killed(journal)
    journal = SqliteJournal(path)
    journal.note(order())
    assert journal.past("demo").orders == (order(),)
