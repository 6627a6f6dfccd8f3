"""The sources of placements that an operator names, as one process keeps them open."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from controller.adapters.forge.commit_status import CommitStatus, Forge
from controller.adapters.specs.directory import DirectorySource
from controller.adapters.specs.git.address import is_address, parse_address
from controller.adapters.specs.git.source import GitSource
from controller.errors import SpecError


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecSources:
    """Folders and repositories, in the order in which they were named."""

    folders: tuple[DirectorySource, ...]
    repositories: tuple[GitSource, ...]

    def all(self) -> tuple[DirectorySource | GitSource, ...]:
        """Every source."""
        return (*self.folders, *self.repositories)

    def fetched(self) -> Mapping[str, datetime]:
        """When each repository last answered."""
        return {
            source.address.name: source.fetched_at
            for source in self.repositories
            if source.fetched_at is not None
        }

    def hints(self) -> Mapping[str, tuple[Path, Callable[[], None]]]:
        """Name -> file with the secret of its webhook, and what a genuine call brings about."""
        return {
            source.address.name: (source.address.files["webhook-secret"], source.hint)
            for source in self.repositories
            if "webhook-secret" in source.address.files
        }

    def statuses(self) -> tuple[CommitStatus, ...]:
        """Who tells a forge what became of its commits."""
        return tuple(
            CommitStatus(
                Forge(
                    source=address.name,
                    url=address.status,
                    token=address.files["status-token"],
                    ca=address.files.get("status-ca"),
                    proxy=address.proxy,
                )
            )
            for address in (source.address for source in self.repositories)
            if address.status is not None
        )

    def close(self) -> None:
        """End what runs beside."""
        for source in self.repositories:
            source.close()


def open_sources(specs: Sequence[str], state: Path) -> SpecSources:
    """Open what `--specs` names. Raises SpecError where that is neither folder nor repository."""
    addresses = [parse_address(text) for text in specs if is_address(text)]
    names = [address.name for address in addresses]
    for name in names:
        if names.count(name) > 1:
            raise SpecError(f"two repositories are called {name}; give one of them name=...")
    folders = [Path(text) for text in specs if not is_address(text)]
    for folder in folders:
        if not folder.is_dir():
            raise SpecError(f"--specs {folder} is no folder and no git+... address")
    return SpecSources(
        folders=tuple(
            DirectorySource(folder, _place(state, folder, len(folders))) for folder in folders
        ),
        repositories=tuple(GitSource(address, state / "git") for address in addresses),
    )


def _place(state: Path, folder: Path, folders: int) -> Path:
    """Where the last good versions of a folder are: beside one another when there are several."""
    if folders == 1:
        return state / "specs"
    return state / "specs" / hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
