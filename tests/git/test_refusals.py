"""What a Git repository must not bring about, each with the sentence that its author reads."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.adapters.specs.git.address import parse_address
from controller.adapters.specs.git.program import Limits
from controller.adapters.specs.git.source import GitSource
from controller.model.source import SourceRefusal
from controller.ports import SpecReading
from tests.support.repository import Repository
from tests.unit.specs.writing import CLUSTER, many, small

Follow = Callable[..., GitSource]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Five placements in force, in `prod`."""
    made = Repository(tmp_path / "placements")
    made.commit({f"prod/vm{i}.yaml": small(f"vm{i}") for i in range(5)})
    return made


@pytest.fixture
def follow(repository: Repository, tmp_path: Path) -> Follow:
    """A source as a fresh process has it: all that it knows of the past is on disk."""

    def make(options: str = "?path=prod", limits: Limits | None = None) -> GitSource:
        address = parse_address(f"{repository.address}{options}")
        return GitSource(address, tmp_path / "state", limits=limits)

    return make


def names(reading: SpecReading) -> list[str]:
    return [document.name for document in reading.documents]


def refused(source: GitSource, reason: SourceRefusal, *words: str) -> SpecReading:
    """Read once more: nothing changed but what is said, and that is one clear sentence."""
    before = source.read_now() if source.fetched_at is None else None
    reading = source.read_now()
    assert reading.state is not None
    assert reading.state.reason is reason, reading.state
    for word in words:
        assert word in reading.state.sentence()
    assert reading.findings
    assert before is None or before.documents == reading.documents
    return reading


def test_a_commit_comes_into_force_as_a_whole(repository: Repository, follow: Follow) -> None:
    """The revision is the one that Flux would show, and findings name the file in it."""
    reading = follow().read_now()
    assert names(reading) == ["vm0", "vm1", "vm2", "vm3", "vm4"]
    assert reading.revision == f"main@sha1:{repository.head()}"
    assert reading.findings == ()
    assert reading.documents[0].file == "placements:prod/vm0.yaml"


def test_one_bad_document_refuses_the_whole_commit_until_it_is_mended(
    repository: Repository, follow: Follow
) -> None:
    """Two files changed together are taken together, also after a restart."""
    source = follow()
    good = source.read_now()
    bad = {
        "prod/vm0.yaml": small("vm0", "suspend: true"),
        "prod/vm1.yaml": small("vm1", "supend: true"),
    }
    repository.commit(bad)
    for current in (source, follow()):
        reading = refused(current, SourceRefusal.INVALID, "placements:prod/vm1.yaml:7:3")
        assert reading.documents == good.documents
        assert reading.revision == good.revision
    repository.commit({"prod/vm1.yaml": small("vm1", "suspend: true")})
    reading = source.read_now()
    assert reading.findings == ()
    assert reading.revision == f"main@sha1:{repository.head()}"


@pytest.mark.parametrize(
    ("mode", "content", "words"),
    [
        ("120000", b"/etc/passwd", "prod/evil.yaml:0:0: is a symbolic link"),
        ("120000", b"../../..", "is a symbolic link"),
        ("160000", "1" * 40, "is a submodule or no file at all"),
        ("60000", "1" * 40, "is a submodule or no file at all"),
        ("100644", small("x").encode()[:-1], "the file ends within a line"),
        ("100644", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        ("100644", CLUSTER.encode(), "FailoverCluster says where credentials go"),
        ("100644", b"# nothing\n", "holds no document"),
        ("100644", b"x" * (1024 * 1024 + 1), "at most 1048576; split it"),
        ("100644", small("vm0").encode(), "VirtualMachinePlacement vm0 is also in"),
    ],
)
def test_what_stands_among_specs_and_is_none_refuses_the_commit(
    repository: Repository, follow: Follow, mode: str, content: bytes | str, words: str
) -> None:
    """Links, submodules, odd modes, cut, huge or foreign files: said by name, nothing done."""
    source = follow()
    good = source.read_now()
    identity = content if isinstance(content, str) else repository.blob(content)
    entries = [(mode, b"evil.yaml", identity)]
    for i in range(5):
        text = small(f"vm{i}", "suspend: true").encode()
        entries.append(("100644", f"vm{i}.yaml".encode(), repository.blob(text)))
    repository.commit_object(repository.tree([("40000", b"prod", repository.tree(entries))]))
    reading = source.read_now()
    assert reading.state is not None
    assert reading.state.reason in (
        SourceRefusal.UNSAFE, SourceRefusal.INVALID, SourceRefusal.UNREACHABLE
    )  # fmt: skip
    assert words in "\n".join(map(str, reading.findings))
    assert reading.documents == good.documents


def test_a_branch_that_is_set_back_changes_nothing(repository: Repository, follow: Follow) -> None:
    """A rewind and a rewritten history, also after a restart; a person's yes names the commit."""
    first = repository.head()
    repository.commit({"prod/vm0.yaml": small("vm0", "suspend: true")})
    source = follow()
    good = source.read_now()
    repository.git("reset", "--quiet", "--hard", first)
    for current in (source, follow()):
        assert refused(current, SourceRefusal.REWOUND, "set back").documents == good.documents
    rewritten = repository.commit({"prod/vm0.yaml": small("vm0")}, "--amend")
    assert refused(source, SourceRefusal.REWOUND, "rewritten").documents == good.documents
    reading = follow(f"?path=prod&accept={rewritten}").read_now()
    assert reading.revision == f"main@sha1:{rewritten}"


def test_a_commit_that_loses_most_placements_changes_nothing(
    repository: Repository, follow: Follow
) -> None:
    """A wrong path in a clean-up, say; `accept` names the commit where it is meant."""
    source = follow()
    good = source.read_now()
    gone = repository.commit({f"prod/vm{i}.yaml": None for i in range(3)})
    reading = refused(source, SourceRefusal.SHRUNKEN, "3 of 5 placements vanish (VM0, VM1, VM2")
    assert reading.documents == good.documents
    assert names(follow(f"?path=prod&accept={gone}").read_now()) == ["vm3", "vm4"]


@pytest.mark.parametrize("text", [None, "# nothing\n", "---\n"])
def test_an_empty_repository_is_a_mistake(
    repository: Repository, follow: Follow, text: str | None
) -> None:
    """All files gone, or nothing but comments."""
    source = follow()
    good = source.read_now()
    files: dict[str, str | None] = {f"prod/vm{i}.yaml": text for i in range(5)}
    repository.commit({**files, "prod/README": "moved away\n"})
    reading = source.read_now()
    assert reading.documents == good.documents
    assert reading.state is not None
    assert reading.state.reason in (SourceRefusal.EMPTY, SourceRefusal.INVALID)


def test_a_wrong_path_is_said(follow: Follow) -> None:
    """Nothing comes into force, and the path is named."""
    reading = refused(follow("?path=prd"), SourceRefusal.UNSAFE, "prd", "not in this revision")
    assert reading.documents == ()


def test_a_vanished_branch_or_repository_changes_nothing(
    repository: Repository, follow: Follow
) -> None:
    """Also after a restart with nothing to fetch from."""
    source = follow()
    good = source.read_now()
    repository.git("branch", "-m", "main", "trunk")
    assert refused(source, SourceRefusal.UNREACHABLE, "no branch main").documents == good.documents
    repository.folder.rename(repository.folder.with_name("elsewhere"))
    for current in (source, follow()):
        reading = current.read_now()
        assert reading.documents == good.documents
        assert reading.state is not None
        assert "there is no repository at" in reading.state.why


def test_a_vm_that_left_is_listed_and_comes_back(repository: Repository, follow: Follow) -> None:
    """No longer declared, since when; also after a restart; until it is declared again."""
    source = follow()
    source.read_now()
    commit = repository.commit({"prod/vm0.yaml": None})
    for current in (source, follow()):
        state = current.read_now().state
        assert state is not None
        (left,) = state.undeclared
        assert (left.vm, left.revision) == ("VM0", f"main@sha1:{commit}")
    repository.commit({"prod/vm0.yaml": small("vm0")})
    state = source.read_now().state
    assert state is not None
    assert state.undeclared == ()


def test_a_damaged_mirror_is_fetched_anew_and_nothing_is_forgotten(
    repository: Repository, follow: Follow, tmp_path: Path
) -> None:
    """It is a cache: objects cut to nothing, or all of it gone, cost a fetch and no memory."""
    first = repository.head()
    repository.commit({"prod/vm0.yaml": small("vm0", "suspend: true")})
    good = follow().read_now()
    (mirror,) = tmp_path.glob("state/*/mirror.git")
    for pack in mirror.glob("objects/pack/*.pack"):
        pack.chmod(0o600)
        pack.write_bytes(b"")
    assert follow().read_now().documents == good.documents
    repository.commit({"prod/vm1.yaml": small("vm1", "suspend: true")})
    source = follow()
    readings = [source.read_now() for _ in range(3)]
    assert readings[-1].revision == f"main@sha1:{repository.head()}"
    repository.git("reset", "--quiet", "--hard", first)
    assert refused(follow(), SourceRefusal.REWOUND).documents == readings[-1].documents


def test_what_a_killed_git_left_does_not_stop_the_next_one(
    repository: Repository, follow: Follow, tmp_path: Path
) -> None:
    """Locks of refs, and half a pack."""
    follow().read_now()
    (mirror,) = tmp_path.glob("state/*/mirror.git")
    for name in ("refs/ownernode/head.lock", "packed-refs.lock", "objects/pack/tmp_pack_x"):
        (mirror / name).write_text("half")
    repository.commit({"prod/vm0.yaml": small("vm0", "suspend: true")})
    assert follow().read_now().revision == f"main@sha1:{repository.head()}"
    assert not (mirror / "objects/pack/tmp_pack_x").exists()


def test_a_file_that_lost_its_end_is_not_taken(repository: Repository, follow: Follow) -> None:
    """A commit of an editor's half-written file that is good YAML."""
    repository.commit({"prod/many.yaml": many(3)})
    source = follow()
    good = source.read_now()
    cut = many(3)
    cut = cut[: cut.rindex("  suspend: true")]
    repository.commit({"prod/many.yaml": cut})
    reading = refused(source, SourceRefusal.INVALID, "as if the file was cut off")
    assert reading.documents == good.documents


def test_a_huge_history_is_refused(repository: Repository, follow: Follow) -> None:
    """The kernel keeps git from writing more than allowed; what was in force stays."""
    source = follow(limits=Limits(file_bytes=256 * 1024))
    good = source.read_now()
    noise = b"".join(i.to_bytes(4, "big") * 3 for i in range(0, 400_000_000, 1237))
    repository.commit({"big.bin": noise})
    reading = refused(source, SourceRefusal.UNREACHABLE, "larger than allowed")
    assert reading.documents == good.documents


class Time:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_the_repository_is_asked_when_it_is_time_and_on_a_hint(
    repository: Repository, tmp_path: Path
) -> None:
    """Never in between, and on a shower of hints every two seconds."""
    time = Time()
    source = GitSource(parse_address(repository.address), tmp_path / "state", seconds=time)

    async def until(commit: str) -> None:
        async with asyncio.timeout(30):
            while (await source.read()).revision != f"main@sha1:{commit}":
                pass  # each reading waits for the fetch that runs

    async def story() -> None:
        first = (await source.read()).revision
        second = repository.commit({"prod/vm0.yaml": small("vm0", "suspend: true")})
        time.seconds += 1
        assert (await source.read()).revision == first
        source.hint()
        await until(second)
        third = repository.commit({"prod/vm0.yaml": small("vm0", "suspend: false")})
        for _ in range(3):
            source.hint()
            assert (await source.read()).revision == f"main@sha1:{second}"
        time.seconds += 2
        await until(third)
        fourth = repository.commit({"prod/vm1.yaml": small("vm1", "suspend: true")})
        time.seconds += 67  # a minute, and the ten percent of chance
        await until(fourth)

    asyncio.run(story())
    source.close()
