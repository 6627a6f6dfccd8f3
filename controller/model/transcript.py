"""What a cluster's nodes answered, without its names: the document of `ownernode record`."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from controller.errors import SpecError

TRANSCRIPT = "ownernode.io/transcript/v1"


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
    )


class Exchange(_Part):
    """One call, what came of it, and how long that took."""

    operation: str
    arguments: Mapping[str, Any]
    data: Mapping[str, Any] | None
    error: str | None
    """Kind of the error where there is no data."""
    seconds: float


class NodeTranscript(_Part):
    """The calls of one node, in order."""

    node: str
    exchanges: tuple[Exchange, ...]


class Fact(_Part):
    """Something about Windows that no source settles, and whether this recording does."""

    name: str
    question: str
    answer: str | None
    """None: left open."""


class Transcript(_Part):
    """A recording of one cluster."""

    nodes: tuple[NodeTranscript, ...]
    facts: tuple[Fact, ...]


def write_transcript(transcript: Transcript) -> str:
    """The document as JSON with a final line feed."""
    data = transcript.model_dump(mode="json", by_alias=True)
    return json.dumps({"schema": TRANSCRIPT, **data}, indent=1, ensure_ascii=False) + "\n"


def read_transcript(text: str, source: str) -> Transcript:
    """Read it back. Raises SpecError, which names the source and the place."""
    try:
        data = json.loads(text)
        found = data.pop("schema", None) if isinstance(data, dict) else None
        if found != TRANSCRIPT:
            raise SpecError(f"{source} is {found or 'no document'}, expected {TRANSCRIPT}")
        return Transcript.model_validate(data)
    except json.JSONDecodeError as error:
        raise SpecError(f"{source} is not JSON: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise SpecError(f"{source}: {place}: {first['msg']}") from error
