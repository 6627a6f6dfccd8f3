"""What all four kinds share: strictness, the envelope, and the shapes of names and paths."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from controller.model.names import fold
from controller.model.quantities import Text, misfit

API_VERSION = "ownernode.io/v1alpha1"


ATOMIC: JsonDict = {"x-kubernetes-list-type": "atomic"}
"""Server-side apply replaces such a list as a whole: its order means something."""


SET: JsonDict = {"x-kubernetes-list-type": "set"}
"""An order that means nothing, and nothing twice."""


class Part(BaseModel):
    """A piece of a spec: closed, frozen, and never coerced from another type."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, alias_generator=to_camel, validate_default=False
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """Fields that are right one by one and cannot all hold."""

    at: tuple[str | int, ...]
    """The field's path in the document, in its spelling there."""
    message: str
    expected: str | None = None


class Spec(Part):
    """The `spec` of a kind; says itself where its fields contradict one another."""

    def contradictions(self) -> Iterator[Contradiction]:
        """Every contradiction, with paths that begin below `spec`."""
        return iter(())


# A DNS-1123 subdomain, as Kubernetes demands of every object.
ObjectName = Annotated[
    str,
    Text(
        "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*",
        "lower-case letters, digits, hyphens and dots, beginning and ending with a letter or digit",
        253,
    ),
]
Namespace = Annotated[
    str,
    Text(
        "[a-z0-9]([-a-z0-9]*[a-z0-9])?",
        "a Kubernetes namespace: lower-case letters, digits and hyphens",
        63,
    ),
]
# The NetBIOS form under which a failover cluster lists its nodes. ASCII only: Python and Windows
# fold other letters differently, and names would stop being keys.
NodeName = Annotated[
    str,
    Text(
        "[A-Za-z0-9]([A-Za-z0-9_-]{0,13}[A-Za-z0-9])?",
        "the node's name in the cluster (as in Get-ClusterNode, without a domain): "
        "at most 15 letters, digits, - or _",
        15,
    ),
]
# Hyper-V takes any name of up to 100 characters. Ours name a folder too:
# no dot or blank at the end.
VMName = Annotated[
    str,
    Text(
        "[A-Za-z0-9]([A-Za-z0-9 ._-]{0,98}[A-Za-z0-9_-])?",
        "at most 100 ASCII letters, digits, blanks, dots, - or _, "
        "with no blank at either end and no dot at the end; give a VM of another name by its id",
        100,
    ),
]
Guid = Annotated[
    str,
    Text(
        "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
        "a VM id as Get-VM shows it, such as 2b8a7d0e-1c53-4f0a-9e6d-1f2a3b4c5d6e",
        36,
    ),
]
SwitchName = Annotated[
    str,
    Text(
        "[A-Za-z0-9]([A-Za-z0-9 ._()-]{0,98}[A-Za-z0-9._)-])?",
        "the name of a Hyper-V switch in ASCII, at most 100 characters, no blank at either end",
        100,
    ),
]
HostName = Annotated[
    str,
    Text(
        "[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+",
        "a node's full DNS name, such as hv01.corp.example",
        253,
    ),
]
HostPort = Annotated[
    str,
    Text(
        "([A-Za-z0-9][A-Za-z0-9.-]*|\\[[0-9A-Fa-f:.]+\\]):[1-9][0-9]{0,4}",
        "host:port, such as 10.1.2.7:5986",
        260,
    ),
]
LabelKey = Annotated[
    str,
    Text(
        "([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?",
        "a Kubernetes label key",
        317,
    ),
]
LabelValue = Annotated[
    str, Text("([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?", "a Kubernetes label value", 63)
]
# On the machine that the controller runs on; relative ones would depend on where it was started.
LocalFile = Annotated[
    str,
    Text(
        "(/|[A-Za-z]:[\\\\/])[^\\x00-\\x1f\\x7f]*[^\\x00-\\x1f\\x7f/\\\\]", "an absolute path", 1024
    ),
]

_SEGMENT = "[A-Za-z0-9_]([A-Za-z0-9 ._()-]*[A-Za-z0-9_()-])?"
_DEVICES = re.compile("(con|prn|aux|nul|com[0-9]|lpt[0-9])(\\..*)?", re.IGNORECASE | re.ASCII)


def _without_devices(path: str) -> str:
    """Refuse what Windows would read as something other than the file it looks like."""
    for segment in re.split(r"[\\:]+", path):
        if _DEVICES.fullmatch(segment):
            raise misfit("a path without device names", f"{segment} is a device in Windows")
    return path


# A path of plain segments has no `..`, no UNC or device prefix, no stream, no `~1` form, and no
# segment that ends with a dot or blank, which Windows would drop.
_SHARED = f"[Cc]:\\\\[Cc]luster[Ss]torage\\\\{_SEGMENT}"
_PLAIN = "with plain segments of ASCII letters, digits, blanks and ._()-"
SharedFolder = Annotated[
    str,
    Text(
        f"{_SHARED}(\\\\{_SEGMENT})*",
        f"a folder on a cluster shared volume, such as C:\\ClusterStorage\\Volume1, {_PLAIN}",
        240,
    ),
    AfterValidator(_without_devices),
]
# A file at the root of a volume slows the whole volume (Microsoft KB2928127).
SharedSubfolder = Annotated[
    str,
    Text(
        f"{_SHARED}(\\\\{_SEGMENT})+",
        "a folder below a cluster shared volume, such as C:\\ClusterStorage\\Volume1\\VMs, "
        f"{_PLAIN}",
        240,
    ),
    AfterValidator(_without_devices),
]
DiskPath = Annotated[
    str,
    Text(
        f"({_SHARED}(\\\\{_SEGMENT})+\\\\|({_SEGMENT}\\\\)*){_SEGMENT}\\.[Vv][Hh][Dd][Xx]?",
        "a .vhdx or .vhd file below a folder of a cluster shared volume, such as "
        "C:\\ClusterStorage\\Volume1\\images\\data.vhdx, or a path below the VM's own folder, "
        f"such as os.vhdx, {_PLAIN}",
        240,
    ),
    AfterValidator(_without_devices),
]
IsoPath = Annotated[
    str,
    Text(
        f"[A-Za-z]:\\\\({_SEGMENT}\\\\)*{_SEGMENT}\\.[Ii][Ss][Oo]",
        "a full local path to an .iso file, such as "
        f"C:\\ClusterStorage\\Volume1\\iso\\ws2025.iso, {_PLAIN}",
        240,
    ),
    AfterValidator(_without_devices),
]

Labels = Annotated[dict[LabelKey, LabelValue], Field(max_length=64)]


class Metadata(Part):
    """Who the document is; labels and annotations are for people and their tools."""

    @property
    def full_name(self) -> str:
        """What tells documents of one kind apart."""
        return self.name

    name: ObjectName = Field(
        description="Name of the document, unique within its kind and namespace."
    )
    labels: Labels = Field(
        default_factory=dict,
        description="For selection by people and tools; of no effect on placement.",
    )
    annotations: Annotated[dict[LabelKey, str], Field(max_length=64)] = Field(
        default_factory=dict, description="Notes for people and tools; of no effect on placement."
    )


class NamespacedMetadata(Metadata):
    """The same of a kind that lives in a namespace."""

    namespace: Namespace | None = Field(
        default=None,
        description="Whose it is: only namespaces in the cluster's allowedNamespaces may place VMs "
        "there. Absent, in files: the operator's own.",
    )

    @property
    def full_name(self) -> str:
        """What tells documents of one kind apart."""
        return f"{self.namespace}/{self.name}" if self.namespace is not None else self.name


class Resource(Part):
    """The envelope of every kind."""

    api_version: Literal["ownernode.io/v1alpha1"] = Field(
        description="Version of the format of the document."
    )
    kind: str
    metadata: Metadata = Field(description="Name and labels of the document.")
    spec: Spec

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        found = tuple(self.spec.contradictions())
        if found:
            raise PydanticCustomError("contradictions", "contradicts itself", {"found": found})
        return self


def repeated(names: tuple[str, ...], *at: str | int) -> Iterator[Contradiction]:
    """A contradiction for each name that occurs before it in the list, without regard to case."""
    seen: set[str] = set()
    for index, name in enumerate(names):
        if fold(name) in seen:
            yield Contradiction(at=(*at, index), message=f"{name} is listed twice")
        seen.add(fold(name))


def exactly_one(part: Part, *at: str | int) -> Iterator[Contradiction]:
    """A contradiction unless exactly one field of the part is given."""
    names = sorted(str(f.alias) for f in type(part).model_fields.values())
    if len(part.model_fields_set) != 1:
        yield Contradiction(
            at=at,
            message=f"gives {len(part.model_fields_set)} of {', '.join(names)}",
            expected="exactly one of them",
        )


def exactly_one_rule(*names: str) -> JsonDict:
    """The same for a Kubernetes API server, in CEL."""
    terms = " + ".join(f"(has(self.{name}) ? 1 : 0)" for name in names)
    return rule(f"{terms} == 1", f"give exactly one of {', '.join(names)}")


def rule(condition: str, message: str) -> JsonDict:
    """What a schema can't say, for a Kubernetes API server, in CEL; `self` is the part itself.

    Defaults are filled in before it is asked.
    """
    return {"x-kubernetes-validations": [{"rule": condition, "message": message}]}
