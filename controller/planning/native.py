"""What the specs make of a role's own settings, and where the cluster has others.

Written as they are here, they make the cluster agree with the specs: after a failover it chooses
as they do, and it moves nothing back by itself, because we do that with all guards.
"""

from collections.abc import Iterator
from typing import Final, assert_never

from controller.model.desired import VMDesired
from controller.model.names import fold
from controller.model.observed import ObservedState, Role, VMObserved, VMState
from controller.model.policy import NativePolicy, Policy
from controller.model.setting import Change, Setting

POSSIBLE_OWNERS_MIN: Final = 2
"""With one alone the role has nowhere to go when that node fails."""


def differences(
    want: VMDesired, seen: VMObserved | None, observed: ObservedState, policy: Policy
) -> tuple[Change, ...]:
    """Every setting of its role that is not as the specs say, in the order in which they are set.

    None with `nativePolicy: Ignore`, nor of a role whose own node did not tell of it.
    """
    if policy.native_policy is NativePolicy.IGNORE or seen is None or seen.role is None:
        return ()
    # Every role has possible owners: an empty list is one that was not read.
    if not seen.role.possible_owners:
        return ()
    return tuple(_differences(want, seen, seen.role, observed))


def settings_due(
    want: VMDesired, seen: VMObserved, observed: ObservedState, policy: Policy
) -> Iterator[Change]:
    """What is to be written, in this order: of the role, then of the VM itself."""
    if policy.native_policy is NativePolicy.MANAGE:
        found = differences(want, seen, observed, policy)
        yield from (change for change in found if not change.not_written)
    if want.processor_compatibility and seen.processor_compatibility is False:
        yield Change(setting=Setting.PROCESSOR_COMPATIBILITY, before=("off",), after=("on",))


def may_be_set(change: Change, seen: VMObserved) -> bool:
    """Whether the state of the VM lets it be set (Microsoft docs, Set-VMProcessor)."""
    return change.setting is not Setting.PROCESSOR_COMPATIBILITY or seen.state is VMState.OFF


def is_set(seen: VMObserved, change: Change) -> bool:
    """Whether the setting is as the change would have it."""
    role = seen.role
    assert change.setting is not Setting.DEFAULT_FOLDERS, "of a node, not of a VM"
    if change.setting is Setting.PROCESSOR_COMPATIBILITY:
        return seen.processor_compatibility is True
    if role is None:
        return False
    match change.setting:
        case Setting.FAILBACK:
            return not role.failback
        case Setting.POSSIBLE_OWNERS:
            return not role.owners_differ and _set(role.possible_owners) == _set(change.after)
        case Setting.PREFERRED_OWNERS:
            return _folded(role.preferred_owners) == _folded(change.after)
        case Setting.PRIORITY:
            return (str(role.priority),) == change.after
    assert_never(change.setting)


def _differences(
    want: VMDesired, seen: VMObserved, role: Role, observed: ObservedState
) -> Iterator[Change]:
    other = _other_tool(role)
    if role.failback:
        yield Change(setting=Setting.FAILBACK, before=("on",), after=("off",), not_written=other)
    possible = _possible(want, seen, role, observed)
    if role.owners_differ or _set(possible) != _set(role.possible_owners):
        lonely = len(possible) < POSSIBLE_OWNERS_MIN
        yield Change(
            setting=Setting.POSSIBLE_OWNERS,
            before=role.possible_owners,
            after=possible,
            not_written=other or (_LONELY if lonely else ""),
        )
    preferred = _preferred(want, observed)
    if preferred and _folded(preferred) != _folded(role.preferred_owners):
        yield Change(
            setting=Setting.PREFERRED_OWNERS,
            before=role.preferred_owners,
            after=preferred,
            not_written=other,
        )
    if want.priority is not None and want.priority != role.priority:
        yield Change(
            setting=Setting.PRIORITY,
            before=(str(role.priority),),
            after=(str(want.priority),),
            not_written=other,
        )


def _possible(
    want: VMDesired, seen: VMObserved, role: Role, observed: ObservedState
) -> tuple[str, ...]:
    """What the spec allows, and wherever the VM is, is going, or is preferred to be.

    What Windows does to a role whose owner node is taken out of its possible owners is not
    documented: so it never is.
    """
    migration = seen.migration
    there = (role.owner, seen.host, migration and migration.source, migration and migration.target)
    kept = {fold(name) for name in (*there, *want.preferred) if name}
    nodes = sorted(observed.nodes, key=lambda node: fold(node.name))
    return tuple(n.name for n in nodes if want.allows(n.name) or fold(n.name) in kept)


def _preferred(want: VMDesired, observed: ObservedState) -> tuple[str, ...]:
    """The spec's, as far as the cluster has such nodes. None of them: nothing is asked for."""
    named = (observed.node(name) for name in want.preferred)
    return tuple(node.name for node in named if node is not None)


def _other_tool(role: Role) -> str:
    """Virtual Machine Manager keeps these settings itself, and is known by its names of roles."""
    name = fold(role.name)
    managed = name.startswith("scvmm ") and name.endswith(" resources")
    return "Virtual Machine Manager looks after this role" if managed else ""


_LONELY: Final = "it would leave one possible owner alone"


def _folded(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(fold(name) for name in names)


def _set(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(_folded(names))
