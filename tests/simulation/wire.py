"""Between the controller and the nodes: delivers each call, loses, delays, doubles or garbles it.

It is the port at which most faults are played, and where the checker looks on: it is told what was
shown to the controller, what leaves it, and what a node then does.
"""

import asyncio
import copy
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from controller.adapters.winrm.calling import READ_ONLY
from controller.errors import (
    LogonRefused,
    OutcomeUnknown,
    OwnernodeError,
    RemoteFailed,
    Unreachable,
)
from controller.model.names import fold, same_name, short_node
from controller.simulator.cmdlet_errors import NodeHangs, NodeUnreachable
from controller.simulator.responder import respond
from controller.simulator.world import World
from tests.support.in_process import Call

REPLIES_KEPT = 6
"""Observations of a node that a stale answer may come from."""
AGENTS_REMEMBER = True
"""False: a call that arrives twice is carried out twice, if its conditions still hold."""
PROGRESS_SECONDS = 20.0
"""A transfer's progress is shown anew as often as that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mishap:
    """What befalls one call. A lost or late one ends as OutcomeUnknown when its time is up."""

    error: Callable[[], OwnernodeError] | None = None
    """Raised at once, and nothing is executed."""
    request_lost: bool = False
    reply_lost: bool = False
    reset: bool = False
    """The connection breaks as soon as the node has executed it."""
    delay_seconds: float = 0.0
    """Until the node executes it, which it does even if nobody waits any more."""
    drip_seconds: float = 0.0
    """Until the reply has come in, after it was executed."""
    agent_lost: bool = False
    """The node's agent ends with the connection, and with it the memory of its jobs."""
    again_seconds: float | None = None
    """It reaches the node a second time, so long after it was executed."""
    looks_ago: int = 0
    answered_by: str | None = None
    """An observation is answered by another node."""
    garble: Callable[[dict[str, Any]], dict[str, Any]] | None = None


@dataclass(slots=True, kw_only=True)
class Trap:
    """Lies in wait for calls: `mishap` befalls the next `left` of them."""

    mishap: Callable[[], Mishap]
    changing: bool | None
    """Only calls that change something, only others, or both (None)."""
    node: str | None = None
    """Folded name; None: every node."""
    left: int = 1_000_000

    def takes(self, call: Call) -> bool:
        """Whether this call falls into it."""
        changing = call.operation not in READ_ONLY
        return (
            self.left > 0
            and self.node in (None, fold(call.node))
            and self.changing in (None, changing)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a node said, and when in truth it looked."""

    node: str
    data: Mapping[str, Any]
    made_seconds: float
    truth: Any
    """What the onlooker noted of the truth at that moment."""


class Onlooker(Protocol):
    """Who watches the wire: the checker."""

    def note(self, node: str) -> Any:
        """Note the truth at the moment at which the node looks."""
        ...

    def asks(self, node: str, at_seconds: float) -> None:
        """The controller asks a node to be observed."""
        ...

    def shown(self, asked_seconds: float, reply: Reply, *, stale: bool) -> None:
        """The controller has got an observation."""
        ...

    def leaves(self, call: Call) -> None:
        """A command leaves the controller."""
        ...

    def arrives(self, call: Call) -> None:
        """It reached its node, which acts on it now."""
        ...

    def executed(self, call: Call, reply: Mapping[str, Any]) -> None:
        """The node has acted on it."""
        ...

    def answered(self, call: Call, *, known: bool) -> None:
        """The controller has got an answer, or knows only that it got none."""
        ...

    def lost(self, call: Call) -> None:
        """It will never reach its node."""
        ...


@dataclass(slots=True)
class Wire:
    """A `NodeCaller` straight into the world."""

    world: World
    seconds: Callable[[], float]
    """Virtual time, which is the world's time too."""
    onlooker: Onlooker
    traps: list[Trap] = field(default_factory=list)
    before: list[Callable[[Call], None]] = field(default_factory=list)
    """Done right before the next command reaches its node, one a command."""
    after: list[Callable[[Call], None]] = field(default_factory=list)
    """The same, right after."""
    commands: list[Call] = field(default_factory=list)
    """Every command that left, in order."""
    late: set[asyncio.Task[Any]] = field(default_factory=set)
    _number: int = 0
    _said: dict[str, list[Reply]] = field(default_factory=dict)
    _cache: dict[tuple[str, bool], tuple[object, Reply]] = field(default_factory=dict)

    async def call(
        self, node: str, operation: str, arguments: Mapping[str, Any], *, timeout_seconds: float
    ) -> Mapping[str, Any]:
        """As NodeCaller says, in virtual time."""
        if operation == "moveTrace":  # told to people only; the scenarios ask for it
            raise Unreachable(f"{node} is not asked for that here")
        self._number += 1
        call = Call(
            number=self._number, node=short_node(node), operation=operation, arguments=arguments
        )
        mishap = self._mishap(call)
        if operation in READ_ONLY:
            return await self._observe(call, mishap, timeout_seconds)
        call = Call(
            number=call.number, node=call.node, operation=operation,
            arguments=copy.deepcopy(dict(arguments)),
        )  # fmt: skip
        try:
            data = await self._command(call, mishap, timeout_seconds)
        except (Unreachable, LogonRefused):
            self.onlooker.answered(call, known=True)
            raise
        except OwnernodeError:
            self.onlooker.answered(call, known=False)
            raise
        self.onlooker.answered(call, known=mishap.garble is None)
        return data

    def number_calls_from(self, first: int) -> None:
        """Let no two wires of one world give two calls one number."""
        self._number = first

    async def close(self) -> None:
        """What is on the wire stays on the wire."""

    # ---- looking

    async def _observe(self, call: Call, mishap: Mishap, seconds: float) -> Mapping[str, Any]:
        asked = self.seconds()
        self.onlooker.asks(call.node, asked)
        if mishap.error is not None:
            raise mishap.error()
        if mishap.request_lost or mishap.reply_lost:
            await self._give_up(call, seconds)
        wait = mishap.delay_seconds
        reply = await self._look_within(call, mishap, wait, seconds)
        if mishap.drip_seconds:
            if wait + mishap.drip_seconds >= seconds:
                await self._give_up(call, seconds - min(wait, seconds))
            await asyncio.sleep(mishap.drip_seconds)
        if mishap.reset:
            raise OutcomeUnknown(f"{call.node} broke the connection")
        kept = self._said.setdefault(fold(call.node), [])
        kept.append(reply)
        del kept[:-REPLIES_KEPT]
        shown = kept[max(0, len(kept) - 1 - mishap.looks_ago)]
        if mishap.garble is not None:
            return mishap.garble(dict(shown.data))
        self.come_to_now()
        if same_name(reply.node, call.node):
            self.onlooker.shown(asked, shown, stale=shown is not reply)
        return shown.data

    async def _look_within(self, call: Call, mishap: Mishap, wait: float, seconds: float) -> Reply:
        """The node's reply, unless it hangs longer than anybody waits."""
        node = mishap.answered_by or call.node
        until = self.seconds() + seconds
        if wait:
            await asyncio.sleep(min(wait, seconds))
        while True:
            if self.seconds() >= until:
                raise OutcomeUnknown(f"{call.node} did not answer in time")
            self.come_to_now()
            try:
                return self._look(node, bool(call.arguments["clusterWide"]))
            except NodeHangs as hanging:
                pause = max(hanging.until - self.world.now, 0.001)
                await asyncio.sleep(min(pause, max(until - self.seconds(), 0.001)))

    def _look(self, node: str, cluster_wide: bool) -> Reply:
        """What the node says now; while nothing changes it says the same."""
        key = (fold(node), cluster_wide)
        stamp = self._stamp()
        known = self._cache.get(key)
        if known is not None and known[0] == stamp:
            return replace(known[1], made_seconds=self.world.now)
        try:
            said = respond(self.world, node, "observe", {"clusterWide": cluster_wide})
        except NodeUnreachable as error:
            raise Unreachable(f"{node} has no power") from error
        reply = Reply(
            node=node, data=data_of(said), made_seconds=self.world.now,
            truth=self.onlooker.note(node),
        )  # fmt: skip
        self._cache[key] = stamp, reply
        return reply

    changes: int = 0
    """Counts everything that happens in the world; whoever changes it outside adds one."""

    def _stamp(self) -> object:
        """All that a look depends on: what happened, and where time itself tells, the time."""
        cluster, now = self.world.cluster, self.world.now
        noticed = self.world.doubts.cut_off_noticed_seconds
        return (
            self.changes,
            [
                now - n.cut_off_at >= noticed
                for n in cluster.nodes.values()
                if n.cut_off_at is not None
            ],
            [
                now >= vm.unlisted_until
                for vm in cluster.vms.values()
                if vm.unlisted_until is not None
            ],
            # How far a transfer is shown to be: nothing is decided by it.
            [(now - m.stage_at) // PROGRESS_SECONDS for m in cluster.migrations.values()],
        )

    # ---- commanding

    async def _command(self, call: Call, mishap: Mishap, seconds: float) -> Mapping[str, Any]:
        self.commands.append(call)
        self.come_to_now()
        self.onlooker.leaves(call)
        if mishap.error is not None:
            self.onlooker.lost(call)
            raise mishap.error()
        if mishap.request_lost:
            self.onlooker.lost(call)
            await self._give_up(call, seconds)
        work = asyncio.create_task(self._deliver(call, mishap), name=f"deliver {call.number}")
        self.late.add(work)
        work.add_done_callback(self.late.discard)
        try:
            async with asyncio.timeout(seconds):
                said = await asyncio.shield(work)
        except TimeoutError as error:
            raise OutcomeUnknown(f"{call.node} did not answer in time") from error
        if mishap.reset:
            raise OutcomeUnknown(f"{call.node} broke the connection")
        if mishap.reply_lost or mishap.drip_seconds >= seconds:
            await self._give_up(call, seconds)
        await asyncio.sleep(mishap.drip_seconds)
        data = data_of(said)
        return mishap.garble(dict(data)) if mishap.garble is not None else data

    async def _deliver(self, call: Call, mishap: Mishap) -> Mapping[str, Any]:
        if mishap.delay_seconds:
            await asyncio.sleep(mishap.delay_seconds)
        said = await self._execute(call)
        if mishap.agent_lost:
            self.world.jobs.forget(call.node)
        if mishap.again_seconds is not None:
            again = asyncio.create_task(
                self._once_more(call, mishap.again_seconds), name=f"deliver {call.number} again"
            )
            self.late.add(again)
            again.add_done_callback(self.late.discard)
        return said

    async def _once_more(self, call: Call, seconds: float) -> None:
        """An agent answers what it has answered before from memory, as docs/protocol.md says.

        It ends with its shell, which what is on its way to it can't outlive.
        """
        await asyncio.sleep(seconds)
        if not AGENTS_REMEMBER:
            with suppress(Unreachable):
                await self._execute(call)

    async def _execute(self, call: Call) -> Mapping[str, Any]:
        while True:
            self.come_to_now()
            if self.before:
                self.before.pop(0)(call)
            self.changes += 1
            self.onlooker.arrives(call)
            try:
                said = respond(self.world, call.node, call.operation, call.arguments)
            except NodeHangs as hanging:
                await asyncio.sleep(max(hanging.until - self.world.now, 0.001))
                continue
            except NodeUnreachable as error:
                self.onlooker.lost(call)
                raise Unreachable(f"{call.node} has no power") from error
            self.onlooker.executed(call, said)
            if self.after:
                self.after.pop(0)(call)
            return said

    # ---- helpers

    def come_to_now(self) -> None:
        """Let the world's time be the present, by which the onlooker dates what it is told."""
        self.world.advance_to(self.seconds())

    def _mishap(self, call: Call) -> Mishap:
        for trap in self.traps:
            if trap.takes(call):
                trap.left -= 1
                return trap.mishap()
        return Mishap()

    async def _give_up(self, call: Call, seconds: float) -> None:
        await asyncio.sleep(seconds)
        raise OutcomeUnknown(f"{call.node} did not answer in time")


def data_of(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """The data of a reply, or its error."""
    if said["ok"]:
        data: Mapping[str, Any] = said["data"]
        return data
    first = said["errors"][0]
    raise RemoteFailed(first["message"], kind=first["kind"], hresult=first["hresult"])


def refused_logon() -> OwnernodeError:
    """What every node says to an account that is not good any more."""
    return LogonRefused("401: the account was refused")


def no_connection() -> OwnernodeError:
    """What a closed port says, or a certificate that can't be trusted."""
    return Unreachable("no connection")
