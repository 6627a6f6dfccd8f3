"""Spec texts for tests, as people write them."""

from collections.abc import Mapping

from controller.adapters.specs.documents import PLACEMENT_KINDS, Reading, read_documents
from controller.model.document import Document

CLUSTER = """\
apiVersion: ownernode.io/v1alpha1
kind: FailoverCluster
metadata: {name: prod}
spec:
  connection:
    nodes: [hv01.corp.example, hv02.corp.example]
    authentication: NTLM
    credentials: {file: /run/secrets/hv}
"""

PLACEMENT = r"""apiVersion: ownernode.io/v1alpha1
kind: VirtualMachinePlacement
metadata: {name: NAME, labels: {tier: db}}
spec:
  cluster: prod
  vm: {name: VM}
  owners:
    preferred: [HV01, HV02]
    possible:
      - HV01
      - HV02
      - HV03
    enforcement: Required
    failback: WhenAvailable
  highAvailability: {register: true, start: AfterRegistration}
  migration: {kind: Live}
  suspend: true
  template:
    generation: 2
    memory: {startup: 8Gi, dynamic: {minimum: 4Gi, maximum: 16Gi}}
    processors: {count: 4}
    location: C:\ClusterStorage\Volume1
    disks: [{path: os.vhdx, create: {size: 80Gi}}]
    secureBoot: {template: MicrosoftWindows}
    network: {switch: Prod}
    install: {iso: 'C:\ClusterStorage\Volume1\iso\ws2025.iso'}
"""


def placement(name: str, vm: str | None = None) -> str:
    """A placement with most of its fields."""
    return PLACEMENT.replace("NAME", name).replace("VM}", f"{vm or name.upper()}}}")


def small(name: str, *lines: str, vm: str | None = None) -> str:
    """The smallest placement, with further lines of its spec."""
    head = (
        "apiVersion: ownernode.io/v1alpha1\n"
        "kind: VirtualMachinePlacement\n"
        f"metadata: {{name: {name}}}\n"
        "spec:\n"
        "  cluster: prod\n"
        f"  vm: {{name: {vm or name.upper()}}}\n"
    )
    return head + "".join(f"  {line}\n" for line in lines)


def many(count: int) -> str:
    """One file of that many placements."""
    return "---\n".join(placement(f"vm{index:02}") for index in range(count))


def read(
    text: str | bytes | Mapping[str, str], allowed: frozenset[str] = PLACEMENT_KINDS
) -> Reading:
    """Read one text as `a.yaml`, or several by their names."""
    if isinstance(text, Mapping):
        files = {name: body.encode() for name, body in text.items()}
    else:
        files = {"a.yaml": text.encode() if isinstance(text, str) else text}
    return read_documents(files, allowed=allowed)


def said(text: str | bytes, allowed: frozenset[str] = PLACEMENT_KINDS) -> tuple[str, ...]:
    """The findings of one text as they are printed; nothing of it may be in force."""
    reading = read(text, allowed)
    assert reading.documents == ()
    return tuple(str(finding) for finding in reading.findings)


def only(reading: Reading) -> Document:
    """The one document of a text that is right."""
    assert reading.findings == ()
    (document,) = reading.documents
    return document
