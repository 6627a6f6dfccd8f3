"""Nothing is done to nodes on which `doctor` would find a fault, and mending it is enough."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from controller.engine.fitness import AGAIN_SECONDS, Fitness
from controller.model.checkup import Check, CheckName, CheckResult
from controller.model.desired import DesiredState
from controller.model.policy import Mode
from tests.builders import desired_state, node, observed, policy
from tests.support.virtual_time import VirtualClock, run_virtual

GOOD = Check(node="HV01", name=CheckName.POWERSHELL, result=CheckResult.PASS, found="5.1.1")
BAD = replace(GOOD, result=CheckResult.FAIL, found="4.0, not 5.1")
WARNING = replace(GOOD, name=CheckName.QUOTAS, result=CheckResult.WARN)
ENFORCE, OBSERVE = desired_state(), desired_state(policy=policy(mode=Mode.OBSERVE))


class Doctor:
    """Says one thing after the other, the last one for ever."""

    def __init__(self, *said: Sequence[Check]) -> None:
        self.said = list(said)
        self.asked = 0

    async def __call__(self, _: DesiredState) -> tuple[Check, ...]:
        said = self.said[min(self.asked, len(self.said) - 1)]
        self.asked += 1
        return tuple(said)


def test_a_cluster_that_passes_is_examined_once() -> None:
    """A warning holds nothing, and what was fit is not asked again and again."""

    async def story() -> None:
        doctor = Doctor([GOOD, WARNING])
        fitness = Fitness(doctor, VirtualClock())
        for _ in range(3):
            assert await fitness.failed(ENFORCE) == ()
            await asyncio.sleep(AGAIN_SECONDS)
        assert doctor.asked == 1

    run_virtual(story())


def test_a_fault_that_is_mended_releases_by_itself() -> None:
    """Examined again after some minutes, not at each cycle."""

    async def story() -> None:
        doctor = Doctor([GOOD, BAD], [GOOD])
        fitness = Fitness(doctor, VirtualClock())
        assert await fitness.failed(ENFORCE) == (BAD,)
        await asyncio.sleep(AGAIN_SECONDS - 1)
        assert await fitness.failed(ENFORCE) == (BAD,)
        assert doctor.asked == 1
        await asyncio.sleep(1)
        assert await fitness.failed(ENFORCE) == ()

    run_virtual(story())


def test_in_observe_nobody_is_examined() -> None:
    """Who only looks needs nothing of the kind."""

    async def story() -> None:
        doctor = Doctor([BAD])
        assert await Fitness(doctor, VirtualClock()).failed(OBSERVE) == ()
        assert doctor.asked == 0

    run_virtual(story())


def test_a_node_that_answers_after_all_is_examined_at_once() -> None:
    """A wrong password was put right: nobody waits minutes, and no node is left unexamined."""

    async def story() -> None:
        shut = replace(BAD, name=CheckName.LOG_ON, node="hv01.corp.example")
        other = replace(GOOD, node="HV02")
        doctor = Doctor([shut, other], [GOOD, other])
        fitness = Fitness(doctor, VirtualClock())
        assert await fitness.failed(ENFORCE) == (shut,)
        fitness.notices_new(observed(node("HV01", answered=False), node("HV02")))
        assert await fitness.failed(ENFORCE) == (shut,)
        fitness.notices_new(observed(node("HV01"), node("HV02")))
        assert await fitness.failed(ENFORCE) == ()

    run_virtual(story())


def test_a_node_that_joins_later_is_examined_when_it_is_first_seen() -> None:
    """A new node was taken for fit until the next restart."""

    async def story() -> None:
        old = replace(BAD, node="HV02")
        doctor = Doctor([GOOD], [GOOD, old])
        fitness = Fitness(doctor, VirtualClock())
        assert await fitness.failed(ENFORCE) == ()
        assert not fitness.notices_new(observed(node("HV01")))
        assert not fitness.notices_new(observed(node("HV01"), node("HV02", answered=False)))
        assert fitness.notices_new(observed(node("HV01"), node("HV02")))
        assert await fitness.failed(ENFORCE) == (old,)
        assert not fitness.notices_new(observed(node("HV01"), node("HV02")))
        assert doctor.asked == 2

    run_virtual(story())


def test_a_node_that_no_examination_finds_is_not_fit() -> None:
    """It answers, and the nodes that were asked know nothing of it: once, not at each look."""

    async def story() -> None:
        doctor = Doctor([GOOD])
        fitness = Fitness(doctor, VirtualClock())
        assert await fitness.failed(ENFORCE) == ()
        assert fitness.notices_new(observed(node("HV01"), node("HV02")))
        (missed,) = await fitness.failed(ENFORCE)
        assert (missed.node, missed.name) == ("HV02", CheckName.CLUSTER)
        assert not fitness.notices_new(observed(node("HV01"), node("HV02")))
        assert await fitness.failed(ENFORCE) == (missed,)
        assert doctor.asked == 2

    run_virtual(story())


def test_a_node_that_left_and_joins_again_is_examined_again() -> None:
    """Who comes back may have been installed anew."""

    async def story() -> None:
        doctor = Doctor([GOOD, replace(GOOD, node="HV02")])
        fitness = Fitness(doctor, VirtualClock())
        assert await fitness.failed(ENFORCE) == ()
        assert not fitness.notices_new(observed(node("HV01")))
        assert fitness.notices_new(observed(node("HV01"), node("HV02")))
        assert await fitness.failed(ENFORCE) == ()
        assert doctor.asked == 2

    run_virtual(story())
