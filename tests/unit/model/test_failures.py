"""Error codes are told in a person's words, wherever they come from."""

import pytest

from controller.model.failures import CAUSES, code_of, in_words


@pytest.mark.parametrize(
    ("number", "code"),
    [(5016, 0x80071398), (0x80071398, 0x80071398), (-2147019880, 0x80071398), (0, None)],
)
def test_a_code_has_one_form(number: int, code: int | None) -> None:
    """`$_.Exception.HResult` is signed, private properties are not, and some are plain Win32."""
    assert code_of(number) == code


def test_an_unknown_code_is_given_as_it_is() -> None:
    """So that it can be looked up."""
    assert "0x8004ABCD" in in_words(0x8004ABCD)


def test_each_cause_says_what_to_do_and_who_says_so() -> None:
    """None is a mere number."""
    for code, cause in CAUSES.items():
        assert code_of(code) == code
        assert all((cause.says, cause.remedy, cause.source))
