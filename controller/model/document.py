"""One document that somebody wrote, validated, with the place that it came from."""

from dataclasses import dataclass

from pydantic import BaseModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A spec document. `spec` is the whole model of its kind (see `controller.model.spec`)."""

    kind: str
    name: str
    model: BaseModel
    file: str
    line: int
    digest: str
    """SHA-256 of its text: equal digest, equal document."""
