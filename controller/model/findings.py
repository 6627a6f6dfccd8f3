"""What is wrong with a text that somebody wrote, said where and how to mend it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fault in one place. Lines and columns count from 1; 0 is "the whole file"."""

    file: str
    line: int
    column: int
    path: str
    """The field's path, such as `spec.owners.preferred[1]`; empty when it is not about a field."""
    message: str
    expected: str | None = None
    suggestion: str | None = None

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}"
        field = f" {self.path}:" if self.path else ""
        expected = f" (expected {self.expected})" if self.expected else ""
        hint = f"; did you mean {self.suggestion!r}?" if self.suggestion else ""
        return f"{where}:{field} {self.message}{expected}{hint}"
