"""A bare mirror of one ref of a repository: fetched, verified, and read by hash.

It is a cache. What is in force is kept elsewhere (`accepted`), so a mirror that is damaged, or was
left half-written by a kill, is thrown away and fetched again.
"""

import hashlib
import logging
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from controller.adapters.specs.git.address import Address, RefKind
from controller.adapters.specs.git.program import Git, Limits, Ran
from controller.adapters.specs.git.sentences import sentence
from controller.adapters.specs.git.tree import Entry, Listing, parse_listing
from controller.adapters.specs.yaml_text import FILE_BYTES_MAX
from controller.errors import SpecError
from controller.model.source import SourceRefusal

log = logging.getLogger(__name__)

_HEAD = "refs/ownernode/head"
_COMMIT = re.compile(b"[0-9a-f]{40}(?:[0-9a-f]{24})?\n")


class Refused(Exception):
    """The newest revision can't be had or is not taken; the message is for a person."""

    def __init__(self, reason: SourceRefusal, why: str) -> None:
        super().__init__(why)
        self.reason = reason


class Mirror:
    """What is known of the repository; every call may take as long as its limit."""

    def __init__(self, address: Address, home: Path, limits: Limits) -> None:
        self._address = address
        self._home = home
        self._limits = limits
        self._git = Git(address, home, limits)
        self._rebuilt = False

    def close(self) -> None:
        """End what runs."""
        self._git.close()

    def fetch(self) -> str:
        """Fetch the ref and give the commit that it means now. Raises Refused."""
        self._prepare()
        ran = self._git.run(
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            self._address.url,
            f"+{self._remote_ref()}:{_HEAD}",
            seconds=self._limits.fetch_seconds,
        )
        if ran.status != 0:
            why = sentence(ran, self._address)
            if why.is_local and not self._rebuilt:
                self._rebuild(why.text)
                return self.fetch()
            raise Refused(SourceRefusal.UNREACHABLE, why.text)
        peeled = self._read("rev-parse", "--verify", f"{_HEAD}^{{commit}}")
        if not _COMMIT.fullmatch(peeled.out):
            raise Refused(SourceRefusal.UNREACHABLE, f"{self._address.ref} names no commit")
        self._rebuilt = False
        return peeled.out.decode().strip()

    def is_descendant(self, commit: str, of: str) -> bool:
        """Whether one commit follows another; False too where the other is unknown here."""
        return self._read("merge-base", "--is-ancestor", of, commit).status == 0

    def is_signed(self, commit: str) -> bool:
        """Whether a trusted key signed it: the commit, or the tag that names it.

        Only the exit status counts: git prints "Good signature" for keys that nobody trusts.
        """
        self._fill_keyring()
        if self._address.kind is RefKind.TAG:
            named = self._read("rev-parse", "--verify", _HEAD).out.decode().strip()
            return self._read("verify-tag", named).status == 0
        return self._read("verify-commit", commit).status == 0

    def list_specs(self, commit: str) -> Listing:
        """The spec files of a commit. Raises Refused where the list itself is out of bounds."""
        ran = self._git.run(
            "ls-tree",
            "-r",
            "-z",
            "--full-tree",
            commit,
            "--",
            *self._address.paths,
            seconds=self._limits.read_seconds,
            bytes_max=self._limits.listing_bytes,
        )
        if ran.overrun:
            raise Refused(SourceRefusal.UNSAFE, "its list of files is without end")
        self._expect_good(ran, "list its files")
        return parse_listing(ran.out, self._address.paths)

    def read_blobs(self, entries: Sequence[Entry]) -> Mapping[str, bytes]:
        """The content of each file by its path. Raises Refused where that is too much."""
        sizes = self._sizes(entries)
        for entry in entries:
            if sizes[entry.blob] > FILE_BYTES_MAX:
                what = f"{entry.path} has {sizes[entry.blob]} bytes"
                raise Refused(SourceRefusal.UNSAFE, f"{what}, at most {FILE_BYTES_MAX}; split it")
        total = sum(sizes[entry.blob] for entry in entries)
        if total > self._limits.specs_bytes:
            most = self._limits.specs_bytes
            raise Refused(
                SourceRefusal.UNSAFE, f"its spec files have {total} bytes, at most {most}"
            )
        wanted = sorted(sizes)
        ran = self._git.run(
            "cat-file",
            "--batch=%(objectname) %(objectsize)",
            given="".join(f"{blob}\n" for blob in wanted).encode(),
            seconds=self._limits.read_seconds,
            bytes_max=self._limits.specs_bytes + 128 * len(wanted) + 1,
        )
        self._expect_good(ran, "read its files")
        contents = _contents(ran.out)
        return {entry.path: contents[entry.blob] for entry in entries}

    def _sizes(self, entries: Sequence[Entry]) -> Mapping[str, int]:
        """Asked before anything is read: a small pack can hold a file of many gigabytes."""
        ran = self._git.run(
            "cat-file",
            "--batch-check=%(objectname) %(objecttype) %(objectsize)",
            given="".join(f"{entry.blob}\n" for entry in entries).encode(),
            seconds=self._limits.read_seconds,
            bytes_max=128 * len(entries) + 1,
        )
        self._expect_good(ran, "find its files")
        found = [line.split(" ") for line in ran.out.decode().splitlines()]
        if any(len(words) != 3 or words[1] != "blob" for words in found):
            self._rebuild("files of the revision are missing")
            raise Refused(SourceRefusal.UNREACHABLE, "the local mirror is damaged; fetched anew")
        return {name: int(size) for name, _, size in found}

    def _expect_good(self, ran: Ran, doing: str) -> None:
        if ran.status != 0:
            why = sentence(ran, self._address).text
            self._rebuild(why)
            raise Refused(SourceRefusal.UNREACHABLE, f"git could not {doing}: {why}")

    def _read(self, *arguments: str) -> Ran:
        return self._git.run(*arguments, seconds=self._limits.read_seconds)

    def _remote_ref(self) -> str:
        match self._address.kind:
            case RefKind.BRANCH:
                return f"refs/heads/{self._address.ref}"
            case RefKind.TAG:
                return f"refs/tags/{self._address.ref}"
            case RefKind.COMMIT:
                return self._address.ref

    def _prepare(self) -> None:
        """Make the mirror, or clear what a killed git left in it. One process writes here."""
        mirror = self._git.mirror
        if not (mirror / "HEAD").is_file():
            shutil.rmtree(mirror, ignore_errors=True)
            mirror.mkdir(parents=True, mode=0o700)
            ran = self._git.run("init", "--quiet", "--bare", "--template=", seconds=30)
            if ran.status != 0:
                raise SpecError(f"{mirror} can't be made: {sentence(ran, self._address).text}")
        for left in (*mirror.glob("*.lock"), *mirror.glob("refs/**/*.lock")):
            left.unlink(missing_ok=True)
        for left in mirror.glob("objects/pack/tmp_*"):
            left.unlink(missing_ok=True)

    def _rebuild(self, why: str) -> None:
        log.warning(
            "The mirror of a source is thrown away",
            extra={"source": self._address.name, "reason": why},
        )
        self._rebuilt = True
        shutil.rmtree(self._git.mirror, ignore_errors=True)

    def _fill_keyring(self) -> None:
        """A keyring that holds the operator's keys and no other, made anew when they change."""
        keyring, keys = self._git.keyring, self._address.files.get("gpg-keys")
        text = _key_bytes(keys) if keys is not None else b""
        stamp = keyring / "keys.sha256"
        digest = hashlib.sha256(text).hexdigest()
        if stamp.is_file() and stamp.read_text() == digest:
            return
        shutil.rmtree(keyring, ignore_errors=True)
        keyring.mkdir(parents=True, mode=0o700)
        (keyring / "gpg.conf").write_text("no-autostart\nno-auto-key-retrieve\nbatch\n")
        if text and not self._git.import_keys(text):
            raise Refused(SourceRefusal.UNSIGNED, f"{keys} holds no GPG keys that can be read")
        stamp.write_text(digest)


def _key_bytes(keys: Path) -> bytes:
    """The file, or every `.asc` of the folder."""
    try:
        files = sorted(keys.glob("*.asc")) if keys.is_dir() else [keys]
        return b"\n".join(file.read_bytes() for file in files)
    except OSError as error:
        raise Refused(SourceRefusal.UNSIGNED, f"{keys} can't be read: {error.strerror}") from error


def _contents(raw: bytes) -> dict[str, bytes]:
    """Blob -> content, of `git cat-file --batch`: a line with name and size, then the bytes."""
    found: dict[str, bytes] = {}
    at = 0
    while at < len(raw):
        end = raw.index(b"\n", at)
        name, size = raw[at:end].decode("ascii").split(" ")
        found[name] = raw[end + 1 : end + 1 + int(size)]
        at = end + int(size) + 2
    return found
