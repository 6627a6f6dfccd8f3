"""Text of others in Markdown that a forge renders: names stay names, whatever they are made of.

A VM may be called `<img src=...>`, `@everyone` or `[click](http://...)`. Every character that means
something to CommonMark, GFM or a forge's own additions becomes a character reference.
"""

_PLAIN = frozenset(" ,-().;:/'\"?")
"""Punctuation that means nothing within a line; what begins a line is always ours."""


def text(words: str) -> str:
    """A sentence, on one line."""
    return "".join(map(_safe, words)).replace("://", "&#58;//").replace("www.", "www&#46;")


def name(words: str) -> str:
    """A name as code: forges look for no mentions, issues or links in it."""
    return f"<code>{text(words)}</code>" if words else ""


def table(columns: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> list[str]:
    """Lines of a table of cells that are Markdown already."""
    lines = [columns, ("---",) * len(columns), *rows]
    return [*(f"| {' | '.join(line)} |" for line in lines), ""]


def _safe(character: str) -> str:
    if not character.isprintable():
        return "�"
    if character.isalnum() or character in _PLAIN or not character.isascii():
        return character
    # A mention or an issue's number would be found after rendering: a joint of no width parts it.
    joint = "&#8203;" if character in "@#!" else ""
    return f"&#{ord(character)};{joint}"
