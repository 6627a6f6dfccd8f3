"""The controller dies at each port call in turn; the next goes on, and the cluster never notices.

Or it is shown what is no longer so. Whatever the moment: no VM has two effects from one intent,
each lost command is in the end made good, and the end is that of the run without a death.
"""

import random
from functools import cache

import pytest

from tests.crash.campaign import End, play

# Spread over the workers of xdist; each takes every SHARES-th moment.
SHARES = 8
PAIRS = 1000


@cache
def undisturbed() -> End:
    return play()


def test_the_reference_run_is_worth_dying_in() -> None:
    """It moves, hops, registers, creates and starts, and passes through every port."""
    end = undisturbed()
    ports = {moment.removesuffix(" done") for moment in end.moments}
    assert ports == {
        "actuator.claim",
        "actuator.submit Create",
        "actuator.submit Move",
        "actuator.submit Register",
        "actuator.submit Start",
        "clock.now",
        "clock.sleep",
        "journal.keep",
        "journal.load",
        "journal.open_intent",
        "observer.observe",
        "specs.read",
    }
    assert dict(end.moves_of_ours)["SQL01"] + dict(end.moves_of_ours)["SQL02"] == 3


@pytest.mark.timeout(600)
@pytest.mark.parametrize("share", range(SHARES))
def test_a_death_at_any_port_call_changes_nothing_in_the_end(share: int) -> None:
    """Every moment, one run each."""
    for number in range(share, len(undisturbed().moments), SHARES):
        judge(play(number))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("share", range(SHARES))
def test_no_stale_answer_and_no_hidden_moment_changes_the_end(share: int) -> None:
    """Each answer of a node the one before, and each look in whole that of the look before."""
    for number in range(share, undisturbed().answers, SHARES):
        judge(play(stale={number: 1}))
    for number in range(share, undisturbed().looks, SHARES):
        judge(play(hidden=number))


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("share", range(SHARES))
def test_no_answer_however_old_changes_the_end(share: int) -> None:
    """Each answer replaced by each of the four before its last."""
    for number in range(share, undisturbed().answers, SHARES):
        for ago in range(2, 6):
            judge(play(stale={number: ago}))


@pytest.mark.campaign
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("share", range(SHARES))
def test_two_deaths_change_nothing_either(share: int) -> None:
    """A thousand pairs of moments, drawn by a seed: the second may strike during the recovery."""
    chance = random.Random(share)
    last = len(undisturbed().moments)
    for _ in range(PAIRS // SHARES):
        first = chance.randrange(last)
        judge(play(first, first + chance.randrange(1, last)))


def judge(end: End) -> None:
    """The same VMs in the same state, and no move more or less."""
    wanted = undisturbed()
    assert end.vms == wanted.vms, end.log
    assert end.moves_of_ours == wanted.moves_of_ours, end.log
