"""Thousands of repositories that nobody should take: none changes what is in force by one field."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from controller.adapters.specs.git.address import parse_address
from controller.adapters.specs.git.judge import InForce, NotTaken, judge
from controller.adapters.specs.git.program import Limits
from controller.adapters.specs.git.source import GitSource
from controller.model.document import Document
from tests.git.hostile import Entry, forge
from tests.support.repository import Repository
from tests.unit.specs.writing import small

LIMITS = Limits(listing_bytes=2 * 1024**2, read_seconds=20, fetch_seconds=60)
VMS = 40


def models(documents: Sequence[Document]) -> list[object]:
    return [document.model for document in documents]


def play_hostile(tmp_path: Path, seed: int, count: int) -> dict[str, int]:
    """Offer that many forged commits one after another; give how often each reason was told."""
    random = Random(seed)
    repository = Repository(tmp_path / "placements")
    good = repository.commit({f"prod/vm{i}.yaml": small(f"vm{i}") for i in range(5)})
    entries: list[Entry] = [
        ("100644", f"vm{i}.yaml".encode(), repository.blob(small(f"vm{i}").encode()))
        for i in range(5)
    ]
    source = GitSource(
        parse_address(f"{repository.address}?path=prod"), tmp_path / "state", limits=LIMITS
    )
    before = models(source.read_now().documents)
    assert len(before) == 5
    told: dict[str, int] = {}
    for number in range(count):
        commit = forge(repository, entries, good, random)
        (repository.folder / ".git/refs/heads/main").write_text(f"{commit}\n")
        reading = source.read_now()
        state = reading.state
        assert state is not None
        declared = [m for m in models(reading.documents) if m in before]
        assert declared == before, f"seed {seed}, commit {number}: {state}"
        reason = state.reason.value if state.reason is not None else "taken"
        told[reason] = told.get(reason, 0) + 1
        if state.reason is None:
            # Only what is harmless beside the specs, or one more good placement in them.
            assert len(reading.documents) <= len(before) + 1
            source = GitSource(source.address, tmp_path / f"state{number}", limits=LIMITS)
            (repository.folder / ".git/refs/heads/main").write_text(f"{good}\n")
            source.read_now()
        else:
            sentence = state.sentence()
            assert sentence.isprintable()
            assert len(sentence) < 700, sentence
            assert reading.findings
    return told


def test_hostile_trees_change_nothing(tmp_path: Path) -> None:
    """Links, bombs, odd names and modes, cut objects: one clear sentence each."""
    told = play_hostile(tmp_path, seed=1, count=40)
    assert {"Unsafe", "Invalid", "Unreachable"} <= set(told), told


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(2, 22))
def test_two_thousand_hostile_trees(tmp_path: Path, seed: int) -> None:
    """The same, a hundred at a time."""
    print(seed, play_hostile(tmp_path, seed=seed, count=100))


def in_force(text: str) -> InForce:
    return judge("team", ("main@sha1:1", "1"), {"all.yaml": text.encode()}, None, approved=False)


def file_of(node: str) -> str:
    """40 VMs in one file, with lists that are good YAML wherever a line ends."""
    lines = ("owners:", f"  preferred: [{node}]", "  possible:", f"    - {node}", "    - HV02")
    return "---\n".join(small(f"vm{i:02}", *lines) for i in range(VMS))


def cut_committed(step: int, begin: str, text: str) -> tuple[int, int, int]:
    """Commit the text cut at every `step`th byte; give cuts, those taken, and wrong documents.

    A document is wrong when it is neither as it was nor as it was meant.
    """
    before = in_force(begin)
    right = {*models_by_name(begin).items(), *models_by_name(text).items()}
    cuts = taken = wrong = 0
    for end in range(0, len(text), step):
        cuts += 1
        files = {"all.yaml": text[:end].encode()}
        try:
            force = judge("team", ("main@sha1:2", "2"), files, before, approved=False)
        except NotTaken:
            continue
        taken += 1
        bad = [d for d in force.documents if (d.name, str(d.model)) not in right]
        assert len(bad) <= 1, f"cut at byte {end} spoils {len(bad)} documents"
        wrong += len(bad)
    return cuts, taken, wrong


def models_by_name(text: str) -> dict[str, str]:
    return {document.name: str(document.model) for document in in_force(text).documents}


@pytest.mark.parametrize("step", [61, pytest.param(1, marks=pytest.mark.campaign)])
def test_a_file_cut_at_any_byte_spoils_nothing(step: int) -> None:
    """Committed by mistake: at most the last two VMs are no longer declared, and none differs."""
    cuts, taken, wrong = cut_committed(step, file_of("HV01"), file_of("HV01"))
    print(f"{cuts} cuts of an unchanged file: {taken} taken, {wrong} wrong documents")
    assert wrong == 0
    assert taken < cuts / 20


@pytest.mark.parametrize("step", [61, pytest.param(1, marks=pytest.mark.campaign)])
def test_a_changed_file_cut_at_any_byte_spoils_one_document_at_most(step: int) -> None:
    """Nothing tells a cut from a wish there: one VM, and the canary is as many."""
    cuts, taken, wrong = cut_committed(step, file_of("HV01"), file_of("HV03"))
    print(f"{cuts} cuts of a changed file: {taken} taken, {wrong} wrong documents")
    assert wrong <= taken


@pytest.mark.parametrize("count", [6, pytest.param(400, marks=pytest.mark.campaign)])
def test_a_mirror_that_is_cut_or_flipped_gives_one_commit_or_the_other(
    tmp_path: Path, count: int
) -> None:
    """A disk or a kill may leave anything in it: what is in force is one revision, whole."""
    random = Random(7)
    repository = Repository(tmp_path / "placements")
    versions = []
    for suspend in ("true", "false"):
        files = {f"vm{i}.yaml": small(f"vm{i}", f"suspend: {suspend}") for i in range(5)}
        versions.append(repository.commit(files))
    for number in range(count):
        (repository.folder / ".git/refs/heads/main").write_text(f"{versions[0]}\n")
        state = tmp_path / f"state{number}"
        source = GitSource(parse_address(repository.address), state)
        source.read_now()
        (repository.folder / ".git/refs/heads/main").write_text(f"{versions[1]}\n")
        if number % 2:
            spoil(state, random)
            source = GitSource(source.address, state)
            reading = source.read_now()
        else:
            reading = source.read_now()
            spoil(state, random)
            reading = GitSource(source.address, state).read_now()
        suspended = {d.model.model_dump()["spec"]["suspend"] for d in reading.documents}
        assert len(suspended) == 1
        assert len(reading.documents) == 5
        again = [GitSource(source.address, state).read_now() for _ in range(2)][-1]
        assert again.revision == f"main@sha1:{versions[1]}", again.findings


def spoil(state: Path, random: Random) -> None:
    """Cut or change one file of the mirror."""
    (mirror,) = state.glob("*/mirror.git")
    files = sorted(p for p in mirror.rglob("*") if p.is_file() and p.stat().st_size)
    path = random.choice(files)
    path.chmod(0o600)
    raw = bytearray(path.read_bytes())
    if random.random() < 0.5:
        del raw[random.randrange(len(raw)) :]
    else:
        raw[random.randrange(len(raw))] ^= 1 << random.randrange(8)
    path.write_bytes(bytes(raw))


def test_git_of_the_machine_decides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a user's configuration nor git's variables reach it."""
    home = tmp_path / "home"
    home.mkdir()
    marker = tmp_path / "marker"
    (home / ".gitconfig").write_text(
        f'[core]\n\tsshCommand = touch {marker}\n[url "file:///nowhere"]\n\tinsteadOf = file://\n'
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", f"touch {marker}")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "url.file:///nowhere.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "file://")
    repository = Repository(tmp_path / "placements")
    commit = repository.commit({"vm0.yaml": small("vm0")})
    seen = subprocess.run(["git", "config", "--get-regexp", "insteadof"], capture_output=True)
    assert seen.returncode == 0, "the machine's git is not set up as this test wants it"
    reading = GitSource(parse_address(repository.address), tmp_path / "state").read_now()
    assert reading.revision == f"main@sha1:{commit}"
    assert not marker.exists()
