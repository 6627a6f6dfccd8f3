"""The cluster's affinity rules, whichever way Windows spells their type."""

import pytest
from node_replies import listed, merged, reply

from controller.errors import ProtocolBroken
from controller.model.observed import AffinityKind, AffinityRule


@pytest.mark.parametrize("spelled", ["4", "DifferentNode"])
def test_an_enabled_rule_is_read_and_a_disabled_one_binds_nobody(spelled: str) -> None:
    """A rule is disabled at birth; the module's type file may show a number or a name."""
    rules = [
        {"name": "DCs", "type": spelled, "enabled": True, "roles": ["DC01", "DC02"]},
        {"name": "Old", "type": "2", "enabled": False, "roles": ["DC01"]},
    ]
    found = merged(reply("HV01"), reply("HV02"), lists={**listed(), "affinity": rules})
    assert found.affinity_rules == (
        AffinityRule(name="DCs", kind=AffinityKind.DIFFERENT_NODE, roles=("DC01", "DC02")),
    )


def test_a_rule_of_a_kind_that_is_not_known_is_no_rule_to_ignore() -> None:
    """It may forbid the next move, so the reply counts for nothing."""
    rules = [{"name": "New", "type": "9", "enabled": True, "roles": ["DC01", "DC02"]}]
    with pytest.raises(ProtocolBroken, match="type"):
        merged(reply("HV01"), reply("HV02"), lists={**listed(), "affinity": rules})
