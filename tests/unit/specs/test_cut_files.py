"""A file that was cut off: most cuts of YAML are good YAML, so the text alone can't be trusted."""

import pytest

from controller.adapters.specs.directory import Good, settle
from controller.adapters.specs.documents import PLACEMENT_KINDS, Reading, read_documents
from controller.adapters.specs.folder import Contents, Look
from controller.model.document import Document
from tests.unit.specs.writing import small

COUNT = 40
TEXT = "---\n".join(
    small(
        f"vm{index:02}",
        "owners:",
        "  preferred: [HV01, HV02]",
        "  possible:",
        "    - HV01",
        "    - HV02",
        "suspend: true",
    )
    for index in range(COUNT)
).encode()


def _read(raw: bytes, known: dict[str, Document]) -> Reading:
    return read_documents({"a.yaml": raw}, allowed=PLACEMENT_KINDS, known=known)


@pytest.fixture(scope="module")
def whole() -> Reading:
    reading = _read(TEXT, {})
    assert len(reading.documents) == COUNT
    return reading


def _in_force(whole: Reading, raw: bytes) -> dict[str, Document]:
    """What a directory has in force when this text takes the place of the whole one."""
    known = {document.digest: document for document in whole.documents}
    before = {
        (document.kind, document.name): Good(document=document, text=segment.raw)
        for document, segment in zip(whole.documents, whole.segments, strict=True)
    }
    contents = Contents(files={"a.yaml": raw}, findings=(), look=Look(entries=(), findings=()))
    good, twice, _ = settle(before, _read(raw, known), contents)
    assert twice == ()
    return {name: item.document for (_, name), item in good.items()}


def test_no_cut_changes_what_is_in_force(whole: Reading) -> None:
    """Cut at every byte: no VM's spec changes; only between two documents can later ones be gone.

    The cut that leaves whole documents only is the one that nobody can tell from an edit; it takes
    specs away, and the absence of a spec never acts.
    """
    models = {document.name: document.model for document in whole.documents}
    shrunk = 0
    for length in range(len(TEXT)):
        in_force = _in_force(whole, TEXT[:length])
        assert all(in_force[name].model == models[name] for name in in_force)
        shrunk += len(in_force) < COUNT
    # After the last byte of a document, and within or after the marker: `-` and `--` are no YAML,
    # `---` alone ends within a line.
    assert shrunk == 2 * (COUNT - 1)


def test_cut_at_first_sight_is_caught_within_a_line(whole: Reading) -> None:
    """With no former version to compare: documents before the cut are exact, the last one is
    refused unless the cut fell on a line end."""
    known = {document.digest: document for document in whole.documents}
    models = [document.model for document in whole.documents]
    silent = 0
    for length in range(1, len(TEXT)):
        documents = _read(TEXT[:length], known).documents
        expected = models[: len(documents)]
        changed = [d.model != model for d, model in zip(documents, expected, strict=True)]
        assert not any(changed[:-1])
        if changed and changed[-1]:
            silent += 1
            assert TEXT[:length].endswith(b"\n")
    assert silent / len(TEXT) < 0.04


def test_document_shortened_on_purpose_is_taken_with_an_end_marker(whole: Reading) -> None:
    """The finding says how to tell it from an accident, and that way works."""
    cut = TEXT[: TEXT.rindex(b"  suspend")]
    assert _in_force(whole, cut)["vm39"].model == whole.documents[39].model
    meant = _in_force(whole, cut + b"...\n")["vm39"].model
    assert meant != whole.documents[39].model
    assert meant.model_dump()["spec"]["suspend"] is False


def test_document_shortened_in_the_middle_is_taken(whole: Reading) -> None:
    """A cut takes the end of a file; what is followed by another document was edited."""
    edited = TEXT.replace(b"  suspend: true\n", b"", 1)
    assert _in_force(whole, edited)["vm00"].model != whole.documents[0].model


def test_trailing_comment_may_go(whole: Reading) -> None:
    """A shorter text that means the same is the same."""
    assert len(_in_force(whole, TEXT)) == COUNT
    longer = read_documents({"a.yaml": TEXT + b"# end\n"}, allowed=PLACEMENT_KINDS)
    assert _in_force(longer, TEXT)["vm39"].digest == whole.documents[39].digest
