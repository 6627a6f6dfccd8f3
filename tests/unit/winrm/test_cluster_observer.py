"""Looks at a whole cluster in virtual time: who is asked, who is believed, and what is a gap."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from controller.adapters.winrm.observer import ClusterObserver
from controller.model.observed import GapReason, NodeState, ObservedState
from controller.simulator.config import load_world
from controller.simulator.world import World
from tests.support.in_process import UNDISTURBED, Call, Disturbance, InProcessCaller
from tests.support.virtual_time import VirtualClock, run_virtual

SEEDS = ("HV01.corp.example", "HV02.corp.example")
WORLD = """
cluster: {name: c1, domain: corp.example, resiliencySeconds: 0}
nodes: [{name: HV01}, {name: HV02}, {name: HV03}, {name: HV04}]
vms: [{name: SQL01, node: HV01}, {name: WEB01, node: HV04}]
"""
OTHER_WORLD = WORLD.replace("name: c1", "name: other")


class Look:
    """An observer of a world, and what its nodes were asked."""

    def __init__(self, *, seeds: tuple[str, ...] = SEEDS) -> None:
        self.clock = VirtualClock()
        self.world = load_world(WORLD)
        self.caller = Rerouting(self.world, self.clock)
        self.observer = ClusterObserver(
            cluster="c1", seeds=seeds, caller=self.caller, clock=self.clock
        )
        self._asked = 0

    async def observe(self) -> ObservedState:
        self._asked = len(self.caller.executed)
        return await self.observer.observe()

    def asked(self) -> list[tuple[str, bool]]:
        """Who answered the last look, in order, and who gave the cluster-wide lists."""
        calls = self.caller.executed[self._asked :]
        return [(call.node, call.arguments["clusterWide"]) for call in calls]


class Rerouting(InProcessCaller):
    """Lets some names lead to another node, or to a node of another cluster."""

    def __init__(self, world: World, clock: VirtualClock) -> None:
        super().__init__(world, clock)
        self.routes: dict[str, str] = {}
        self.others: dict[str, InProcessCaller] = {}
        self.also_listed: dict[str, str] = {}
        """Node -> a further name that it gives as one of the cluster's nodes."""

    async def call(
        self, node: str, operation: str, arguments: Mapping[str, Any], *, timeout_seconds: float
    ) -> Mapping[str, Any]:
        short = node.split(".")[0]
        if short in self.others:
            other = self.others[short]
            return await other.call(node, operation, arguments, timeout_seconds=timeout_seconds)
        target = self.routes.get(short, node)
        data = await super().call(target, operation, arguments, timeout_seconds=timeout_seconds)
        if short in self.also_listed:
            further = {**data["nodes"][0], "name": self.also_listed[short]}
            return {**data, "nodes": [*data["nodes"], further]}
        return data


def play(story: Callable[[Look], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        await story(Look(**options))

    run_virtual(run())


def test_cluster_wide_lists_are_read_from_two_nodes_only() -> None:
    """The seeds give them at first, and the same two ever after; nobody is asked twice."""

    async def story(look: Look) -> None:
        for _ in range(2):
            assert (await look.observe()).is_complete
            assert look.asked() == [
                ("HV01", True),
                ("HV02", True),
                ("HV03", False),
                ("HV04", False),
            ]

    play(story)


def test_single_seed_is_enough() -> None:
    """The second list comes from a node that the first one named."""

    async def story(look: Look) -> None:
        assert (await look.observe()).is_complete
        assert [wide for _, wide in look.asked()].count(True) == 2

    play(story, seeds=SEEDS[:1])


def test_silent_lister_is_replaced_within_the_look() -> None:
    """A dead node that was to give the lists costs its own part only."""

    async def story(look: Look) -> None:
        await look.observe()
        look.caller.disturb = lambda call: Disturbance(unreachable=call.node == "HV01")
        seen = await look.observe()
        assert [(g.node, g.reason) for g in seen.gaps] == [("HV01", GapReason.UNREACHABLE)]
        assert [node for node, wide in look.asked() if wide] == ["HV02", "HV03"]
        assert seen.vm(look.world.truth_of("SQL01").id) is not None
        assert seen.volumes

    play(story)


def test_lists_that_differ_once_are_read_again() -> None:
    """A role changed between the two reads: the second look agrees, and there is no gap."""

    async def story(look: Look) -> None:
        await look.observe()
        stale = [True]

        def once(call: Call) -> Disturbance:
            if call.node == "HV01" and stale:
                stale.pop()
                return Disturbance(looks_ago=1)
            return UNDISTURBED

        look.world.rename_role("WEB01", "web-1")
        look.caller.disturb = once
        seen = await look.observe()
        assert seen.is_complete
        assert look.asked().count(("HV01", True)) == 2
        assert look.asked().count(("HV02", True)) == 2

    play(story)


def test_lists_that_differ_twice_are_a_gap() -> None:
    """Two nodes that hold on to different lists: neither is evidence."""

    async def story(look: Look) -> None:
        await look.observe()
        look.world.rename_role("WEB01", "web-1")
        look.caller.disturb = lambda call: Disturbance(looks_ago=9 * (call.node == "HV01"))
        seen = await look.observe()
        assert [(g.node, g.reason) for g in seen.gaps] == [("", GapReason.DISAGREES)]
        assert seen.volumes == ()

    play(story)


def test_hung_node_costs_its_time_and_no_more() -> None:
    """Twenty seconds for the one, and the others' parts are there."""

    async def story(look: Look) -> None:
        await look.observe()
        look.caller.disturb = lambda call: Disturbance(request_lost=call.node == "HV03")
        seen = await look.observe()
        assert [(g.node, g.reason) for g in seen.gaps] == [("HV03", GapReason.TIMED_OUT)]
        assert (seen.completed_at - seen.started_at).total_seconds() <= 20.1
        assert seen.vm(look.world.truth_of("WEB01").id) is not None

    play(story)


def test_first_look_with_everybody_hung_ends_in_time() -> None:
    """Even then a look takes less than evidence may be old."""

    async def story(look: Look) -> None:
        look.caller.disturb = lambda _: Disturbance(request_lost=True)
        seen = await look.observe()
        assert {g.reason for g in seen.gaps} == {GapReason.TIMED_OUT}
        assert {n.name for n in seen.nodes} == {"HV01", "HV02"}
        assert not any(n.answered for n in seen.nodes)
        assert (seen.completed_at - seen.started_at).total_seconds() < 60
        look.caller.disturb = lambda _: UNDISTURBED
        assert (await look.observe()).is_complete

    play(story)


def test_address_of_another_node_is_noticed() -> None:
    """A wrong entry among the addresses would count one node's VMs twice."""

    async def story(look: Look) -> None:
        look.caller.routes["HV03"] = "HV04"
        seen = await look.observe()
        assert [(g.node, g.reason) for g in seen.gaps] == [("HV03", GapReason.NOT_A_MEMBER)]
        assert "answers as HV04" in seen.gaps[0].detail
        assert len(seen.named("WEB01")) == 1

    play(story)


def test_seed_of_another_cluster_is_not_believed() -> None:
    """Its VMs are not ours, and the look is not complete while it is configured."""

    async def story(look: Look) -> None:
        await look.observe()
        look.caller.others["HV02"] = InProcessCaller(load_world(OTHER_WORLD), look.clock)
        seen = await look.observe()
        assert [(g.node, g.reason) for g in seen.gaps] == [("HV02", GapReason.NOT_A_MEMBER)]
        assert "other" in seen.gaps[0].detail

    play(story)


def test_cluster_that_answers_under_another_id_is_never_taken_over() -> None:
    """All names lead to another cluster at once: nothing of it is shown as ours."""

    async def story(look: Look) -> None:
        first = await look.observe()
        stranger = InProcessCaller(load_world(OTHER_WORLD), look.clock)
        look.caller.others.update(dict.fromkeys(("HV01", "HV02", "HV03", "HV04"), stranger))
        seen = await look.observe()
        assert {g.reason for g in seen.gaps} == {GapReason.NOT_A_MEMBER}
        assert seen.cluster_id == first.cluster_id
        assert seen.vms == ()

    play(story)


def test_down_node_is_not_asked_and_is_no_gap() -> None:
    """The cluster says it is down: there is nothing to see, and that is known."""

    async def story(look: Look) -> None:
        await look.observe()
        look.world.crash_node("HV03")
        await look.clock.sleep(60)
        seen = await look.observe()
        down = seen.node("HV03")
        assert down is not None
        assert (down.state, down.answered) == (NodeState.DOWN, False)
        seen = await look.observe()
        assert seen.is_complete
        assert "HV03" not in [node for node, _ in look.asked()]

    play(story)


def test_node_that_comes_back_is_asked_in_the_same_look() -> None:
    """The others name it as up, so its own word is fetched at once."""

    async def story(look: Look) -> None:
        look.world.crash_node("HV03")
        await look.clock.sleep(60)
        await look.observe()
        look.world.boot_node("HV03")
        await look.clock.sleep(60)
        seen = await look.observe()
        assert seen.is_complete
        assert seen.node("HV03") is not None
        assert "HV03" in [node for node, _ in look.asked()]

    play(story)


def test_evidence_of_each_node_has_the_time_at_which_it_was_asked() -> None:
    """Not the time of the reply: a slow node's facts are as old as the question."""

    async def story(look: Look) -> None:
        await look.observe()
        look.caller.disturb = lambda call: Disturbance(delay_seconds=9 * (call.node == "HV02"))
        seen = await look.observe()
        assert {n.observed_at for n in seen.nodes} == {seen.started_at}
        assert (seen.completed_at - seen.started_at).total_seconds() == 9

    play(story)


def test_nodes_that_show_different_epochs_make_a_gap() -> None:
    """A cut-off node goes on showing the claim before last: such a view is no ground to act on."""

    async def story(look: Look) -> None:
        look.world.cluster.parameters["ownernodeepoch"] = ("OwnernodeEpoch", 4)
        look.world.cluster.parameters["ownernodeholder"] = ("OwnernodeHolder", "h4")
        assert (await look.observe()).epoch == 4
        old = look.caller.others["HV02"] = InProcessCaller(load_world(WORLD), look.clock)
        old.world.cluster.parameters["ownernodeepoch"] = ("OwnernodeEpoch", 3)
        seen = await look.observe()
        assert [(g.node, g.reason) for g in seen.gaps] == [("", GapReason.DISAGREES)]
        assert (seen.epoch, seen.epoch_holder) == (None, None)
        old.world.cluster.parameters |= look.world.cluster.parameters
        assert (await look.observe()).epoch == 4

    play(story)


def test_nodes_are_remembered_through_a_total_outage() -> None:
    """The network to all nodes is away for two looks: those that no seed names stay gaps.

    Forgotten, they are said to be "seen again", and two of four dark nodes count as none.
    """

    async def story(look: Look) -> None:
        assert (await look.observe()).is_complete
        look.caller.disturb = lambda call: Disturbance(unreachable=True)
        for _ in range(2):
            dark = await look.observe()
            assert {gap.node for gap in dark.gaps} == {"HV01", "HV02", "HV03", "HV04"}
        look.caller.disturb = lambda call: UNDISTURBED
        assert (await look.observe()).is_complete

    play(story)


def test_seeds_of_two_clusters_are_both_not_believed() -> None:
    """One seed was built into another cluster: which one is meant, chance must not decide."""

    async def story(look: Look) -> None:
        look.caller.others["HV02"] = InProcessCaller(load_world(OTHER_WORLD), look.clock)
        unclear = await look.observe()
        assert unclear.cluster_id == ""
        assert [gap.reason for gap in unclear.gaps] == [GapReason.NOT_A_MEMBER] * 2
        assert not any(node.answered for node in unclear.nodes)
        del look.caller.others["HV02"]
        assert (await look.observe()).is_complete

    play(story)


def test_a_node_that_lists_a_senseless_name_blinds_nobody_else() -> None:
    """HV02 is broken or taken over: its part is a gap, and the other three are seen."""

    async def story(look: Look) -> None:
        look.caller.also_listed["HV02"] = "HV\x01"
        seen = await look.observe()
        assert [n.name for n in seen.nodes if n.answered] == ["HV01", "HV03", "HV04"]
        assert [(g.node, g.reason) for g in seen.gaps] == [("HV02", GapReason.FAILED)]

    play(story)
