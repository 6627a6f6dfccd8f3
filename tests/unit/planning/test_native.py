"""What of a role's own settings differs from the specs, and what they should be."""

from dataclasses import replace
from typing import Any

import pytest

from controller.model.desired import VMDesired
from controller.model.observed import Migration, MigrationPhase, VMObserved
from controller.model.policy import NativePolicy, Policy
from controller.model.setting import Change
from controller.planning.native import differences
from tests.builders import desired, node, observed, vm

NODES = tuple(node(name) for name in ("n1", "n2", "n3", "n4"))
ALL = ("n1", "n2", "n3", "n4")
MANAGE = Policy(native_policy=NativePolicy.MANAGE)


def found(want: VMDesired, seen: VMObserved, policy: Policy = MANAGE) -> dict[str, Change]:
    changes = differences(want, seen, observed(*NODES, seen), policy)
    return {change.setting.value: change for change in changes}


def sql(owner: str = "n1", **role: Any) -> VMObserved:
    return vm("sql", owner, role_changes={"possible_owners": ALL, **role})


def test_names_are_compared_without_case_and_sets_without_order() -> None:
    """What only looks otherwise is no difference."""
    seen = sql(possible_owners=("N2", "n1"), preferred_owners=("N1",))
    assert found(desired("sql", "n1", possible=("n1", "n2")), seen) == {}


def test_the_settings_are_told_in_the_order_in_which_they_are_written() -> None:
    """Failback goes off first: a preferred owner written before it would move the role."""
    seen = sql(failback=True, possible_owners=("n1", "n4"), preferred_owners=("n4",))
    want = replace(desired("sql", "n1", possible=("n1", "n2")), priority=3000)
    assert [*found(want, seen)] == ["Failback", "PossibleOwners", "PreferredOwners", "Priority"]


@pytest.mark.parametrize("owner", ALL)
def test_the_owner_node_always_stays_a_possible_owner(owner: str) -> None:
    """What Windows does to a role whose owner is taken out is documented nowhere."""
    changes = found(desired("sql", "n1", possible=("n1", "n2")), sql(owner))
    assert owner in changes["PossibleOwners"].after


def test_both_ends_of_a_migration_stay_possible_owners() -> None:
    """A role that arrives where it may not be would be nowhere."""
    seen = replace(
        sql("n3"), migration=Migration(phase=MigrationPhase.UNKNOWN, source="n3", target="n4")
    )
    assert "PossibleOwners" not in found(desired("sql", "n1", possible=("n1", "n2")), seen)


def test_one_possible_owner_alone_is_told_and_not_written() -> None:
    """The role would have nowhere to go when that node fails."""
    changes = found(desired("sql", "n1", possible=("n1",)), sql("n1"))
    assert changes["PossibleOwners"].after == ("n1",)
    assert changes["PossibleOwners"].not_written


def test_resources_that_allow_different_nodes_differ_from_any_spec() -> None:
    """Only what both allow counts, so the sum of both may look right and not be."""
    assert [*found(desired("sql"), sql(owners_differ=True))] == ["PossibleOwners"]


def test_what_another_tool_looks_after_is_told_and_not_written() -> None:
    """Two that write the same setting undo one another's work for ever."""
    seen = sql(failback=True)
    assert seen.role is not None
    seen = replace(seen, role=replace(seen.role, name="SCVMM sql Resources"))
    assert all(change.not_written for change in found(desired("sql"), seen).values())


def test_a_role_that_its_node_did_not_tell_of_is_not_compared() -> None:
    """An empty list of owners is one that was not read: nothing can be said of it."""
    assert found(desired("sql", "n1"), sql(possible_owners=())) == {}


def test_ignore_compares_nothing() -> None:
    """The default: these settings are an administrator's."""
    ignores = Policy(native_policy=NativePolicy.IGNORE)
    assert found(desired("sql", "n1"), sql(failback=True), ignores) == {}
