"""Sizes and durations are exact, and never guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.model.quantities import (
    MemoryReserve,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("1Ki", 1024),
        ("512Mi", 512 * 1024**2),
        ("8Gi", 8 * 1024**3),
        ("64Ti", 64 * 1024**4),
        *((text, None) for text in ("", "8", "8G", "8GB", "8gi", "8 Gi", "0Gi", "-8Gi", "1.5Gi")),
        *((text, None) for text in ("8Gi\n", "٨Gi", "+8Gi", "08Gi", "1e3Mi", "8Pi")),
    ],
)
def test_size_is_binary_and_exact(text: str, size_bytes: int | None) -> None:
    """Hyper-V counts in powers of two; a decimal unit would be a few percent off in silence."""
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("90s", 90),
        ("10m", 600),
        ("1h30m", 5400),
        ("1h0m1s", 3601),
        *((text, None) for text in ("", "10", "10min", "1d", "1m1h", "1.5h", "-1s", "10m\n")),
    ],
)
def test_duration_is_whole_seconds(text: str, seconds: int | None) -> None:
    """Go's notation, as all of Kubernetes writes it."""
    assert parse_duration(text) == seconds


@given(st.integers(min_value=1, max_value=10**9 - 1), st.sampled_from([1024, 1024**2, 1024**4]))
def test_size_reads_back(count: int, factor: int) -> None:
    """What we write we read."""
    text = format_size(count * factor)
    if len(text) <= 11:
        assert parse_size(text) == count * factor


@given(st.integers(min_value=0, max_value=30 * 86400))
def test_duration_reads_back(seconds: int) -> None:
    """What we write we read."""
    assert parse_duration(format_duration(seconds)) == seconds


def test_reserve_reads_back() -> None:
    """A share stays a share."""
    for text in ("10%", "0%", "8Gi"):
        assert str(MemoryReserve.parse(text)) == text
