"""Tells a document that lost its end from one that somebody shortened."""

from controller.adapters.specs.yaml_text import Segment
from controller.model.document import Document
from controller.model.findings import Finding


def is_cut_short(document: Document, segment: Segment, before: Document, text: bytes) -> bool:
    """Whether a file seems to have been cut within this document; `text` is its former one.

    A cut at the end of a line leaves good YAML with fields missing, and nothing in the text tells.
    So a last document that is the beginning of its former self, and means less, is not believed
    unless it ends with YAML's own end marker `...`.
    """
    return (
        segment.is_last
        and text.startswith(segment.raw)
        and before.model != document.model
        and not segment.raw.rstrip().endswith(b"\n...")
    )


def cut_short(document: Document) -> Finding:
    """What to say of such a document."""
    return Finding(
        file=document.file,
        line=document.line,
        column=1,
        path="",
        message=f"{document.kind} {document.name} is its former version with the end missing, "
        "as if the file was cut off",
        expected="the rest, or a line `...` at its end if it was shortened on purpose",
    )
