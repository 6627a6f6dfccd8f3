"""The option that rewrites expected logs."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest tests/scenarios --update` writes every expected.log as it is now."""
    parser.addoption("--update", action="store_true", help="write expected.log anew")
