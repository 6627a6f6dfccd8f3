"""The journal on a disk that lies, tears, flips, cuts, fills up or takes no writes.

Damage is done to real files. After it a journal may say that it is broken, or tell a history that
is not trusted (the controller then only looks until the cluster was seen to be quiet), or tell all
of what was last written. What it must never do is to be trusted with anything less, or to raise
anything but JournalBroken.

Lost fsyncs are played without a file system of our own: the files are copied at every sync point,
which is after every commit, and a machine that went down gets any mixture of these copies back,
under another boot.
"""

import os
import random
import resource
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controller.adapters.local.journal import SqliteJournal
from controller.errors import JournalBroken
from controller.model.history import History, Intent, IntentState

ROOT = Path(__file__).parents[2]
NOW = datetime(2030, 1, 7, 8, 0, tzinfo=UTC)
PAGE = 4096
COMMITS = 60
BOOT, NEXT_BOOT = "boot-1", "boot-2"
SHARE, DAMAGES = 400, int(os.environ.get("DAMAGES", "20000"))
"""Damages of each kind that `make test` draws, and those of the campaign."""
NAME = "journal.sqlite"


class Written:
    """A journal with a past: its files as they were after each commit, and what it told then."""

    def __init__(self, place: Path) -> None:
        self.copies: list[Path] = []
        self.told: list[History] = []
        live = place / "live"
        live.mkdir()
        journal = SqliteJournal(live / NAME, boot=BOOT)
        history = replace(journal.load("demo"), trusted=True)
        for number in range(COMMITS):
            history = self._next(journal, history, number)
            copy = place / f"after-{number}"
            shutil.copytree(live, copy)
            self.copies.append(copy)
            self.told.append(history)
        journal.close()
        self.closed = place / "closed"
        shutil.copytree(live, self.closed)

    @staticmethod
    def _next(journal: SqliteJournal, history: History, number: int) -> History:
        if number % 3 == 2:
            done = replace(history.intents[-1], state=IntentState.DONE, closed_at=NOW)
            kept = (*history.intents[:-1], done)[-12:]
            history = replace(history, intents=kept, bound={f"name:vm{number:03}": "v" * 36})
            journal.keep("demo", history, ())
            return history
        intent = _intent(number)
        journal.open_intent("demo", intent)
        # What the next process knows of it: no answer was written down.
        return replace(history, intents=(*history.intents, replace(intent, unknown=True)))


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """In memory where that can be: the damage is ours, and tens of thousands of fsyncs are slow."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return Written(tmp_path_factory.mktemp("journal"))


def test_the_undamaged_journal_is_trusted_and_whole(written: Written, tmp_path: Path) -> None:
    """Else everything below would pass by refusing all."""
    for copy, told in zip(written.copies, written.told, strict=True):
        assert _judge(copy, tmp_path / "a", told) == "whole"
    assert _judge(written.closed, tmp_path / "a", written.told[-1]) == "whole"


def test_no_damaged_page_makes_up_a_history(written: Written, tmp_path: Path) -> None:
    """Bits flipped, zeros, garbage, torn and stale pages, a file cut short."""
    _damaged(written, tmp_path, random.Random(3), SHARE)


def test_no_cut_or_flipped_log_makes_up_a_history(written: Written, tmp_path: Path) -> None:
    """The write-ahead log cut anywhere, flipped anywhere, or gone, while the machine runs on."""
    _logs(written, tmp_path, random.Random(4), SHARE)


def test_no_lost_fsync_is_believed(written: Written, tmp_path: Path) -> None:
    """After the machine went down: any copy of the file, with any copy of its log."""
    _lost(written, tmp_path, random.Random(5), SHARE)


@pytest.mark.campaign
@pytest.mark.timeout(14_400)
def test_no_damage_of_any_kind_anywhere(written: Written, tmp_path: Path) -> None:
    """Twenty thousand flipped bits, cuts and flips of the log; every page and pair of copies."""
    _damaged(written, tmp_path, random.Random(6), None)
    _logs(written, tmp_path, random.Random(7), None)
    _lost(written, tmp_path, random.Random(8), None)


def _damaged(written: Written, place: Path, chance: random.Random, share: int | None) -> None:
    whole = (written.closed / NAME).read_bytes()
    seen: Counter[str] = Counter()
    older = [_settled(copy, place / "b") for copy in written.copies[::7]]
    kinds = _page_damages(whole, older, chance, share)
    for damaged in kinds:
        seen[_judge(written.closed, place / "a", written.told[-1], **{NAME: damaged})] += 1
    assert seen["broken"] > seen["whole"], seen


def _settled(files: Path, place: Path) -> bytes:
    """The file as it was with these, all of its log taken in."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(files, place)
    with closing(sqlite3.connect(place / NAME)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return (place / NAME).read_bytes()


def _page_damages(
    whole: bytes, older: list[bytes], chance: random.Random, share: int | None
) -> Iterator[bytes]:
    """Files that are `whole` but for one damage; with a share, so many of them."""
    pages = range(0, len(whole), PAGE)
    places = [at for at in pages for _ in range(30 if share is None else 4)]
    for bit in chance.sample(range(len(whole) * 8), DAMAGES if share is None else share):
        yield _at(whole, bit // 8, bytes([whole[bit // 8] ^ 1 << bit % 8]))
    for at in places:
        half = at + chance.randrange(0, PAGE, 512)
        yield _at(whole, at, bytes(PAGE))
        yield _at(whole, half, chance.randbytes(at + PAGE - half))
        yield whole[: at + chance.randrange(PAGE)]
        for old in older:
            if len(old) >= at + PAGE:
                yield _at(whole, at, old[at : at + PAGE])
                yield _at(whole, half, old[half : at + PAGE])


def _logs(written: Written, place: Path, chance: random.Random, share: int | None) -> None:
    number = COMMITS - 1
    copy = written.copies[number]
    log = (copy / f"{NAME}-wal").read_bytes()
    assert len(log) > PAGE * 10
    cuts = chance.sample(range(len(log)), DAMAGES // 2 if share is None else share)
    seen: Counter[str] = Counter()
    for at in cuts:
        for damaged in (log[:at], _at(log, at, bytes([log[at] ^ 1 << chance.randrange(8)]))):
            judged = _judge(copy, place / "a", written.told[number], **{f"{NAME}-wal": damaged})
            seen[judged] += 1
    assert seen["not trusted"] > seen["whole"], seen


def _lost(written: Written, place: Path, chance: random.Random, share: int | None) -> None:
    pairs = [(a, b) for a in range(COMMITS) for b in range(COMMITS)]
    for a, b in pairs if share is None else chance.sample(pairs, share):
        log = (written.copies[b] / f"{NAME}-wal").read_bytes()
        log = log[: chance.randrange(len(log) + 1)] if chance.random() < 0.5 else log
        judged = _judge(
            written.copies[a], place / "a", None, boot=NEXT_BOOT, **{f"{NAME}-wal": log}
        )
        assert judged in ("broken", "not trusted")


def test_everything_written_after_the_first_commit_is_lost_and_told(tmp_path: Path) -> None:
    """The log itself is gone although the machine runs on: the count beside it knows better."""
    journal = SqliteJournal(tmp_path / NAME, boot=BOOT)
    journal.load("demo")
    journal.open_intent("demo", _intent(1))
    shutil.copytree(tmp_path, tmp_path / "b")
    (tmp_path / "b" / f"{NAME}-wal").unlink()
    told = _told(tmp_path / "b" / NAME, BOOT)
    assert told is None or not told.trusted


@pytest.mark.parametrize("space_bytes", [*range(0, 3 * PAGE, 500), 100_000])
def test_a_full_disk_lets_no_intent_pass_that_is_not_durable(
    tmp_path: Path, space_bytes: int
) -> None:
    """What `open_intent` let pass is there after a kill, and nothing after the disk was full."""
    journal = SqliteJournal(tmp_path / NAME, boot=BOOT)
    journal.load("demo")
    journal.open_intent("demo", _intent(0))
    size = max(file.stat().st_size for file in tmp_path.iterdir())
    passed = [_intent(0).id]
    with _no_file_beyond(size + space_bytes):
        for number in range(1, 40):
            try:
                journal.open_intent("demo", _intent(number))
            except JournalBroken:
                break
            passed.append(_intent(number).id)
    shutil.copytree(tmp_path, tmp_path / "b")
    told = SqliteJournal(tmp_path / "b" / NAME, boot=BOOT).load("demo")
    assert [i.id for i in told.intents][: len(passed)] == passed
    assert len(told.intents) <= len(passed) + 1


def test_a_disk_that_takes_no_writes_breaks_the_journal_at_once(written: Written) -> None:
    """Not at the first command, when a plan is already half carried out."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        shutil.copytree(written.closed, place, dirs_exist_ok=True)
        for path in (place, *place.iterdir()):
            path.chmod(0o555)
        child = os.fork()
        if child == 0:
            if os.geteuid() == 0:  # to whom a mode means nothing
                os.setuid(65534)
            os._exit(0 if _told(place / NAME, BOOT) is None else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        place.chmod(0o755)


def _judge(
    files: Path, place: Path, told: History | None, *, boot: str = BOOT, **instead: bytes
) -> str:
    """What a journal that is opened on these files is: broken, not trusted, or whole."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for name in (NAME, f"{NAME}-wal", f"{NAME}-count"):
        if name in instead:
            (place / name).write_bytes(instead[name])
        elif (files / name).exists():
            shutil.copyfile(files / name, place / name)
    found = _told(place / NAME, boot)
    if found is None:
        return "broken"
    if not found.trusted:
        return "not trusted"
    assert found == told, "a damaged journal is trusted with another history"
    return "whole"


def _told(path: Path, boot: str) -> History | None:
    journal = SqliteJournal(path, boot=boot)
    try:
        return journal.load("demo")
    except JournalBroken:
        return None
    finally:
        journal.close()


def _at(whole: bytes, at: int, piece: bytes) -> bytes:
    return whole[:at] + piece + whole[at + len(piece) :]


@contextmanager
def _no_file_beyond(size_bytes: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _intent(number: int) -> Intent:
    return Intent(
        id=f"99999999-0000-0000-0000-{number:012}",
        kind="Move",
        key=f"name:vm{number % 7}",
        vm=f"VM{number % 7}",
        vm_id=f"11111111-0000-0000-0000-{number % 7:012}",
        source="N2",
        target="N1",
        hop=False,
        revision="r1",
        opened_at=NOW + timedelta(seconds=number),
    )
