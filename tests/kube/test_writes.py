"""What leading costs the API server: nothing while nothing happens, and little for an edit."""

from pathlib import Path

import pytest

from tests.kube.api_server import ApiServer
from tests.kube.fleet import QUIET_CYCLES, fleet
from tests.kube.story import replica

VMS = 40


@pytest.mark.timeout(120)
def test_idle_writes_nothing_and_an_edit_one_status(clean: ApiServer, tmp_path: Path) -> None:
    """Cycles pass without a write; then one placement changes, and no other is written.

    The other write is the memory's: the next leader must know that this spec has changed.
    """
    with fleet(clean, tmp_path, nodes=3, vms=VMS, interval="1s", lease="3/2/0.5") as leading:
        leading.until_settled(VMS)
        leading.until_quiet()
        before = leading.writes()
        leading.pass_cycles(5)
        assert leading.writes() == before
        leading.edit()
        leading.pass_cycles(QUIET_CYCLES)
        written = leading.writes() - before
        assert written == {
            "patch virtualmachineplacements/status": 1,
            "patch failoverclusters/status": 1,
        }


@pytest.mark.timeout(120)
def test_change_of_the_leader_leaves_statuses_as_they_are(clean: ApiServer, tmp_path: Path) -> None:
    """What the one before said stands until the next one's look says otherwise.

    Written anew at each change, 8,000 statuses would be 16,000 writes, and `Ready` would flap.
    """
    with fleet(clean, tmp_path, nodes=3, vms=VMS, interval="1s", lease="3/2/0.5") as leading:
        leading.until_settled(VMS)
        leading.until_quiet()
        leading.process.kill()
        before = leading.writes()
        with replica(clean, tmp_path / "b", arguments=("--listen", leading.listen)):
            leading.until(lambda: leading.cycles() >= 3, "the next one has looked", 60)
            written = leading.writes() - before
        assert written["patch virtualmachineplacements/status"] == 0
