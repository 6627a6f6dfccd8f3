"""Which names are one name to Windows."""

import pytest

from controller.model.names import fold, same_name


@pytest.mark.parametrize("other", ["SQL\u212a", "sql\u212a"])
def test_letters_that_only_look_alike_are_not_folded(other: str) -> None:
    """Python makes k of the Kelvin sign; Windows does not, and SQLK would be another's VM."""
    assert not same_name("SQLK", other)


def test_ascii_letters_are_one_whatever_their_case() -> None:
    """Also beside letters that are not ASCII."""
    assert same_name("Sql01-A", "sQL01-a")
    assert fold("K\u00d6LN") == "k\u00d6ln"
