"""What is declared, kept current: reads the sources and tells whose declaration changed."""

from collections.abc import Sequence
from dataclasses import replace

from controller.engine.aside import Aside
from controller.model.desired import DesiredState
from controller.model.document import Document
from controller.model.findings import Finding
from controller.model.source import SourceState
from controller.planning.resolve import resolve, strays
from controller.ports import SpecReading, SpecSource


class Declarations:
    """The desired state of every cluster of this process, as of the last reading."""

    def __init__(
        self, *, clusters: Sequence[Document], sources: Sequence[SpecSource], aside: Aside
    ) -> None:
        """`clusters` are FailoverCluster documents of the operator's own configuration."""
        self._clusters = tuple(clusters)
        self._sources = tuple(sources)
        self._aside = aside
        self._readings: tuple[SpecReading, ...] = ()
        self._states: dict[str, DesiredState] = {}

    def of(self, cluster: str) -> DesiredState:
        """The declaration in force; `refresh` must have been called once."""
        return self._states[cluster]

    async def refresh(self) -> tuple[str, ...]:
        """Read every source; return the clusters whose declaration is not what it was."""
        readings = tuple([await source.read() for source in self._sources])
        if readings == self._readings:
            return ()
        self._readings = readings
        before = self._states
        self._states = await self._aside(_resolve_all, self._clusters, readings)
        return tuple(name for name, state in self._states.items() if before.get(name) != state)


def _resolve_all(
    clusters: Sequence[Document], readings: Sequence[SpecReading]
) -> dict[str, DesiredState]:
    findings: list[Finding] = []
    sources: list[SourceState] = []
    for reading in readings:
        own = (*reading.findings, *strays(clusters, reading.documents))
        findings += own
        if reading.state is not None:
            sources.append(replace(reading.state, findings=len(own)))
    documents = tuple(document for reading in readings for document in reading.documents)
    revision = ",".join(reading.revision for reading in readings)
    return {c.name: resolve(c, documents, findings, revision, sources) for c in clusters}
