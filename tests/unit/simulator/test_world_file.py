"""world.yaml: what it may say, and what it makes of it."""

from pathlib import Path

import pytest

from controller.simulator.config import load_world
from controller.simulator.states import VmState

DOCUMENT = Path(__file__).parents[3] / "docs" / "simulator.md"


def test_the_documented_example_is_a_world() -> None:
    """The page's example loads, and is what the page says."""
    text = DOCUMENT.read_text(encoding="utf-8")
    example = text.split("```yaml\n")[1].split("```")[0]
    sim = load_world(example)
    assert [node.name for node in sim.cluster.nodes.values()] == ["HV01", "HV02", "HV03"]
    assert sim.truth_of("NEW01").state is VmState.Off
    assert not sim.truth_of("NEW01").is_clustered
    sim.advance_to(3600)
    assert all(not truth.migrations for truth in sim.truth())


def test_little_is_enough() -> None:
    """Nodes alone; everything else has a default."""
    sim = load_world("nodes: [{name: HV01}]")
    assert sim.cluster.name == "demo"
    assert [volume.mount for volume in sim.cluster.volumes] == ["C:\\ClusterStorage\\Volume1"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("nodes: [{name: HV01}, {name: hv01}]", "two nodes"),
        ("nodes: [{name: HV01, colour: red}]", "colour"),
        ("nodes: [{name: HV01, memory: much}]", "size"),
        ("nodes: [{name: HV01}]\nvms: [{name: A, node: HV01, state: Tired}]", "state"),
        ("nodes: [{name: HV01}]\ndoubts: {secondMove: maybe}", "second_move"),
        ("nodes: [{name: HV01}]\ndoubts: {thirdMove: busy}", "thirdMove"),
        ("nodes: [{name: HV01}]\ntiming: {teaSeconds: 3}", "teaSeconds"),
        ("nodes: [", "not YAML"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(text: str, word: str) -> None:
    """Unknown fields, wrong values, doubles."""
    with pytest.raises(ValueError, match=word):
        load_world(text)
