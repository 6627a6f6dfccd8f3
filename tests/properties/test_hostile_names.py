"""Every code point of Unicode in every place where a name or a word of others comes in.

Five places: a VM's name, a node's name and a disk's path in a spec; a VM's name as a node tells it;
why somebody orders something. What is typed is either refused or kept to the letter; what is shown
can neither steer a terminal, nor end a log line, nor become markup. `make test` plays all that are
not letters of some alphabet, and a share of the rest.
"""

import logging
import random
import re
import unicodedata
from dataclasses import replace

import pytest
from pydantic import ValidationError

from controller.adapters.http.page import render_page
from controller.adapters.http.verbs import _Stop
from controller.adapters.specs.documents import PLACEMENT_KINDS, read_documents
from controller.adapters.winrm.parsing import parse_observation
from controller.cli.tables import cells
from controller.settings import LogForm, _Line
from tests.support.reports import report
from tests.unit.specs.writing import small
from tests.unit.winrm.node_replies import reply, vm

EVERY = range(0x110000)
SHARE = 1_500
TEMPLATE = (
    "template: {generation: 2, memory: {startup: 1Gi}, processors: {count: 1},"
    " location: 'C:\\ClusterStorage\\Volume1', disks: [{path: PATH}]}"
)
PLACES = ("vm", "node", "disk")


def drawn() -> list[int]:
    """All that is no letter, mark or digit, and some of what is."""
    odd = [c for c in EVERY if unicodedata.category(chr(c))[0] in "CZPS" and c < 0x3000]
    return odd + random.Random(1).sample(EVERY, SHARE)


def typed(place: str, text: str) -> str:
    """A spec with that text, quoted so that YAML itself takes everything."""
    quoted = '"' + "".join(f"\\U{ord(c):08x}" for c in text) + '"'
    match place:
        case "vm":
            return small("a", vm=quoted)
        case "node":
            return small("a", f"owners: {{preferred: [{quoted}]}}")
    return small("a", TEMPLATE.replace("PATH", quoted))


@pytest.mark.parametrize("place", PLACES)
def test_what_is_typed_is_kept_to_the_letter_or_refused(place: str) -> None:
    """A name that was changed on the way would be another VM's."""
    _typed(place, drawn())


@pytest.mark.campaign
@pytest.mark.parametrize("place", PLACES)
def test_every_code_point_typed(place: str) -> None:
    """All 1,114,112 of them."""
    _typed(place, list(EVERY))


def _typed(place: str, points: list[int]) -> None:
    for point in points:
        name = f"A{chr(point)}B"
        reading = read_documents({"f.yaml": typed(place, name).encode()}, allowed=PLACEMENT_KINDS)
        for finding in reading.findings:
            assert str(finding).isprintable(), hex(point)
        if reading.findings:
            assert not reading.documents, hex(point)
            continue
        (document,) = reading.documents
        assert name in _texts(document.model.model_dump()), hex(point)
        assert name.isprintable(), hex(point)


def _texts(value: object) -> set[str]:
    if isinstance(value, dict):
        return {text for inner in value.values() for text in _texts(inner)}
    if isinstance(value, list | tuple):
        return {text for inner in value for text in _texts(inner)}
    return {value} if isinstance(value, str) else set()


@pytest.mark.parametrize("form", list(LogForm))
def test_what_is_shown_steers_nothing(form: LogForm) -> None:
    """Of every code point that a node may tell: page, tables, log. A thousand in one name."""
    for first in range(0, len(EVERY), 1_000):
        hostile = "".join(map(chr, EVERY[first : first + 1_000])) + "<b>&\"'"
        parsed = parse_observation(reply("HV01", vms=[{**vm("x"), "name": hostile}]))
        assert not {unicodedata.category(c) for c in parsed.vms[0].name} & {"Cc", "Cs"}
        shown = report()
        shown = replace(shown, vms=(replace(shown.vms[0], vm=hostile, sentence=hostile),))
        page = render_page([shown], [])
        assert "<b>" not in page
        assert page.isprintable()
        assert not re.search(r"&(?!amp;|lt;|gt;|quot;|#x27;)", page)
        assert all(cell.isprintable() for row in cells([(hostile,)]) for cell in row)
        record = logging.makeLogRecord({"msg": "Stopped", "reason": hostile})
        assert _Line(form).format(record).isprintable()


def test_an_order_says_why_in_one_printable_line() -> None:
    """Whoever reads the history later reads just that."""
    for point in EVERY:
        text = f"a{chr(point)}b"
        try:
            body = _Stop.model_validate({"owner": "anna", "reason": text})
        except ValidationError:
            continue
        assert body.reason == text
        assert text.isprintable()
