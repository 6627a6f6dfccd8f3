"""A Git repository as a team has it, driven with git's own command."""

import hashlib
import os
import subprocess
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

PLAIN = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "anna",
    "GIT_AUTHOR_EMAIL": "anna@corp.example",
    "GIT_COMMITTER_NAME": "anna",
    "GIT_COMMITTER_EMAIL": "anna@corp.example",
}


class Repository:
    """A work tree with branch main; `bare` ones are served by git itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")

    @property
    def address(self) -> str:
        """As `--specs` takes it."""
        return f"git+file://{self.folder}"

    def git(self, *arguments: str, given: bytes | None = None, **more: str) -> str:
        """One git command; it must succeed."""
        done = subprocess.run(
            ["git", "-C", str(self.folder), *arguments],
            env=PLAIN | more,
            input=given,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def commit(self, files: Mapping[str, str | bytes | None], *options: str, **more: str) -> str:
        """Commit these files (None: gone) beside what is there; give the commit's id."""
        for name, text in files.items():
            path = self.folder / name
            if text is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", "change", *options, **more)
        return self.head()

    def write(self, kind: str, raw: bytes) -> str:
        """Write an object whatever it holds, as hostile clients do; give its id."""
        whole = f"{kind} {len(raw)}\0".encode() + raw
        identity = hashlib.sha1(whole).hexdigest()
        path = self.folder / ".git/objects" / identity[:2] / identity[2:]
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            path.write_bytes(zlib.compress(whole, 1))
        return identity

    def blob(self, content: bytes) -> str:
        """Write a file's content; give its id."""
        return self.write("blob", content)

    def tree(self, entries: Iterable[tuple[str, bytes, str]]) -> str:
        """Write a tree of mode, name and id as they are given."""
        return self.write(
            "tree",
            b"".join(
                mode.encode() + b" " + name + b"\0" + bytes.fromhex(identity)
                for mode, name, identity in entries
            ),
        )

    def commit_object(self, tree: str) -> str:
        """Commit this tree on main."""
        commit = self.git("commit-tree", tree, "-p", "refs/heads/main", "-m", "forged")
        self.git("update-ref", "refs/heads/main", commit)
        return commit

    def head(self) -> str:
        """The commit that main is at."""
        return self.git("rev-parse", "refs/heads/main")
