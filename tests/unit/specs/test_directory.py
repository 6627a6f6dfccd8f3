"""A directory as the source: what is in force, whatever happens to the files."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.adapters.specs import folder
from controller.adapters.specs.directory import DirectorySource
from controller.adapters.specs.last_good import Kept, LastGood
from controller.ports import SpecReading
from tests.unit.specs.writing import CLUSTER, small

Restart = Callable[[], DirectorySource]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "specs"
    path.mkdir()
    return path


@pytest.fixture
def restart(root: Path, tmp_path: Path) -> Restart:
    """A source as a fresh process has it: all it knows of the past is on disk."""
    return lambda: DirectorySource(root, tmp_path / "state")


def names(reading: SpecReading) -> list[str]:
    return [document.name for document in reading.documents]


def suspended(reading: SpecReading) -> dict[str, bool]:
    return {d.name: d.model.model_dump()["spec"]["suspend"] for d in reading.documents}


def test_good_documents_are_in_force(root: Path, restart: Restart) -> None:
    """Files at any depth, documents in one order, no finding."""
    (root / "b.yaml").write_text(small("b"))
    (root / "team").mkdir()
    (root / "team" / "a.yml").write_text(small("a"))
    (root / "notes.txt").write_text("not a spec")
    reading = restart().read_now()
    assert names(reading) == ["a", "b"]
    assert [document.file for document in reading.documents] == ["team/a.yml", "b.yaml"]
    assert reading.findings == ()


def test_bad_document_keeps_its_own_last_good_version(root: Path, restart: Restart) -> None:
    """The others go on with what is written now; also after a restart; until it is mended."""
    path = root / "a.yaml"
    path.write_text(small("a", "suspend: true") + "---\n" + small("b"))
    source = restart()
    before = source.read_now()
    path.write_text(small("a", "suspend: Off") + "---\n" + small("b", "suspend: true"))
    for current in (source, restart()):
        reading = current.read_now()
        assert suspended(reading) == {"a": True, "b": True}
        assert [str(finding) for finding in reading.findings] == [
            "a.yaml:0:0: the last good version stays in force of a",
            (
                "a.yaml:7:12: spec.suspend: Off means different things to different YAML readers "
                "(expected true or false, or 'Off' in quotes if it is text)"
            ),
        ]
        assert reading.revision != before.revision
    path.write_text(small("a", "suspend: false") + "---\n" + small("b", "suspend: false"))
    assert suspended(restart().read_now()) == {"a": False, "b": False}


def test_document_that_was_never_good_is_not_in_force(root: Path, restart: Restart) -> None:
    """There is nothing to fall back to."""
    (root / "a.yaml").write_text(small("a", "suspend: Off"))
    (root / "b.yaml").write_text(small("b"))
    assert names(restart().read_now()) == ["b"]


def test_file_that_breaks_as_a_whole_keeps_all_of_it(root: Path, restart: Restart) -> None:
    """Which documents an unreadable text meant is unknown: none of them is gone."""
    path = root / "a.yaml"
    path.write_text(small("a") + "---\n" + small("b"))
    source = restart()
    source.read_now()
    for text in (b"", b"# gone\n", b"---\n", b"null\n", b"\xff\xfe", b"{", b"x" * 2_000_000):
        path.write_bytes(text)
        for current in (source, restart()):
            reading = current.read_now()
            assert names(reading) == ["a", "b"]
            assert len(reading.findings) >= 2


def test_document_that_is_gone_is_out_of_force(root: Path, restart: Restart) -> None:
    """Deleting a spec ends the management of its VM; nothing else could."""
    path = root / "a.yaml"
    path.write_text(small("a") + "---\n" + small("b"))
    (root / "c.yaml").write_text(small("c"))
    source = restart()
    assert names(source.read_now()) == ["a", "b", "c"]
    path.write_text(small("b"))
    assert names(source.read_now()) == ["b", "c"]
    path.unlink()
    assert names(source.read_now()) == ["c"]
    assert names(restart().read_now()) == ["c"]


def test_empty_and_missing_directory_keep_everything(root: Path, restart: Restart) -> None:
    """A volume that is not mounted looks like a wish for nothing."""
    path = root / "a.yaml"
    path.write_text(small("a"))
    source = restart()
    source.read_now()
    path.rename(root / "a.yaml.bak")
    for current in (source, restart()):
        reading = current.read_now()
        assert names(reading) == ["a"]
        assert ".:0:0: holds no YAML file; what was in force stays" in map(str, reading.findings)
    (root / "a.yaml.bak").unlink()
    root.rmdir()
    for current in (source, restart()):
        reading = current.read_now()
        assert names(reading) == ["a"]
        assert any("can't be read" in finding.message for finding in reading.findings)


def test_document_may_move_between_files(root: Path, restart: Restart) -> None:
    """Its identity is kind and name; while the old file is broken, the new place counts."""
    (root / "a.yaml").write_text(small("a"))
    source = restart()
    source.read_now()
    (root / "a.yaml").write_text("{\n")
    (root / "b.yaml").write_text(small("a", "suspend: true"))
    reading = source.read_now()
    assert suspended(reading) == {"a": True}
    assert reading.documents[0].file == "b.yaml"


def test_one_name_twice_is_given_twice(root: Path, restart: Restart) -> None:
    """Whoever resolves them freezes both; when one goes, the other is in force again."""
    (root / "a.yaml").write_text(small("a"))
    source = restart()
    source.read_now()
    (root / "b.yaml").write_text(small("a"))
    for current in (source, restart()):
        assert names(current.read_now()) == ["a", "a"]
    (root / "a.yaml").unlink()
    assert names(source.read_now()) == ["a"]


def test_cluster_in_a_placement_directory_is_refused(root: Path, restart: Restart) -> None:
    """The trust boundary, where it matters."""
    (root / "a.yaml").write_text(small("a") + "---\n" + CLUSTER)
    reading = restart().read_now()
    assert names(reading) == ["a"]
    assert "refused in a placement source" in reading.findings[0].message


def test_config_map_volume_is_read_once_a_file(root: Path, restart: Restart) -> None:
    """Kubernetes shows each file as a link by way of `..data` and swaps that link."""
    for generation, line in (("..1", "suspend: false"), ("..2", "suspend: true")):
        (root / generation).mkdir()
        (root / generation / "a.yaml").write_text(small("a", line))
        (root / "..data_tmp").symlink_to(generation)
        (root / "..data_tmp").rename(root / "..data")
        if generation == "..1":
            (root / "a.yaml").symlink_to("..data/a.yaml")
            source = restart()
        reading = source.read_now()
        assert reading.findings == ()
        assert suspended(reading) == {"a": generation == "..2"}


def test_directory_behind_a_link_is_followed_when_swapped(tmp_path: Path) -> None:
    """git-sync swaps the root itself."""
    for name, line in (("one", "suspend: false"), ("two", "suspend: true")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.yaml").write_text(small("a", line))
    root = tmp_path / "current"
    root.symlink_to("one")
    source = DirectorySource(root, tmp_path / "state")
    assert suspended(source.read_now()) == {"a": False}
    root.unlink()
    root.symlink_to("two")
    assert suspended(source.read_now()) == {"a": True}


def test_links_out_and_odd_files_are_refused(root: Path, tmp_path: Path, restart: Restart) -> None:
    """Whoever may write specs may not make the controller read other files, or wait for ever."""
    (tmp_path / "secret.yaml").write_text(small("secret"))
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x.yaml").write_text(small("outside"))
    (root / "a.yaml").write_text(small("a"))
    (root / "file.yaml").symlink_to(tmp_path / "secret.yaml")
    (root / "folder").symlink_to(tmp_path / "outside")
    (root / "loop").symlink_to(root)
    (root / "gone.yaml").symlink_to("nothing")
    os.mkfifo(root / "pipe.yaml")
    (root / "dir.yaml").mkdir()
    (root / "\x1b[31mred.yaml").write_text(small("red"))
    reading = restart().read_now()
    assert names(reading) == ["a"]
    assert [(f.file, f.message) for f in reading.findings] == [
        ("<U+001B>[31mred.yaml", "has a name that can't be shown"),
        ("file.yaml", "is a link out of the folder"),
        ("folder", "is a link out of the folder"),
        ("gone.yaml", "can't be read: No such file or directory"),
        ("loop", "is a link out of the folder"),
        ("pipe.yaml", "is not a file"),
    ]


def test_unreadable_file_keeps_its_documents(root: Path, restart: Restart) -> None:
    """A file that turns into something else is not a file that is gone."""
    path = root / "team" / "a.yaml"
    path.parent.mkdir()
    path.write_text(small("a"))
    (root / "b.yaml").write_text(small("b"))
    source = restart()
    source.read_now()
    path.unlink()
    os.mkfifo(path)
    assert names(source.read_now()) == ["a", "b"]
    path.unlink()
    path.parent.rmdir()
    path.parent.symlink_to("/")
    assert names(source.read_now()) == ["a", "b"]


def test_unchanged_files_are_not_read_again(
    root: Path, restart: Restart, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once no file is so young that its time stamp could hide a change, a look costs stats only."""
    monkeypatch.setattr(folder, "SETTLING_SECONDS", -1.0)
    (root / "a.yaml").write_text(small("a"))
    source = restart()
    first = source.read_now()
    assert source.read_now() is first
    (root / "a.yaml").write_text(small("a", "suspend: true"))
    assert suspended(source.read_now()) == {"a": True}


def test_young_files_are_read_again(root: Path, restart: Restart) -> None:
    """Two writes within one tick of the file system's clock, of one size, have equal stamps."""
    path = root / "a.yaml"
    path.write_text(small("a", "suspend: true "))
    source = restart()
    source.read_now()
    status = path.stat()
    with path.open("r+") as file:
        file.write(small("a", "suspend: false"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert suspended(source.read_now()) == {"a": False}


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"format": 1}', b"\xff"])
def test_damaged_store_is_told_and_not_believed(
    root: Path, tmp_path: Path, restart: Restart, damage: bytes
) -> None:
    """Good documents need no past; a bad one has lost its own."""
    (root / "a.yaml").write_text(small("a") + "---\n" + small("b"))
    restart().read_now()
    store = tmp_path / "state" / "last-good.json"
    good = store.read_bytes()
    for raw in (damage, good.replace(b"prod", b"prof"), good[:-20]):
        store.write_bytes(raw)
        (root / "a.yaml").write_text(small("a") + "---\n" + small("b", "suspend: Off"))
        reading = restart().read_now()
        assert names(reading) == ["a"]
        assert any("are lost" in finding.message for finding in reading.findings)


def test_store_that_can_not_be_written_is_told(root: Path, tmp_path: Path) -> None:
    """What is in force now goes on; that it would not survive a restart is said each time."""
    (root / "a.yaml").write_text(small("a"))
    (tmp_path / "state").write_text("a file where a folder should be")
    source = DirectorySource(root, tmp_path / "state")
    for _ in range(2):
        reading = source.read_now()
        assert names(reading) == ["a"]
        assert any("can't be kept over a restart" in f.message for f in reading.findings)


def test_version_that_is_good_no_longer_is_told(
    root: Path, restart: Restart, tmp_path: Path
) -> None:
    """A newer release may refuse what an older one took: nothing is believed unread."""
    (root / "a.yaml").write_text(small("a") + "---\n" + small("b"))
    restart().read_now()
    store = LastGood(tmp_path / "state")
    kept, _ = store.load()
    identity = ("VirtualMachinePlacement", "a")
    old = Kept(file="a.yaml", line=1, text=b"kind: VirtualMachinePlacement\n")
    store.keep({**kept, identity: old})
    (root / "a.yaml").write_text("{\n")
    reading = restart().read_now()
    assert names(reading) == ["b"]
    assert any("is good no longer" in finding.message for finding in reading.findings)


def test_revision_follows_what_is_in_force_only(root: Path, restart: Restart) -> None:
    """Moving a document to another file is no new revision; a changed one is."""
    (root / "a.yaml").write_text(small("a"))
    first = restart().read_now().revision
    (root / "a.yaml").rename(root / "z.yaml")
    assert restart().read_now().revision == first
    (root / "z.yaml").write_text(small("a", "suspend: true"))
    assert restart().read_now().revision != first


def test_reading_leaves_the_event_loop_free(root: Path, restart: Restart) -> None:
    """The port's own method gives the same."""
    (root / "a.yaml").write_text(small("a"))
    assert names(asyncio.run(restart().read())) == ["a"]
