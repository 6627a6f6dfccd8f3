"""Whatever bytes a file holds: documents or findings; no exception, and no silent "nothing"."""

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from controller.adapters.specs import yaml_text
from controller.adapters.specs.documents import PLACEMENT_KINDS, read_documents
from controller.model.spec import KINDS
from tests.unit.specs.writing import CLUSTER, many, placement, small

EVERYTHING = frozenset(KINDS)
SCRAPS = st.sampled_from(
    (
        *("---", "...", "\n", "\r\n", "  ", "\t", ": ", "- ", "? ", "| ", "> ", "&a ", "*a", "!x "),
        *("<<", '"', "'", "\\", "{", "}", "[", "]", ",", "#", "%", "@", "`", "~", "null", "Off"),
        *("1_0", "\x00", "\x85", "\u2028", "\ufeff", "\ud7ff", "𝄞", "spec", "metadata", "kind"),
    )
)


def judge(raw: bytes) -> None:
    """The law of every reading."""
    reading = read_documents({"f.yaml": raw}, allowed=EVERYTHING)
    assert reading.documents or reading.findings
    lines = raw.count(b"\n") + 1
    for finding in reading.findings:
        assert 0 <= finding.line <= lines
        assert finding.column >= (1 if finding.line else 0)
        assert finding.message
        assert str(finding).isprintable()


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
@example(b"")
@example(b"\xef\xbb\xbf")
@example(b"a: 1\n...\n--- \n...")
def test_any_bytes(raw: bytes) -> None:
    """Noise."""
    judge(raw)


@given(st.lists(st.one_of(SCRAPS, st.text(max_size=5)), max_size=40))
@settings(max_examples=600, deadline=None)
def test_scraps_of_yaml(parts: list[str]) -> None:
    """Noise that looks like YAML."""
    judge(("".join(parts) + "\n").encode("utf-8", "replace"))


TEXTS = (placement("a"), CLUSTER, many(2), small("a", "owners: {preferred: [HV01]}"))


@given(
    st.sampled_from(TEXTS),
    st.integers(min_value=0, max_value=2_000),
    st.integers(min_value=0, max_value=30),
    st.one_of(SCRAPS, st.text(max_size=3)),
)
@settings(max_examples=600, deadline=None)
def test_good_text_with_a_wound(text: str, start: int, length: int, scrap: str) -> None:
    """A stretch of a good file replaced by something else."""
    start %= len(text)
    judge((text[:start] + scrap + text[start + length :]).encode("utf-8", "replace"))


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.sampled_from(["HV01", "8Gi", "10m", "10%", "Live", "Observe"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=6), inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["cluster", "vm", "owners", "name", "id", "template", "spec", "nodes"]),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@given(st.sampled_from(sorted(KINDS)), VALUES, VALUES)
@settings(max_examples=400, deadline=None)
def test_any_values_in_any_fields(kind: str, metadata: object, spec: object) -> None:
    """Good YAML, written by a program that means something else."""
    document = {"apiVersion": "ownernode.io/v1alpha1", "kind": kind} | {
        "metadata": metadata,
        "spec": spec,
    }
    judge(yaml.safe_dump(document, allow_unicode=False).encode())


@given(st.text(alphabet="0123456789_.:eExXobB+-TtZ infaNyYonNlu~=<", max_size=12))
@settings(max_examples=1_000, deadline=None)
def test_unquoted_value_is_what_every_reader_takes_it_for(text: str) -> None:
    """Where a YAML 1.1 reader takes a scalar for text and we accept it, it is text here too; where
    it takes it for something else, so do we, or refuse it."""
    try:
        ours = yaml_text.plain_value(text)
    except ValueError:
        return
    node = yaml.ScalarNode(
        tag=yaml.SafeLoader("").resolve(yaml.ScalarNode, text, (True, False)), value=text
    )
    theirs = yaml.constructor.SafeConstructor().construct_object(node, deep=True)
    assert ours == theirs
    assert type(ours) is type(theirs)


@given(st.permutations(range(4)), st.lists(st.booleans(), min_size=4, max_size=4))
@settings(max_examples=50, deadline=None)
def test_order_and_faults_of_others_change_no_document(order: list[int], bad: list[bool]) -> None:
    """Each document is read by itself."""
    texts = [small(f"vm{i}", "suspend: Off" if bad[i] else "suspend: true") for i in range(4)]
    raw = "---\n".join(texts[i] for i in order).encode()
    reading = read_documents({"f.yaml": raw}, allowed=PLACEMENT_KINDS)
    assert sorted(d.name for d in reading.documents) == [f"vm{i}" for i in range(4) if not bad[i]]
    assert len(reading.findings) == sum(bad)
