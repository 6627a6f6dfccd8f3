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
        doctor = Doctor([shut], [GOOD])
        fitness = Fitness(doctor, VirtualClock())
        assert await fitness.failed(ENFORCE) == (shut,)
        fitness.seen(observed(node("HV01", answered=False), node("HV02")))
        assert await fitness.failed(ENFORCE) == (shut,)
        fitness.seen(observed(node("HV01"), node("HV02")))
        assert await fitness.failed(ENFORCE) == ()

    run_virtual(story())
