"""Orders count in front of each command, survive restarts, and are written down."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from controller.adapters.local.journal import SqliteJournal
from controller.engine.aside import Aside
from controller.engine.memory import Memory
from controller.engine.orders import Orders
from controller.engine.reporter import Reporter
from controller.engine.verbs import Verbs
from controller.errors import JournalBroken, SpecError
from controller.model.control import Demand, Order, Stop, StopScope, StopSource, Verb
from controller.model.history import History, Intent
from tests.support import reports
from tests.support.virtual_time import EPOCH, VirtualClock, run_virtual

INTENT = Intent(
    id="i1",
    kind="Move",
    key="name:sql01",
    vm="SQL01",
    vm_id="id-1",
    source="N1",
    target="N2",
    hop=False,
    revision="r1",
    opened_at=EPOCH,
)
STOP = Stop(
    id="s1",
    scope=StopScope.CLUSTER,
    name="",
    source=StopSource.API,
    owner="anna",
    reason="fire drill",
    since=EPOCH,
)


@pytest.mark.parametrize(
    ("scope", "name", "forbids"),
    [
        (StopScope.EVERYTHING, "", True),
        (StopScope.CLUSTER, "", True),
        (StopScope.VM, "sql01", True),
        (StopScope.VM, "ID-1", True),
        (StopScope.VM, "SQL02", False),
        (StopScope.NODE, "n1", True),
        (StopScope.NODE, "N2", True),
        (StopScope.NODE, "N3", False),
    ],
)
def test_a_stop_forbids_what_it_names(scope: StopScope, name: str, forbids: bool) -> None:
    """Names as Windows compares them; a node's both ends."""
    orders = Orders(lambda cluster: ())
    orders.add("demo", replace(STOP, scope=scope, name=name))
    found = orders.forbid("demo", INTENT, EPOCH)
    assert found == ("anna ordered a stop (fire drill)" if forbids else None)
    assert orders.forbid("other", INTENT, EPOCH) is None


def test_a_stop_ends_at_its_time() -> None:
    """To the second, also in front of a command."""
    orders = Orders(lambda cluster: ())
    orders.add("", replace(STOP, scope=StopScope.EVERYTHING, until=EPOCH + timedelta(hours=2)))
    for seconds, forbids in ((7199, True), (7200, False)):
        now = EPOCH + timedelta(seconds=seconds)
        assert (orders.forbid("demo", INTENT, now) is not None) is forbids
    orders.expire(EPOCH + timedelta(hours=3))
    assert orders.stops("demo") == ()


def test_the_file_is_looked_at_each_time() -> None:
    """No cycle and no timer stands between it and the next command."""
    flag: list[Stop] = []
    orders = Orders(lambda cluster: tuple(flag))
    assert orders.forbid("demo", INTENT, EPOCH) is None
    flag.append(replace(STOP, scope=StopScope.EVERYTHING, source=StopSource.FLAG_FILE))
    assert orders.forbid("demo", INTENT, EPOCH) is not None
    flag.clear()
    assert orders.forbid("demo", INTENT, EPOCH) is None


def test_an_order_given_during_a_cycle_is_not_lost_with_it() -> None:
    """The cycle's history began before; keeping it must not undo the stop."""
    orders = Orders(lambda cluster: ())
    began_with = orders.told(History(cluster="demo"))
    orders.add("demo", STOP)
    orders.note(began_with)
    assert orders.told(began_with).stops == (STOP,)


class Terminal:
    """A controller's memory on a real journal, and somebody who gives orders."""

    def __init__(self, path: Path) -> None:
        self.reporter = Reporter([])
        self.woken: list[str] = []
        self.use(SqliteJournal(path))

    def use(self, journal: SqliteJournal) -> None:
        self.journal = journal
        self.memory = Memory(self.journal, Aside())
        self.verbs = Verbs(
            memory=self.memory,
            reporter=self.reporter,
            clusters=("demo", "other"),
            clock=VirtualClock(),
            wake=self.woken.append,
        )

    async def say(self, verb: Verb, **more: str | int) -> str:
        await self.reporter.report(reports.report())
        return await self.verbs.give(
            Demand(verb=verb, owner="anna", reason="fire drill", **more)  # type: ignore[arg-type]
        )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def stops(path: Path, cluster: str) -> list[tuple[StopScope, str, str]]:
    """What the next process finds."""

    async def main() -> tuple[Stop, ...]:
        memory = Memory(SqliteJournal(path), Aside())
        return (await memory.of(cluster)).stops

    return [(s.scope, s.name, s.owner) for s in run_virtual(main())]


def test_stops_survive_a_restart_and_end_with_resume(path: Path) -> None:
    """Of a VM, a cluster, everything; each is ended by its own resume."""

    async def main() -> None:
        terminal = Terminal(path)
        await terminal.say(Verb.PAUSE, name="sql01")
        await terminal.say(Verb.STOP, cluster="demo")
        await terminal.say(Verb.STOP)
        assert terminal.woken == ["demo", "demo", "demo", "other"]

    run_virtual(main())
    wide = (StopScope.EVERYTHING, "", "anna")
    assert stops(path, "other") == [wide]
    demo = [(StopScope.VM, "SQL01", "anna"), (StopScope.CLUSTER, "", "anna")]
    assert stops(path, "demo") == [wide, *demo]

    async def resume() -> None:
        terminal = Terminal(path)
        await terminal.memory.of("demo")
        assert "Still stopped by anna" in await terminal.say(Verb.RESUME)
        await terminal.say(Verb.RESUME, cluster="demo")
        await terminal.say(Verb.RESUME, name="SQL01")

    run_virtual(resume())
    assert stops(path, "demo") == stops(path, "other") == []
    journal = SqliteJournal(path)
    verbs = [o.verb for c in ("", "demo") for o in journal.past(c).orders]
    assert sorted(verbs) == [Verb.PAUSE, *[Verb.RESUME] * 3, *[Verb.STOP] * 2]


@pytest.mark.parametrize(
    ("verb", "more", "sentence"),
    [
        (Verb.PAUSE, {"name": "NOBODY"}, "no declared VM and no node is called 'NOBODY'"),
        (Verb.STOP, {"cluster": "x"}, "no cluster is called 'x' here; there is demo, other"),
        (Verb.RESUME, {}, "no stop of everything"),
        (Verb.RESUME, {"name": "SQL01"}, "no stop of SQL01"),
        (Verb.APPROVE, {"digest": "d"}, "nothing with digest d waits for approval"),
    ],
)
def test_what_makes_no_sense_is_said_and_not_noted(
    verb: Verb, more: dict[str, str], sentence: str, path: Path
) -> None:
    """A typing error must not pass for an order."""

    async def main() -> None:
        terminal = Terminal(path)
        await terminal.memory.of("demo")
        with pytest.raises(SpecError, match=sentence):
            await terminal.say(verb, **more)
        assert terminal.journal.past("demo").orders == ()

    run_virtual(main())


def test_a_stop_holds_even_if_nothing_can_be_written(path: Path) -> None:
    """And whoever gave it is told; what lets more happen is not done."""

    async def main() -> None:
        terminal = Terminal(path)
        await terminal.memory.of("demo")
        terminal.memory.broken = "disk full"
        with pytest.raises(JournalBroken):
            await terminal.say(Verb.STOP)
        assert terminal.memory.orders.forbid("demo", INTENT, EPOCH) is not None
        with pytest.raises(JournalBroken):
            await terminal.say(Verb.RESUME)
        assert terminal.memory.orders.forbid("demo", INTENT, EPOCH) is not None

    run_virtual(main())


class Slow(SqliteJournal):
    """Notes what is in force at the moment at which an order is written."""

    def __init__(self, path: Path, orders: Callable[[], Orders]) -> None:
        super().__init__(path)
        self._orders = orders
        self.in_force: list[bool] = []

    def note(self, order: Order) -> None:
        self.in_force.append(self._orders().forbid("demo", INTENT, EPOCH) is not None)
        super().note(order)


def test_a_stop_counts_before_it_is_written_and_a_resume_after(path: Path) -> None:
    """Writing waits its turn behind whatever is planned just now; a stop does not."""

    async def main() -> None:
        terminal = Terminal(path)
        journal = Slow(path, lambda: terminal.memory.orders)
        terminal.use(journal)
        await terminal.say(Verb.STOP)
        await terminal.say(Verb.RESUME)
        assert journal.in_force == [True, True]
        assert terminal.memory.orders.forbid("demo", INTENT, EPOCH) is None

    run_virtual(main())
