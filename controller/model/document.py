"""One document that somebody wrote, validated, with the place that it came from."""

from dataclasses import dataclass

from pydantic import BaseModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A spec document. `spec` is the whole model of its kind (see `controller.model.spec`)."""

    kind: str
    name: str
    """metadata.name, or `namespace/name` where it has a namespace: what tells documents apart."""
    model: BaseModel
    file: str
    line: int
    digest: str
    """SHA-256 of its text: equal digest, equal document."""
    namespace: str = ""
    """In Kubernetes, whose it is; empty for a document that says none."""
    generation: int = 0
    """metadata.generation in Kubernetes; 0 for files."""

    @property
    def place(self) -> str:
        """file:line, or what stands for a file where there are no lines."""
        return f"{self.file}:{self.line}" if self.line else self.file
