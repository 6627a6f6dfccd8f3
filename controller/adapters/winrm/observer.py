"""Looks at a whole cluster: finds its nodes, asks all at once, puts together what they say."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Any, Protocol, TypeVar

from controller.adapters.winrm.calling import NodeCaller
from controller.adapters.winrm.fields import Repeats
from controller.adapters.winrm.merge import (
    Look,
    Seen,
    agree_on_nodes,
    is_asked,
    merge,
    replies_agree,
)
from controller.adapters.winrm.parsing import Lists, NodeReply, parse_observation
from controller.adapters.winrm.states import NODE_ISOLATED, NODE_STATES
from controller.adapters.winrm.trace import parse_trace
from controller.errors import (
    LogonRefused,
    OutcomeUnknown,
    OwnernodeError,
    Unreachable,
)
from controller.model.history import Intent, MoveTrace
from controller.model.names import fold, same_name, short_node
from controller.model.observed import Gap, GapReason, NodeState, ObservedState
from controller.model.policy import Policy
from controller.ports import Clock

T = TypeVar("T")

NODE_SECONDS = 20.0
"""For one node's reply. A node that needs longer is as good as silent."""
LOOK_SECONDS = 45.0
"""For all of it, so that even a slow look is evidence for some seconds (policy: 60 s)."""
TRACE_SECONDS = 5.0
"""For what a node remembers of one move: it is worth no more waiting."""
TRACE_MARGIN_SECONDS = 2
"""Fractions of a second, and what the commands took."""
SLOW_SECONDS = Policy().slow_facts_seconds
"""What changes seldom may be so old."""
LISTERS = 2
"""Nodes that are asked for the cluster-wide lists: two that agree are believed."""
ROUNDS_MAX = 3
"""Known nodes, then those that they name, then those that joined meanwhile."""


class Aside(Protocol):
    """Computes off the event loop."""

    def __call__(self, function: Callable[..., T], *args: Any) -> Awaitable[T]:
        """Give what the function returns."""
        ...


async def inline(function: Callable[..., T], *args: Any) -> T:
    """An Aside that computes here and now."""
    return function(*args)


class ClusterObserver:
    """The eyes on one cluster (`ports.Observer`). Uses no time but the clock's."""

    def __init__(
        self,
        *,
        cluster: str,
        seeds: tuple[str, ...],
        caller: NodeCaller,
        clock: Clock,
        aside: Aside = inline,
        slow_seconds: float = SLOW_SECONDS,
        node_seconds: float = NODE_SECONDS,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._cluster = cluster
        self._seeds = seeds
        self._caller = caller
        self._clock = clock
        self._aside = aside
        self._slow_seconds = int(slow_seconds)
        self._node_seconds = node_seconds
        self._look_seconds = look_seconds
        self._cluster_id: str | None = None
        self._known: tuple[str, ...] = ()
        """Nodes to ask, as the last look had them."""
        self._listers: tuple[str, ...] = ()
        self._vm_of_role: dict[str, str] = {}
        self._repeats = Repeats()

    async def observe(self) -> ObservedState:
        """Look at every node at once; what could not be seen is a gap."""
        look = _Round(self._clock.now())
        first = {
            fold(short_node(n)): n for n in (*self._known, *(() if self._known else self._seeds))
        }
        await self._ask(look, first.values())
        self._check_membership(look)
        for _ in range(ROUNDS_MAX - 1):
            missing = [n for n in self._wanted(look) if fold(n) not in look.asked]
            if not missing:
                break
            await self._ask(look, missing)
            self._check_membership(look)
        lists = await self._agreed_lists(look)
        self._remember(look, lists)
        return await self._aside(
            merge,
            Look(
                cluster=self._cluster,
                cluster_id=self._cluster_id or "",
                started_at=look.started_at,
                completed_at=self._clock.now(),
                seen=tuple(look.seen.values()),
                gaps=tuple(look.gaps.values()),
                lists=lists,
                vm_of_role=dict(self._vm_of_role),
                nodes_before=tuple(short_node(n) for n in first.values()),
            ),
        )

    async def trace(self, intent: Intent) -> MoveTrace | None:
        """What the source of a move of ours remembers of it; None where it can't be asked."""
        if intent.source is None or intent.vm_id is None:
            return None
        age = self._clock.now() - intent.opened_at
        seconds = max(0, int(age.total_seconds())) + TRACE_MARGIN_SECONDS
        arguments = {"vmId": intent.vm_id, "seconds": seconds}
        try:
            data = await self._caller.call(
                intent.source, "moveTrace", arguments, timeout_seconds=TRACE_SECONDS
            )
        except OwnernodeError:
            return None
        return parse_trace(data)

    async def close(self) -> None:
        """Let go of every connection."""
        await self._caller.close()

    # asking

    async def _ask(self, look: "_Round", nodes: Iterable[str]) -> None:
        """Ask these nodes at once, and as many for the cluster-wide lists as are still wanted."""
        names = sorted(nodes, key=fold)
        preferred = sorted(names, key=lambda n: (fold(short_node(n)) not in self._listers, fold(n)))
        listing = {fold(n) for n in preferred[: max(0, LISTERS - len(look.listed()))]}
        async with asyncio.TaskGroup() as asking:
            for name in names:
                asking.create_task(
                    self._ask_one(look, name, cluster_wide=fold(name) in listing),
                    name=f"observe {name}",
                )

    async def _ask_one(self, look: "_Round", name: str, *, cluster_wide: bool) -> None:
        key = fold(short_node(name))
        at = self._clock.now()
        left_seconds = self._look_seconds - (at - look.started_at).total_seconds()
        look.asked.add(key)
        try:
            if left_seconds <= 0:
                raise Unreachable("was not asked: the others had taken all the time")
            data = await self._caller.call(
                name,
                "observe",
                {"clusterWide": cluster_wide, "slowSeconds": self._slow_seconds},
                timeout_seconds=min(self._node_seconds, left_seconds),
            )
            reply = await self._aside(parse_observation, data, self._repeats)
        except OwnernodeError as error:
            look.refuse(key, Gap(node=short_node(name), reason=_reason(error), detail=str(error)))
            return
        if same_name(reply.node, short_node(name)):
            look.seen[key] = Seen(reply=reply, at=at)
            look.gaps.pop(key, None)
        else:
            detail = f"{name} answers as {reply.node}: its address is another node's"
            look.refuse(
                key, Gap(node=short_node(name), reason=GapReason.NOT_A_MEMBER, detail=detail)
            )

    def _check_membership(self, look: "_Round") -> None:
        """Drop who speaks for another cluster; the first look decides which one is ours.

        Where as many nodes speak for one as for another, nobody is believed until that is mended.
        """
        if self._cluster_id is None and look.seen:
            votes = Counter(s.reply.cluster.id for s in look.seen.values()).most_common(2)
            if len(votes) == 1 or votes[0][1] > votes[1][1]:
                self._cluster_id = votes[0][0]
        for key, seen in sorted(look.seen.items()):
            found = seen.reply.cluster
            if found.id != self._cluster_id:
                detail = f"{seen.reply.node} is in cluster {found.name} ({found.id})"
                if self._cluster_id is None:
                    detail += ", and as many other nodes are in another: which is meant is unclear"
                look.refuse(
                    key, Gap(node=seen.reply.node, reason=GapReason.NOT_A_MEMBER, detail=detail)
                )

    def _wanted(self, look: "_Round") -> tuple[str, ...]:
        """The nodes whose own word is needed, by what the others say of them."""
        views, _ = agree_on_nodes(s.reply for s in look.seen.values())
        return tuple(
            view.name
            for _, view in sorted(views.items())
            if is_asked(
                NODE_STATES.get(view.state, NodeState.UNKNOWN),
                isolated=bool(view.status & NODE_ISOLATED),
            )
        )

    # the cluster-wide lists

    async def _agreed_lists(self, look: "_Round") -> Lists | None:
        """The lists that two nodes agree on; a gap when they still differ at a second look."""
        enough = min(LISTERS, len(look.seen))
        if len(look.listed()) < enough:  # one of the two that were to give them is silent
            others = [s.reply.node for s in look.seen.values() if s.reply.lists is None]
            await self._ask(look, sorted(others, key=fold)[: enough - len(look.listed())])
            self._check_membership(look)
        for attempt in range(2):
            listed = look.listed()
            if not listed:
                return None
            if all(replies_agree(listed[0], other) for other in listed[1:]):
                return listed[0].lists
            if attempt == 0:  # most likely a role changed between the two reads
                for reply in listed:
                    look.seen.pop(fold(reply.node))
                await self._ask(look, [reply.node for reply in listed])
                self._check_membership(look)
        names = " and ".join(reply.node for reply in look.listed())
        detail = f"{names} give different lists of roles or volumes, or show different epochs"
        look.refuse("", Gap(node="", reason=GapReason.DISAGREES, detail=detail))
        return None

    # memory between looks

    def _remember(self, look: "_Round", lists: Lists | None) -> None:
        """Who to ask next time, and which VM each role is."""
        # Nobody seen is nobody asked for the others: whom there was to look at has not changed.
        self._known = self._wanted(look) or self._known
        self._listers = tuple(fold(reply.node) for reply in look.listed())
        told = {r.id: r.vm_id for s in look.seen.values() for r in s.reply.roles if r.vm_id}
        self._vm_of_role.update(told)
        if lists is not None:
            there = {role.id for role in lists.roles} | set(told)
            self._vm_of_role = {r: v for r, v in self._vm_of_role.items() if r in there}


class _Round:
    """What one look has brought so far, by folded node name."""

    def __init__(self, started_at: datetime) -> None:
        self.started_at = started_at
        self.asked: set[str] = set()
        self.seen: dict[str, Seen] = {}
        self.gaps: dict[str, Gap] = {}

    def refuse(self, key: str, gap: Gap) -> None:
        """Let a node's part be missing, for this reason."""
        self.seen.pop(key, None)
        self.gaps[key] = gap

    def listed(self) -> tuple[NodeReply, ...]:
        """The replies that carry the cluster-wide lists, by node."""
        replies = (self.seen[key].reply for key in sorted(self.seen))
        return tuple(reply for reply in replies if reply.lists is not None)


def _reason(error: OwnernodeError) -> GapReason:
    if isinstance(error, Unreachable):
        return GapReason.UNREACHABLE
    if isinstance(error, LogonRefused):
        return GapReason.LOGON_REFUSED
    return GapReason.TIMED_OUT if isinstance(error, OutcomeUnknown) else GapReason.FAILED
