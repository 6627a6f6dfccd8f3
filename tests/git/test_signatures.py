"""Only what a trusted key signed comes into force, whatever git prints about a signature."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller.adapters.specs.git.address import parse_address
from controller.adapters.specs.git.source import GitSource
from controller.model.source import SourceRefusal
from controller.ports import SpecReading
from tests.support.repository import Repository
from tests.unit.specs.writing import small

Follow = Callable[[str], GitSource]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Two placements, committed without a signature."""
    made = Repository(tmp_path / "placements")
    made.commit({"vm0.yaml": small("vm0"), "vm1.yaml": small("vm1")})
    return made


@pytest.fixture
def follow(repository: Repository, tmp_path: Path) -> Follow:
    """A source with these options."""
    return lambda options: GitSource(
        parse_address(f"{repository.address}?{options}"), tmp_path / "state"
    )


@pytest.fixture
def gnupg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A GnuPG home with the keys of anna and of mallory; its agent ends with the test."""
    if shutil.which("gpg") is None:
        pytest.skip("no gpg here: apt install gnupg")
    # Sockets of the agent lie in it, and their paths may have 107 characters (unix(7)).
    home = tmp_path_factory.mktemp("g")
    home.chmod(0o700)
    for name in ("anna", "mallory"):
        gpg(
            home,
            "--quick-generate-key",
            f"{name} <{name}@corp.example>",
            "ed25519",
            "sign",
            "never",
        )
    yield home
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)


def gpg(home: Path, *arguments: str) -> bytes:
    command = ["gpg", "--homedir", str(home), "--batch", "--passphrase", "", "--quiet", *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


@pytest.fixture
def ssh_keys(tmp_path: Path) -> Path:
    """A folder with ssh keys of anna and of mallory, and the signers that are trusted: anna."""
    folder = tmp_path / "keys"
    folder.mkdir()
    for name in ("anna", "mallory"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", folder / name],
            check=True,
        )
    public = (folder / "anna.pub").read_text()
    (folder / "signers").write_text(f'anna@corp.example namespaces="git" {public}')
    return folder


def with_ssh(keys: Path, name: str) -> tuple[str, ...]:
    return ("-c", "gpg.format=ssh", "-c", f"user.signingkey={keys / name}")


def sign(repository: Repository, settings: tuple[str, ...], text: str, **more: str) -> str:
    (repository.folder / "vm0.yaml").write_text(text)
    repository.git("add", "--all")
    repository.git(*settings, "commit", "--quiet", "--allow-empty", "-S", "-m", "signed", **more)
    return repository.head()


def is_unsigned(reading: SpecReading) -> bool:
    state = reading.state
    return state is not None and state.reason is SourceRefusal.UNSIGNED and bool(reading.findings)


def test_ssh_signatures(repository: Repository, follow: Follow, ssh_keys: Path) -> None:
    """Unsigned and foreign-signed commits stay out; a trusted key's comes in, then no other."""
    source = follow(f"allowed-signers={ssh_keys}/signers")
    reading = source.read_now()
    assert is_unsigned(reading)
    assert reading.documents == ()
    sign(repository, with_ssh(ssh_keys, "mallory"), small("vm0", "suspend: true"))
    assert is_unsigned(source.read_now())
    trusted = sign(repository, with_ssh(ssh_keys, "anna"), small("vm0", "suspend: true"))
    good = source.read_now()
    assert good.revision == f"main@sha1:{trusted}"
    repository.commit({"vm1.yaml": small("vm1", "suspend: true")})
    reading = source.read_now()
    assert is_unsigned(reading)
    assert reading.documents == good.documents


def test_gpg_signatures(
    repository: Repository, follow: Follow, gnupg: Path, tmp_path: Path
) -> None:
    """As with ssh keys; a key that only the machine's user trusts counts nothing."""
    keys = tmp_path / "trusted"
    keys.mkdir()
    (keys / "anna.asc").write_bytes(gpg(gnupg, "--armor", "--export", "anna@corp.example"))
    source = follow(f"gpg-keys={keys}")
    assert is_unsigned(source.read_now())
    for name, is_trusted in (("mallory", False), ("anna", True)):
        settings = ("-c", f"user.signingkey={name}@corp.example")
        text = small("vm0", "suspend: true", vm=name.upper())
        commit = sign(repository, settings, text, GNUPGHOME=str(gnupg))
        reading = source.read_now()
        assert is_unsigned(reading) is not is_trusted
        assert (reading.revision == f"main@sha1:{commit}") is is_trusted
    settings = ("-c", "user.signingkey=mallory@corp.example")
    sign(repository, settings, small("vm0"), GNUPGHOME=str(gnupg))
    assert is_unsigned(source.read_now())
    mallory = gpg(gnupg, "--armor", "--export", "mallory@corp.example")
    (keys / "mallory.asc").write_bytes(mallory)
    assert source.read_now().revision == f"main@sha1:{repository.head()}"


def test_a_signature_of_the_other_kind_counts_nothing(
    repository: Repository, follow: Follow, ssh_keys: Path, tmp_path: Path
) -> None:
    """Trusted GPG keys say nothing about an ssh signature."""
    (tmp_path / "none.asc").write_text("")
    sign(repository, with_ssh(ssh_keys, "anna"), small("vm0"))
    assert is_unsigned(follow(f"gpg-keys={tmp_path}/none.asc").read_now())


def test_a_tag_is_verified_by_its_own_signature(
    repository: Repository, follow: Follow, ssh_keys: Path
) -> None:
    """A tag without one, or that only points at a commit, is not taken."""
    options = f"tag=v1&allowed-signers={ssh_keys}/signers"
    repository.git("tag", "v1")
    assert is_unsigned(follow(options).read_now())
    repository.git("tag", "-f", "-m", "release", "v1")
    assert is_unsigned(follow(options).read_now())
    repository.git(*with_ssh(ssh_keys, "mallory"), "tag", "-f", "-s", "-m", "release", "v1")
    assert is_unsigned(follow(options).read_now())
    repository.git(*with_ssh(ssh_keys, "anna"), "tag", "-f", "-s", "-m", "release", "v1")
    assert follow(options).read_now().revision == f"v1@sha1:{repository.head()}"


def test_a_pinned_commit_is_read_as_that_commit(repository: Repository, follow: Follow) -> None:
    """Whatever the branch does; and one that is not there is said to be missing."""
    first = repository.head()
    repository.commit({"vm0.yaml": small("vm0", "suspend: true")})
    assert follow(f"commit={first}").read_now().revision == f"sha1:{first}"
    reading = follow(f"commit={'0' * 39}1").read_now()
    assert reading.state is not None
    assert "has no commit 0000" in reading.state.why
