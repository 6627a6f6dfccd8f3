"""Snapshot, plan and report are stable documents that other programs may write."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from controller.errors import SpecError
from controller.model.json_documents import (
    PLAN,
    REPORT,
    SNAPSHOT,
    document_schema,
    read_plan,
    read_report,
    read_snapshot,
    write_document,
)
from tests.support import reports

DOCS = Path(__file__).parents[3] / "docs"


def test_each_document_reads_back_as_what_was_written() -> None:
    """Nothing is lost on the way out and in again."""
    assert read_snapshot(write_document(reports.snapshot()), "s") == reports.snapshot()
    assert read_plan(write_document(reports.plan()), "p") == reports.plan()
    assert read_report(write_document(reports.report()), "r") == reports.report()


@pytest.mark.parametrize(
    ("schema", "value"),
    [(SNAPSHOT, reports.snapshot()), (PLAN, reports.plan()), (REPORT, reports.report())],
)
def test_each_document_fits_its_published_schema(schema: str, value: Any) -> None:
    """An editor or another program that trusts `ownernode schema` accepts what we write."""
    document = json.loads(write_document(value))
    published = document_schema(schema)
    jsonschema.Draft202012Validator.check_schema(published)
    jsonschema.validate(document, published)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "surprise": 1}, published)


@pytest.mark.parametrize(("page", "read"), [("snapshot.md", read_snapshot), ("plan.md", read_plan)])
def test_the_example_in_the_docs_is_a_document(page: str, read: Any) -> None:
    """The golden example of the page is read, and written again to the same data."""
    text = (DOCS / page).read_text(encoding="utf-8")
    example = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert example is not None
    assert json.loads(write_document(read(example[1], page))) == json.loads(example[1])


def _changed(**changes: Any) -> str:
    return json.dumps(json.loads(write_document(reports.snapshot())) | changes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "schema is null"),
        (write_document(reports.plan()), 'schema is "ownernode.io/plan/v1", expected'),
        (_changed(schema="ownernode.io/snapshot/v2"), 'expected "ownernode.io/snapshot/v1"'),
        (_changed(surprise=1), "surprise: this field does not exist"),
        (_changed(volumes=[{"path": "C:\\v", "sizeBytes": "1", "freeBytes": 1}]),
         'volumes[0].sizeBytes: Input should be a valid integer, found "1"'),
        (_changed(gaps=[{"node": "N3", "reason": "Asleep", "detail": ""}]), "gaps[0].reason"),
        (_changed(startedAt="2026-03-01T12:00:00"), "startedAt: a time needs its zone"),
        (_changed(nodes=[{"name": "N1", "state": "Up"}, {"name": "n1", "state": "Up"}]),
         "nodes: n1 occurs 2 times"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_its_place(text: str, message: str) -> None:
    """A plan made on a misread world is worse than none, so nothing is guessed."""
    with pytest.raises(SpecError) as refusal:
        read_snapshot(text, "world.json")
    assert str(refusal.value).startswith("world.json: ")
    assert message in str(refusal.value)


def test_a_fault_that_repeats_itself_does_not_fill_the_screen() -> None:
    """8,000 VMs with the same mistake give ten lines and a count."""
    volumes = [{"path": "v", "sizeBytes": None, "freeBytes": 1}] * 40
    with pytest.raises(SpecError) as refusal:
        read_snapshot(_changed(volumes=volumes), "world.json")
    lines = str(refusal.value).splitlines()
    assert len(lines) == 11
    assert lines[-1] == "world.json: and 30 more"
