"""The CRDs in crds/ are what the models say, in the form that a Kubernetes API server takes."""

import copy
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from controller.adapters.specs.crd_text import crd_files
from controller.adapters.specs.documents import read_documents
from controller.model.crd import crds, structural
from controller.model.schemas import inlined, schema_of
from controller.model.spec import KINDS
from tests.unit.specs.writing import CLUSTER, placement, small

FOLDER = Path(__file__).parents[2] / "crds"
ALL = frozenset(KINDS)


def of_kind(kind: str) -> dict[str, Any]:
    (crd,) = (crd for crd in crds().values() if crd["spec"]["names"]["kind"] == kind)
    return crd


def schema(kind: str) -> dict[str, Any]:
    version: dict[str, Any] = of_kind(kind)["spec"]["versions"][0]
    return version["schema"]["openAPIV3Schema"]


def nodes(part: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every node of a structural schema with its path."""
    yield path, part
    for name, inner in part.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}")
    for word in ("items", "additionalProperties"):
        if word in part:
            yield from nodes(part[word], f"{path}[]")


def test_files_are_generated_from_the_models() -> None:
    """`ownernode crd` writes what lies in crds/, and the list there names all of it."""
    assert {path.name: path.read_text() for path in FOLDER.glob("*.yaml")} == crd_files()
    listed = yaml.safe_load((FOLDER / "Kustomization").read_text())["resources"]
    assert listed == sorted(crd_files())


def test_files_read_back_as_what_was_meant() -> None:
    """No name or default of ours is a word that a YAML 1.1 reader takes for something else."""
    for name, text in crd_files().items():
        assert yaml.safe_load(text) == crds()[name]


@pytest.mark.parametrize("kind", KINDS)
def test_schema_is_structural(kind: str) -> None:
    """Each node has one type, words of the dialect only, and bounds that CEL can count with."""
    for path, node in nodes(schema(kind)):
        assert node["type"] in ("object", "array", "string", "integer", "boolean"), path
        assert not {"$ref", "anyOf", "oneOf", "allOf", "const", "title", "nullable"} & set(node)
        if node["type"] == "array":
            assert "maxItems" in node, path
            assert "x-kubernetes-list-type" in node, path
        if node["type"] == "string" and path.startswith(".spec"):
            assert "maxLength" in node or "enum" in node, path
        if node.get("additionalProperties"):
            assert "maxProperties" in node, path
        if node["type"] == "object" and "default" in node:
            pytest.fail(f"{path} has a default of its own")


@pytest.mark.parametrize("kind", KINDS)
def test_each_field_says_what_it_is_for(kind: str) -> None:
    """`kubectl explain` and an editor show a sentence for every field of a spec."""
    for path, node in nodes(schema(kind)):
        if path.startswith(".spec") and not path.endswith("[]"):
            assert node.get("description", "").endswith("."), path


@pytest.mark.parametrize("kind", KINDS)
def test_patterns_mean_the_same_everywhere(kind: str) -> None:
    """RE2 knows no look-around and no back-reference; JSON Schema searches: ends are tied."""
    for path, node in nodes(schema(kind)):
        pattern = node.get("pattern")
        if pattern is not None:
            re.compile(pattern)
            assert pattern.startswith("^"), path
            assert pattern.endswith("$"), path
            assert not re.search(r"\(\?[^:]|\\[1-9]|[*+?}]\+", pattern), path


@pytest.mark.parametrize("kind", KINDS)
def test_enums_are_camel_case_words(kind: str) -> None:
    """Never On, Off, Yes or No, which YAML 1.1 takes for booleans."""
    for path, node in nodes(schema(kind)["properties"]["spec"]):
        for word in node.get("enum", ()):
            assert isinstance(word, int) or re.fullmatch("[A-Z][A-Za-z]+", word), path
            assert str(word).lower() not in ("on", "off", "yes", "no", "true", "false", "null")


@pytest.mark.parametrize("kind", KINDS)
def test_lists_that_are_maps_have_their_key(kind: str) -> None:
    """Server-side apply merges by it, so it must be there."""
    for _, node in nodes(schema(kind)):
        for key in node.get("x-kubernetes-list-map-keys", ()):
            assert key in node["items"]["required"]


def test_names_scopes_and_columns() -> None:
    """What `kubectl get` shows; a cluster-wide kind where the trust boundary wants it."""
    scopes = {kind: of_kind(kind)["spec"]["scope"] for kind in KINDS}
    operators = dict.fromkeys(("FailoverCluster", "NodeMaintenance"), "Cluster")
    assert scopes == dict.fromkeys(KINDS, "Namespaced") | operators
    names = of_kind("VirtualMachinePlacement")["spec"]["names"]
    assert names["shortNames"] == ["vmp"]
    short = [of_kind(kind)["spec"]["names"]["shortNames"][0] for kind in KINDS]
    assert len(set(short)) == len(short)
    for kind in KINDS:
        crd = of_kind(kind)
        assert crd["spec"]["names"]["categories"] == ["hyperv"]
        assert crd["metadata"]["name"] == f"{crd['spec']['names']['plural']}.ownernode.io"
        (version,) = crd["spec"]["versions"]
        assert (version["name"], version["served"], version["storage"]) == ("v1alpha1", True, True)
        assert version["subresources"] == {"status": {}}
        columns = [column["name"] for column in version["additionalPrinterColumns"]]
        assert {"Ready", "Reason", "Age"} <= set(columns)


@pytest.mark.parametrize("kind", KINDS)
def test_columns_point_at_fields(kind: str) -> None:
    """A column of nothing stays empty for ever."""
    for column in of_kind(kind)["spec"]["versions"][0]["additionalPrinterColumns"]:
        node: Any = schema(kind)
        for name in re.sub(r"\[.*\]", "", column["jsonPath"]).strip(".").split("."):
            if node["type"] == "array":
                node = node["items"]
            if name == "creationTimestamp":
                break
            node = node["properties"].get(name) or pytest.fail(column["jsonPath"])


def test_status_follows_the_conventions() -> None:
    """observedGeneration, and conditions merged by type (kstatus, Kubernetes API conventions)."""
    status = schema("VirtualMachinePlacement")["properties"]["status"]["properties"]
    assert status["observedGeneration"]["format"] == "int64"
    assert status["conditions"]["x-kubernetes-list-map-keys"] == ["type"]


@pytest.mark.parametrize("text", [CLUSTER, placement("a"), small("a")])
def test_what_we_read_a_server_takes(text: str) -> None:
    """A document that is right here is right under its CRD and its JSON Schema."""
    document = yaml.safe_load(text)
    assert read_documents({"a": text.encode()}, allowed=ALL).findings == ()
    jsonschema.validate(document, schema(document["kind"]))
    jsonschema.validate(document, schema_of(document["kind"]))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("startup: 8Gi", "startup: 8GB"),
        ("preferred: [HV01, HV02]", "preferred: HV01"),
        ("failback: WhenAvailable", "failback: Sometimes"),
        ("generation: 2", "generation: 3"),
        ("count: 4", "count: 0"),
        ("count: 4", "count: '4'"),
        ("  cluster: prod\n", ""),
        ("path: os.vhdx", "path: ..\\os.vhdx"),
        ("C:\\ClusterStorage\\Volume1\n", "D:\\VMs\n"),
        ("register: true", "register: null"),
    ],
)
def test_what_we_refuse_a_server_refuses(old: str, new: str) -> None:
    """Types, forms, words and bounds are in the schema, not only in our reader."""
    text = placement("a")
    assert old in text
    document = yaml.safe_load(text.replace(old, new))
    for one in (schema(document["kind"]), schema_of(document["kind"])):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document, one)
    assert read_documents({"a": text.replace(old, new).encode()}, allowed=ALL).findings


@pytest.mark.parametrize("kind", KINDS)
def test_editor_schema_is_a_schema_and_closed(kind: str) -> None:
    """An editor underlines a misspelt field; a CRD can't, and its server would prune it."""
    jsonschema.Draft202012Validator.check_schema(schema_of(kind))
    document = yaml.safe_load(CLUSTER if kind == "FailoverCluster" else small("a"))
    document["kind"] = kind
    wrong = copy.deepcopy(document)
    wrong["spec"]["clutser"] = "prod"
    errors = jsonschema.Draft202012Validator(schema_of(kind)).iter_errors(wrong)
    assert any("clutser" in error.message for error in errors)


def test_converter_refuses_words_that_it_does_not_know() -> None:
    """A new pydantic may say things in a new way; better a failure than a CRD that lacks them."""
    with pytest.raises(ValueError, match="no dependentRequired"):
        structural({"type": "object", "dependentRequired": {"a": ["b"]}})


def test_null_is_no_value() -> None:
    """What may be left out may not be null: an empty line is a line that was cut or forgotten."""
    optional = {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}
    assert inlined({"type": "object", "properties": {"a": optional}}) == {
        "type": "object",
        "properties": {"a": {"type": "string"}},
    }


def test_exactly_one_of_is_said_in_cel() -> None:
    """What types can't say is a rule of the server too."""
    spec = schema("VirtualMachinePlacement")["properties"]["spec"]["properties"]
    (rule,) = spec["vm"]["x-kubernetes-validations"]
    assert rule["rule"] == "(has(self.name) ? 1 : 0) + (has(self.id) ? 1 : 0) == 1"
