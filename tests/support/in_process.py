"""Nodes of a simulated world without wire or threads: what stands in for WinRM in virtual time.

Arguments and replies still pass through JSON, and a `disturb` function may lose, delay or age each
call, as the wire and Windows do.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controller.errors import OutcomeUnknown, RemoteFailed, Unreachable
from controller.model.names import fold, short_node
from controller.ports import Clock
from controller.simulator.cmdlet_errors import NodeHangs, NodeUnreachable
from controller.simulator.responder import respond
from controller.simulator.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call as the disturber sees it; `number` counts all calls from 1."""

    number: int
    node: str
    operation: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """What befalls one call. Lost and late ones end as OutcomeUnknown when their time is up."""

    unreachable: bool = False
    """The node cannot be connected to: nothing is executed, and the caller knows it."""
    request_lost: bool = False
    reply_lost: bool = False
    delay_seconds: float = 0.0
    """Until the node executes it, which it does even if nobody waits any more."""
    looks_ago: int = 0
    """Answer an observation with what the node said so many observations before."""


UNDISTURBED = Disturbance()


def undisturbed(_: Call) -> Disturbance:
    """Everything arrives."""
    return UNDISTURBED


class InProcessCaller:
    """A `NodeCaller` straight into a world, which is brought to the present before each call."""

    def __init__(
        self,
        world: World,
        clock: Clock,
        *,
        disturb: Callable[[Call], Disturbance] = undisturbed,
    ) -> None:
        self.world = world
        self.disturb = disturb
        self.executed: list[Call] = []
        """Every call that a node carried out, in order."""
        self._clock = clock
        self._base: tuple[datetime, float] | None = None
        self._number = 0
        self._late: set[asyncio.Task[str]] = set()
        self._said: dict[str, list[str]] = {}

    def come_to_now(self) -> None:
        """Let the world's time be the clock's."""
        now = self._clock.now()
        if self._base is None:
            self._base = now, self.world.now
        since, seconds = self._base
        self.world.advance_to(seconds + (now - since).total_seconds())

    async def call(
        self, node: str, operation: str, arguments: Mapping[str, Any], *, timeout_seconds: float
    ) -> Mapping[str, Any]:
        """As NodeCaller says, in the clock's time."""
        self._number += 1
        sent = json.loads(json.dumps(arguments))
        call = Call(number=self._number, node=short_node(node), operation=operation, arguments=sent)
        disturbance = self.disturb(call)
        if disturbance.unreachable:
            raise Unreachable(f"{node} cannot be connected to")
        if disturbance.request_lost:
            return await self._give_up(node, timeout_seconds)
        work = asyncio.create_task(self._execute(call, disturbance), name=f"{operation} on {node}")
        self._late.add(work)
        work.add_done_callback(self._late.discard)
        try:
            async with asyncio.timeout(timeout_seconds):
                said = await asyncio.shield(work)
        except TimeoutError as error:
            raise OutcomeUnknown(f"{node} did not answer in time") from error
        if disturbance.reply_lost:
            return await self._give_up(node, timeout_seconds)
        return _data(json.loads(said))

    async def close(self) -> None:
        """Forget what is still under way."""
        for work in sorted(self._late, key=lambda task: task.get_name()):
            work.cancel()

    async def _execute(self, call: Call, disturbance: Disturbance) -> str:
        if disturbance.delay_seconds:
            await self._clock.sleep(disturbance.delay_seconds)
        while True:
            self.come_to_now()
            try:
                reply = respond(self.world, call.node, call.operation, call.arguments)
                break
            except NodeHangs as hanging:
                await self._clock.sleep(max(hanging.until - self.world.now, 0.001))
            except NodeUnreachable as error:
                raise Unreachable(f"{call.node} has no power") from error
        self.executed.append(call)
        said = json.dumps(reply)
        if call.operation != "observe":
            return said
        earlier = self._said.setdefault(fold(call.node), [])
        earlier.append(said)
        return earlier[max(0, len(earlier) - 1 - disturbance.looks_ago)]

    async def _give_up(self, node: str, seconds: float) -> Mapping[str, Any]:
        await self._clock.sleep(seconds)
        raise OutcomeUnknown(f"{node} did not answer in time")


def _data(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    if reply["ok"]:
        data: Mapping[str, Any] = reply["data"]
        return data
    first = reply["errors"][0]
    raise RemoteFailed(first["message"], kind=first["kind"], hresult=first["hresult"])
