"""Troubles of a text and faults of its fields become findings that say where they are."""

from controller.adapters.specs.yaml_text import Place, Tree, Trouble
from controller.model.faults import Fault, path_text, printable
from controller.model.findings import Finding


def from_trouble(file: str, trouble: Trouble) -> Finding:
    """A trouble of the text, as a finding."""
    path = tuple(_kept(part) for part in trouble.path)
    fault = Fault(path=path, message=trouble.message, expected=trouble.expected)
    return _make(file, trouble.place, fault)


def from_fault(file: str, tree: Tree, fault: Fault) -> Finding:
    """A fault of a field, whose path begins at the document's root, as a finding."""
    return _make(file, tree.place(fault.path, of_key=fault.of_key), fault)


def _make(file: str, place: Place, fault: Fault) -> Finding:
    """A finding that a terminal can print: it repeats what somebody wrote."""
    return Finding(
        file=file,
        line=place[0],
        column=place[1],
        path=printable(path_text(fault.path)),
        message=printable(fault.message),
        expected=None if fault.expected is None else printable(fault.expected),
        suggestion=fault.suggestion,
    )


def _kept(part: str | int) -> str | int:
    """The field's name without the mark that tells a repeated one from the first."""
    return part.split("\0")[0] if isinstance(part, str) else part
