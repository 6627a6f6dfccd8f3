"""What happens on the wire: how little is said, and what a lost exchange may cost."""

import asyncio
import threading
from dataclasses import replace

import pytest

from controller.errors import OutcomeUnknown, Unreachable
from controller.model.observed import GapReason, JobState
from controller.model.plan import ActionKind
from controller.model.report import OutcomeResult
from controller.simulator.winrm_server.faults import (
    from_shell_plugin,
    shell_unknown,
    timed_out,
)
from controller.simulator.winrm_server.injection import Cut, Faults
from tests.contract.clusters import (
    FENCE,
    FOUR_NODES,
    QUICK,
    TEMPLATE,
    WIRES,
    Cluster,
    Way,
    action,
    eventually,
    psrp,
    psrp_over_http,
)

INTENT = "22222222-2222-4222-8222-222222222222"
every_wire = pytest.mark.parametrize("play", WIRES, ids=lambda way: way.__name__)


@pytest.mark.parametrize(
    ("play", "exchanges"),
    [
        *((way, {"Send": 1, "Receive": 1}) for way in WIRES if way is not psrp),
        (psrp, {"Command": 1, "Receive": 1, "Signal": 1}),
        (psrp_over_http, {"Command": 1, "Receive": 1, "Signal": 1}),
    ],
)
def test_warm_look_takes_few_exchanges_a_node(play: Way, exchanges: dict[str, int]) -> None:
    """Ask, receive, and over PSRP tidy up: no new log-on, shell or process for a look."""

    async def story(cluster: Cluster) -> None:
        await cluster.observer.observe()
        before = {name: server.counts.copy() for name, server in cluster.servers.items()}
        seen = await cluster.observer.observe()
        assert seen.is_complete
        for name, server in cluster.servers.items():
            spent = server.counts - before[name]
            assert {verb: spent[verb] for verb in exchanges} == exchanges
            assert spent["HTTP"] == sum(exchanges.values())

    play(story)


@every_wire
@pytest.mark.parametrize(
    "cuts",
    [
        (Cut.BEFORE,),
        (Cut.AFTER,),
        (Cut.NONE, Cut.BEFORE),
        (Cut.NONE, Cut.AFTER),
        (Cut.AFTER, Cut.AFTER, Cut.AFTER, Cut.BEFORE, Cut.AFTER),
    ],
    ids=["send", "sent", "receive", "received", "everything"],
)
def test_command_is_executed_once_whatever_exchange_is_lost(
    play: Way, cuts: tuple[Cut, ...]
) -> None:
    """A cut before or after Send or Receive costs time, never a second execution or an answer."""

    async def story(cluster: Cluster) -> None:
        await cluster.observer.observe()
        cluster.servers["HV01"].faults.script_cuts(cuts)
        move = action(cluster, ActionKind.MOVE, "SQL01", target="HV04")
        outcome = await cluster.actuator.submit(move, INTENT, FENCE)
        assert outcome.result is OutcomeResult.SUBMITTED
        assert cluster.count("moveRole") == 1

    play(story)


@every_wire
def test_lost_shell_before_a_command_is_replaced(play: Way) -> None:
    """A restart of WinRM between two calls is nobody's business: nothing had been sent."""

    async def story(cluster: Cluster) -> None:
        await cluster.observer.observe()
        await cluster.servers["HV01"].kill_shells()
        move = action(cluster, ActionKind.MOVE, "SQL01", target="HV04")
        outcome = await cluster.actuator.submit(move, INTENT, FENCE)
        assert outcome.result is OutcomeResult.SUBMITTED
        assert cluster.count("moveRole") == 1
        assert (await cluster.observer.observe()).is_complete

    play(story)


@every_wire
def test_agent_lost_after_the_command_left_is_an_unknown_outcome(play: Way) -> None:
    """With the process goes its memory of the call: it is not sent again, only looked at."""

    async def story(cluster: Cluster) -> None:
        await cluster.observer.observe()
        cluster.servers["HV01"].faults.fail("Receive", shell_unknown("X"))
        move = action(cluster, ActionKind.MOVE, "SQL01", target="HV04")
        outcome = await cluster.actuator.submit(move, INTENT, FENCE)
        assert outcome.result is OutcomeResult.UNKNOWN
        assert cluster.count("moveRole") <= 1

    play(story)


@every_wire
def test_agent_lost_during_a_look_is_replaced_within_it(play: Way) -> None:
    """A look changes nothing, so it is simply made again."""

    async def story(cluster: Cluster) -> None:
        await cluster.observer.observe()
        cluster.servers["HV02"].faults.fail("Receive", shell_unknown("X"))
        assert (await cluster.observer.observe()).is_complete

    play(story)


@every_wire
def test_send_that_times_out_on_the_node_is_sent_again(play: Way) -> None:
    """An overloaded node answers Send with a time-out though the bytes arrived (ansible #81538)."""

    async def story(cluster: Cluster) -> None:
        await cluster.observer.observe()
        cluster.servers["HV01"].faults.fail("Send", timed_out(), from_shell_plugin(170))
        move = action(cluster, ActionKind.MOVE, "SQL01", target="HV04")
        outcome = await cluster.actuator.submit(move, INTENT, FENCE)
        assert outcome.result is OutcomeResult.SUBMITTED
        assert cluster.count("moveRole") == 1

    play(story)


@every_wire
def test_connection_dropped_in_silence_is_made_anew(play: Way) -> None:
    """http.sys drops idle connections, which breaks NTLM's seal until somebody logs on again."""

    async def story(cluster: Cluster) -> None:
        await cluster.observer.observe()
        for server in cluster.servers.values():
            await server.drop_connections()
        assert (await cluster.observer.observe()).is_complete
        assert all(server.counts["Create"] == 1 for server in cluster.servers.values())

    play(story)


@every_wire
def test_frozen_node_is_a_gap_in_time_and_the_others_are_seen(play: Way) -> None:
    """A node that accepts and never answers costs the look its own time limit, not more."""

    async def story(cluster: Cluster) -> None:
        await cluster.observer.observe()
        cluster.servers["HV03"].freeze()
        seen = await cluster.observer.observe()
        assert [(g.node, g.reason) for g in seen.gaps] == [("HV03", GapReason.TIMED_OUT)]
        assert [n.name for n in seen.nodes if n.answered] == ["HV01", "HV02", "HV04"]
        assert {v.name for v in seen.vms} >= {"SQL01", "WEB01", "ISO", "IDLE"}
        cluster.servers["HV03"].thaw()
        await cluster.until(lambda s: s.is_complete)

    play(story, node_seconds=1.5)


@every_wire
def test_closing_ends_shells_and_threads_even_if_a_node_hangs(play: Way) -> None:
    """A stop takes seconds: shells are given back, and no thread is left in a socket."""

    async def story(cluster: Cluster) -> None:
        await cluster.observer.observe()
        cluster.servers["HV03"].freeze()
        look = asyncio.create_task(cluster.observer.observe(), name="look")
        await eventually(lambda: cluster.servers["HV04"].counts["Receive"] == 3)
        async with asyncio.timeout(8):
            await cluster.observer.close()
        await look
        shells = {name: server.shells for name, server in cluster.servers.items()}
        assert shells == {"HV01": 0, "HV02": 0, "HV03": 1, "HV04": 0}
        await eventually(lambda: not any(t.name.startswith("winrm") for t in threading.enumerate()))
        cluster.servers["HV03"].thaw()

    play(story)


@every_wire
def test_cancelled_call_frees_the_node_for_the_next_one(play: Way) -> None:
    """A caller that gives up leaves no thread behind that the next caller would wait for."""

    async def story(cluster: Cluster) -> None:
        await cluster.observer.observe()
        cluster.servers["HV01"].faults.delays["Receive"] = 60
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await cluster.caller.call("HV01", "ping", {}, timeout_seconds=60)
        cluster.servers["HV01"].faults.delays.clear()
        answer = await cluster.caller.call("HV01", "ping", {}, timeout_seconds=10)
        assert answer["node"] == "HV01"

    play(story)


@every_wire
def test_slow_node_is_waited_for_in_short_exchanges(play: Way) -> None:
    """A reply that takes longer than one exchange may is fetched by further Receives."""

    async def story(cluster: Cluster) -> None:
        await cluster.observer.observe()
        cluster.servers["HV01"].faults.fail("Receive", timed_out(), timed_out())
        assert (await cluster.observer.observe()).is_complete

    play(story)


@every_wire
def test_answer_that_never_comes_is_unknown_not_failed(play: Way) -> None:
    """A time-out after sending says nothing about the effect."""

    async def story(cluster: Cluster) -> None:
        await cluster.observer.observe()
        cluster.servers["HV01"].faults.delays["Receive"] = 60
        with pytest.raises(OutcomeUnknown):
            await cluster.caller.call("HV01", "ping", {}, timeout_seconds=1)

    play(story)


@every_wire
def test_hung_agent_is_ended_and_replaced(play: Way) -> None:
    """An agent that gives no answer to two calls is taken for hung: the third finds a new one."""

    async def story(cluster: Cluster) -> None:
        await cluster.observer.observe()
        server = cluster.servers["HV01"]
        server.faults.fail("Receive", *(timed_out() for _ in range(10_000)))
        for _ in range(2):
            with pytest.raises(OutcomeUnknown):
                await ping_when_allowed(cluster, "HV01")
        server.faults = Faults()
        await ping_when_allowed(cluster, "HV01")
        assert server.counts["Create"] == 2
        assert server.shells == 1

    play(story)


async def ping_when_allowed(cluster: Cluster, node: str) -> None:
    """Call a node that has failed, as soon as it is no longer left alone."""
    async with asyncio.timeout(20):
        while True:
            try:
                await cluster.caller.call(node, "ping", {}, timeout_seconds=0.5)
            except Unreachable:
                await asyncio.sleep(0.01)
            else:
                return


@every_wire
def test_worn_agent_is_replaced(play: Way) -> None:
    """A fresh process now and then, without a gap and without a shell left behind."""

    async def story(cluster: Cluster) -> None:
        for _ in range(5):
            assert (await cluster.observer.observe()).is_complete
        assert {server.counts["Create"] for server in cluster.servers.values()} == {3}
        assert {server.shells for server in cluster.servers.values()} == {1}

    play(story, limits=replace(QUICK, calls_max=2))


@every_wire
def test_agent_whose_job_runs_is_neither_replaced_nor_closed(play: Way) -> None:
    """With its shell a creation would end half-way; left alone, Windows ends the shell later."""

    async def story(cluster: Cluster) -> None:
        server = cluster.servers["HV02"]
        create = action(cluster, ActionKind.CREATE, "NEW01", target="HV02", template=TEMPLATE)
        assert (
            await cluster.actuator.submit(create, INTENT, FENCE)
        ).result is OutcomeResult.SUBMITTED
        for _ in range(5):
            seen = await cluster.observer.observe()
            assert [(job.intent, job.state) for job in seen.jobs] == [(INTENT, JobState.RUNNING)]
        await cluster.observer.close()
        assert server.counts["Create"] == 1
        assert {name: s.shells for name, s in cluster.servers.items()}["HV02"] == 1
        assert cluster.servers["HV01"].shells == 0

    endless = FOUR_NODES + "timing: {jobStepSeconds: 1000000}\n"
    play(story, limits=replace(QUICK, calls_max=2), world=endless)


@every_wire
def test_a_stop_is_seen_right_before_a_command_goes_onto_the_wire(play: Way) -> None:
    """Planning, opening a shell, waiting for the node: whatever came between, it does not leave."""
    asked: list[str] = []

    def barred(intent: str) -> str:
        asked.append(intent)
        return "anna ordered a stop"

    async def story(cluster: Cluster) -> None:
        move = action(cluster, ActionKind.MOVE, "SQL01", target="HV04")
        outcome = await cluster.actuator.submit(move, INTENT, FENCE)
        assert outcome.result is OutcomeResult.NOT_SENT
        assert "anna ordered a stop" in outcome.detail
        assert asked == [INTENT]
        assert cluster.count("moveRole") == 0
        assert (await cluster.observer.observe()).is_complete

    play(story, barred=barred)


@every_wire
def test_a_lost_command_is_not_repeated_after_a_stop(play: Way) -> None:
    """Whether the first one arrived is not known, and a repeat might be the one that acts."""
    said = iter((None, "anna ordered a stop"))

    async def story(cluster: Cluster) -> None:
        await cluster.observer.observe()
        cluster.servers["HV01"].faults.script_cuts((Cut.BEFORE,))
        move = action(cluster, ActionKind.MOVE, "SQL01", target="HV04")
        outcome = await cluster.actuator.submit(move, INTENT, FENCE)
        assert outcome.result is OutcomeResult.UNKNOWN
        assert cluster.count("moveRole") == 0

    play(story, barred=lambda intent: next(said))
