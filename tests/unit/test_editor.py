"""What an editor is given: a schema that is the models', and settings that find it."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from controller.model.schemas import schema_of_any
from controller.model.spec import KINDS

EDITOR = Path(__file__).parents[2] / "deploy/editor"
SPECS = sorted((EDITOR.parent / "examples").rglob("*.yaml"))


def test_the_schema_is_fresh() -> None:
    """`ownernode schema any >deploy/editor/ownernode.schema.json` makes it."""
    assert json.loads((EDITOR / "ownernode.schema.json").read_text()) == schema_of_any()


def documents() -> list[dict[str, Any]]:
    read = [d for path in SPECS for d in yaml.safe_load_all(path.read_text())]
    return [d for d in read if "kind" in d]


def test_every_example_is_right_in_an_editor() -> None:
    """And of more than one kind."""
    validator = jsonschema.Draft202012Validator(schema_of_any())
    validator.check_schema(schema_of_any())
    kinds = set()
    for document in documents():
        assert not list(validator.iter_errors(document))
        kinds.add(document["kind"])
    assert len(kinds) > 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_misspelt_field_is_marked_in_every_kind(kind: str) -> None:
    """The fault names the field of that kind and not those of the others."""
    bad = {
        "apiVersion": "ownernode.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": "x"},
        "sepc": {},
    }
    validator = jsonschema.Draft202012Validator(schema_of_any())
    said = [error.message for error in validator.iter_errors(bad)]
    assert any("sepc" in message for message in said)
    assert not any("is not one of" in message for message in said)


def test_the_settings_find_the_schema_beside_them() -> None:
    """Both are copied into `.vscode`."""
    settings = json.loads((EDITOR / "vscode/settings.json").read_text())
    assert [Path(name).name for name in settings["yaml.schemas"]] == ["ownernode.schema.json"]
