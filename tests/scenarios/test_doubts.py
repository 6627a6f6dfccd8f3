"""What Windows does where no source settles it is played both ways: the stories must end the same.

`make test` plays each other choice in every eighth story, `make campaign` in all of them. The logs
differ, of course; ends and invariants must not.
"""

from dataclasses import replace
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from controller.simulator.doubts import Doubts
from tests.scenarios.play import Play, Scenario
from tests.scenarios.test_scenarios import FOLDERS, check_ends
from tests.support.virtual_time import run_virtual

SHARE = 8
CHOICES = [
    (doubt, choice)
    for doubt, hint in get_type_hints(Doubts).items()
    for choice in get_args(hint)
    if choice != getattr(Doubts(), doubt)
]
# With it no cmdlet that moves or registers works at all: no story can end well.
CHOICES.remove(("role_cmdlets_over_winrm", "refused"))
# The broken migration arrives after all, so there is no second try to count.
ANOTHER_STORY = ("failed_migration_leaves_vm", "on_target", "migration_fails_once")


@pytest.mark.parametrize(("doubt", "choice"), CHOICES)
def test_another_windows_gives_the_same_ends(doubt: str, choice: object, tmp_path: Path) -> None:
    """A share of the stories, another one for each choice."""
    first = CHOICES.index((doubt, choice)) % SHARE
    play_all(FOLDERS[first::SHARE], doubt, choice, tmp_path)


@pytest.mark.campaign
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("doubt", "choice"), CHOICES)
def test_another_windows_in_every_story(doubt: str, choice: object, tmp_path: Path) -> None:
    """All of them."""
    play_all(FOLDERS, doubt, choice, tmp_path)


def play_all(folders: list[Path], doubt: str, choice: object, place: Path) -> None:
    """Play each story in a world where this one doubt is settled the other way."""
    for folder in folders:
        if (doubt, choice, folder.name) == ANOTHER_STORY:
            continue
        scenario = Scenario.load(folder)
        doubts = {**scenario.world.get("doubts", {}), doubt: choice}
        scenario = replace(scenario, world={**scenario.world, "doubts": doubts})
        play = Play(scenario, place / folder.name)
        try:
            run_virtual(play.run())
            check_ends(play, scenario.ends)
        except Exception as error:
            error.add_note("\n".join((folder.name, *play.narrator.lines)))
            raise
