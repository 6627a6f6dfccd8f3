"""An engine, and one agent that runs in it for all tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from engine_node import EngineNode

from controller.simulator.engine import find_engine


@pytest.fixture(scope="session")
def engine() -> Path:
    found = find_engine()
    if found is None:
        pytest.skip("no PowerShell engine: OWNERNODE_POWERSHELL names none and there is no pwsh")
    return found


@pytest.fixture(scope="session")
def agent(engine: Path) -> Iterator[EngineNode]:
    """The agent of HV01; give it a world before calling."""
    node = EngineNode(engine)
    yield node
    node.close()
