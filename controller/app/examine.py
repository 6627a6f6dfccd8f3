"""A check-up of one cluster, node by node: what `ownernode doctor` needs. Changes nothing.

A controller runs it over its own agents before it acts, so that no account logs on twice as often.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from controller.adapters.winrm.doctor import Examination
from controller.adapters.winrm.logons import LogonGates
from controller.adapters.winrm.nodes import WinRMNodes
from controller.adapters.winrm.program import load_program
from controller.model.checkup import Check, CheckName, CheckResult, NodeCondition
from controller.model.desired import DesiredState
from controller.model.document import Document
from controller.model.names import fold, short_node
from controller.planning.checkup import judge, judge_together
from controller.planning.resolve import resolve

_ORDER = tuple(CheckName)
EXAMINATION_SECONDS = 60.0
"""For a controller that waits for it; a node that hangs costs about half of it."""


async def examine(cluster: Document) -> tuple[Check, ...]:
    """Every check of every node, on connections of its own."""
    desired = resolve(cluster, (), (), "")
    nodes = WinRMNodes(desired.connection, gates=LogonGates(), program=load_program())
    try:
        return await examine_over(nodes, desired)
    finally:
        await nodes.close()


async def examine_in_time(nodes: WinRMNodes, desired: DesiredState) -> tuple[Check, ...]:
    """As `examine_over`; one without end is a fault, and keeps nobody waiting."""
    try:
        async with asyncio.timeout(EXAMINATION_SECONDS):
            return await examine_over(nodes, desired)
    except TimeoutError:
        return (
            Check(
                node="",
                name=CheckName.TIME_PER_CALL,
                result=CheckResult.FAIL,
                found=f"the examination took longer than {EXAMINATION_SECONDS:.0f} s",
                remedy="look at the nodes that hang",
            ),
        )


async def examine_over(nodes: WinRMNodes, desired: DesiredState) -> tuple[Check, ...]:
    """Every check of every node: the configured ones, and those that they say the cluster has."""
    examinations: dict[str, Examination] = {}
    waiting: Sequence[str] = desired.connection.seeds
    while waiting:
        batch = [Examination(node, desired.connection, nodes) for node in waiting]
        examinations |= {fold(short_node(one.node)): one for one in batch}
        async with asyncio.TaskGroup() as group:
            for one in batch:
                group.create_task(one.run(), name=f"examine {one.node}")
        named = {node for one in batch for node in _others(one.condition)}
        waiting = sorted(n for n in named if fold(short_node(n)) not in examinations)
    found = [one.condition for one in examinations.values() if one.condition is not None]
    checks = [check for one in examinations.values() for check in one.checks]
    checks += [check for condition in found for check in judge(condition, desired)]
    checks += judge_together(found)
    spelled = {fold(condition.node): condition.node for condition in found}
    checks = [replace(c, node=spelled.get(fold(c.node), c.node)) for c in checks]
    return tuple(sorted(checks, key=lambda c: (fold(c.node), _ORDER.index(c.name))))


def _others(condition: NodeCondition | None) -> Sequence[str]:
    return condition.nodes if condition is not None else ()
