"""What a document must be, and what is said when it is not."""

import pytest

from controller.adapters.specs.documents import OPERATOR_KINDS, PLACEMENT_KINDS, read_documents
from controller.model.spec import KINDS
from tests.unit.specs.writing import CLUSTER, many, only, placement, read, said, small

FOLDER = r"defaultFolder: C:\ClusterStorage\Volume1\VMs"


def test_full_placement_and_cluster_are_right() -> None:
    """The documents of the design can be written, but for what is not built yet."""
    assert only(read(placement("sql01"))).kind == "VirtualMachinePlacement"
    assert only(read(CLUSTER, OPERATOR_KINDS)).name == "prod"


def test_defaults_change_nothing_on_a_cluster() -> None:
    """Whoever writes only what must be written gets a controller that looks and reports."""
    spec = only(read(CLUSTER, OPERATOR_KINDS)).model.model_dump(by_alias=True)["spec"]
    assert spec["mode"] == "Observe"
    assert spec["balancer"] == "Refuse"
    assert spec["migration"] == {"perNode": 1, "perCluster": 2}
    vm = only(read(small("a"))).model.model_dump(by_alias=True)["spec"]
    assert spec["nativePolicy"] == "Ignore"
    assert vm["highAvailability"] == {
        "register": False,
        "start": "Never",
        "priority": None,
        "accept": (),
    }
    assert vm["template"] is None


def test_every_finding_is_told_not_the_first() -> None:
    """A person mends a file in one go."""
    text = small(
        "a",
        "preferred: [HV01]",
        "owner: {preferred: [HV01]}",
        "highAvailability: {register: 'true', start: afterregistration}",
        "migration: {kind: live, kine: Live}",
        "suspend: 1",
    )
    assert said(text) == (
        "a.yaml:7:3: spec.preferred: is not a field here (expected it at spec.owners.preferred)",
        "a.yaml:8:3: spec.owner: is not a field here; did you mean 'owners'?",
        (
            "a.yaml:9:32: spec.highAvailability.register: is the text 'true' "
            "(expected true or false without quotes)"
        ),
        (
            "a.yaml:9:47: spec.highAvailability.start: 'afterregistration' is not known here "
            "(expected AfterRegistration or Never); did you mean 'AfterRegistration'?"
        ),
        (
            "a.yaml:10:21: spec.migration.kind: 'live' is not known here "
            "(expected Live or Never); did you mean 'Live'?"
        ),
        "a.yaml:10:27: spec.migration.kine: is not a field here; did you mean 'kind'?",
        "a.yaml:11:12: spec.suspend: is the number 1 (expected true or false without quotes)",
    )


def test_bad_document_leaves_the_others() -> None:
    """Wherever the fault lies, also where YAML itself breaks off."""
    broken = small("b", "template: [")
    reading = read(f"{small('a')}---\n{broken}---\n{small('c')}")
    assert [document.name for document in reading.documents] == ["a", "c"]
    assert [document.line for document in reading.documents] == [1, 16]
    assert [finding.line for finding in reading.findings] == [15]


def test_invisible_character_leaves_the_others() -> None:
    """A byte that is not UTF-8 spoils its own document."""
    raw = f"{small('a')}---\n{small('b')}---\n{small('c')}".replace("name: B", "name: \xe9")
    reading = read(raw.encode("latin-1"))
    assert [document.name for document in reading.documents] == ["a", "c"]


def test_cluster_is_refused_in_a_placement_source() -> None:
    """Whoever may write placements may not say where passwords are sent."""
    assert said(CLUSTER) == (
        (
            "a.yaml:2:7: kind: FailoverCluster says where credentials go, so it is refused in a "
            "placement source (expected it in the operator's own configuration (run --config))"
        ),
    )
    assert said(small("a"), OPERATOR_KINDS)[0].startswith(
        "a.yaml:2:7: kind: VirtualMachinePlacement is refused here"
    )


def test_misspelt_kind_and_version_are_told() -> None:
    """The two lines that everybody copies."""
    assert "expected VirtualMachinePlacement" in said("kind: VirtualMachinePlacment\n")[0]
    text = small("a").replace("v1alpha1", "v1")
    assert said(text) == (
        (
            "a.yaml:1:13: apiVersion: 'ownernode.io/v1' is not known here "
            "(expected ownernode.io/v1alpha1); did you mean 'ownernode.io/v1alpha1'?"
        ),
    )


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("PlacementRule", "{cluster: prod, rule: KeepApart, vms: {matchLabels: {tier: db}}}"),
    ],
)
def test_kind_that_is_not_built_is_refused(kind: str, spec: str) -> None:
    """It would be read, liked, and do nothing."""
    text = f"apiVersion: ownernode.io/v1alpha1\nkind: {kind}\nmetadata: {{name: a}}\nspec: {spec}\n"
    assert said(text) == (f"a.yaml:2:7: kind: {kind} is not supported yet",)
    fault = text.replace("cluster: prod", "clutser: prod")
    assert any("did you mean 'cluster'" in finding for finding in said(fault))


@pytest.mark.parametrize(
    "name",
    [
        "sql*",
        "web[1]",
        "web?",
        "a'b",
        "a’b",
        "a`b",
        "a;b",
        "a$b",
        "straße",
        "\u212a1",
        "a.",
        "'a '",
        "' a'",
        "x" * 101,
        "a/b",
        "a\\b",
    ],
)
def test_name_that_could_select_or_inject_is_refused(name: str) -> None:
    """VM names are a search key on the node: one VM or none, and the same letters everywhere."""
    quoted = name if name.startswith("'") else '"' + name.replace("\\", "\\\\") + '"'
    (finding,) = said(small("a").replace("name: A", f"name: {quoted}"))
    assert "spec.vm.name:" in finding
    assert "give a VM of another name by its id" in finding


@pytest.mark.parametrize("node", ["hv01.corp.example", "HV 01", "HV01 x", "H" * 16, "-HV", "HV*"])
def test_node_is_named_as_the_cluster_names_it(node: str) -> None:
    """A full DNS name and a cluster name for one node would be two nodes to a spec."""
    (finding,) = said(small("a", f"owners: {{preferred: ['{node}']}}"))
    assert finding.startswith(f"a.yaml:7:24: spec.owners.preferred[0]: '{node}'")


@pytest.mark.parametrize(
    "path",
    [
        r"C:\ClusterStorage\Volume1\..\..\Windows\x.vhdx",
        r"\\server\share\x.vhdx",
        r"\\?\C:\ClusterStorage\Volume1\a\x.vhdx",
        r"\\.\PhysicalDrive0",
        r"C:\ClusterStorage\Volume1\x.vhdx",
        r"C:\Windows\x.vhdx",
        r"C:\ClusterStorage\Volume1\a\x.vhdx:stream",
        r"C:\ClusterStorage\VOLUME~1\a\x.vhdx",
        r"C:\ClusterStorage\Volume1\a \x.vhdx",
        r"C:\ClusterStorage\Volume1\a.\x.vhdx",
        r"C:\ClusterStorage\Volume1\\a\x.vhdx",
        r"C:\ClusterStorage\Volume1\nul\x.vhdx",
        r"C:\ClusterStorage\Volume1\a\com1.vhdx",
        r"C:/ClusterStorage/Volume1/a/x.vhdx",
        r"..\x.vhdx",
        r"\x.vhdx",
        r"x.vhdx\y",
        r"x.avhdx",
        r"$env:TEMP\x.vhdx",
    ],
)
def test_disk_path_that_leads_elsewhere_is_refused(path: str) -> None:
    """A disk is made below a folder of a cluster shared volume and nowhere else."""
    text = placement("a").replace("path: os.vhdx", f"path: '{path}'")
    (finding,) = said(text)
    assert ": spec.template.disks[0].path: " in finding


@pytest.mark.parametrize(
    "path", ["os.vhdx", r"disks\os 1.vhdx", r"c:\clusterstorage\Volume1\images (old)\data.VHDX"]
)
def test_disk_path_on_a_shared_volume_is_right(path: str) -> None:
    """Relative to the VM's folder, or below a folder of a volume; Windows does not tell case."""
    only(read(placement("a").replace("path: os.vhdx", f"path: '{path}'")))


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("preferred: [HV01, HV02]", "preferred: [HV01, hv01]", "hv01 is listed twice"),
        ("preferred: [HV01, HV02]", "preferred: [HV09]", "not among the possible nodes"),
        ("register: true,", "register: false,", "has no effect without register: true"),
        ("startup: 8Gi", "startup: 2Gi", "startup 2Gi is not between 4Gi and 16Gi"),
        ("generation: 2", "generation: 1", "exists on generation 2 only"),
        ("{path: os.vhdx,", "{path: a.vhdx}, {path: A.vhdx,", "A.vhdx is listed twice"),
        ("path: os.vhdx", "path: os.vhd", "is a .vhd, which generation 2 can't use"),
        ("vm: {name: A}", "vm: {}", "gives 0 of id, name (expected exactly one of them)"),
        (
            "vm: {name: A}",
            "vm: {id: 2b8a7d0e-1c53-4f0a-9e6d-1f2a3b4c5d6e}",
            "creates by name, and the VM is given by id (expected vm.name)",
        ),
        ("startup: 8Gi", "startup: 8G", "a size from 32Mi to 240Ti, such as 8Gi"),
        ("startup: 8Gi", "startup: 8589934592", "is the number 8589934592 (expected text"),
        ("count: 4", "count: '4'", "is the text '4' (expected a whole number without quotes)"),
        ("count: 4", "count: 0", "'0' is out of range (expected 1 to 2048)"),
        ("generation: 2", "generation: 3", "'3' is not known here (expected 1 or 2)"),
        ("[HV01, HV02]", "HV01", "is the text 'HV01' (expected a list, such as [a, b])"),
        ("{name: A}", "A", "is the text 'A' (expected a mapping with name, id)"),
        ("possible:\n      - HV01\n      - HV02\n      - HV03", "possible: []", "1 to 64"),
    ],
)
def test_wish_that_contradicts_itself_is_refused(old: str, new: str, finding: str) -> None:
    """Better told at once than by a node after half of the work."""
    text = placement("a")
    assert old in text
    assert any(finding in line for line in said(text.replace(old, new)))


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("{file: /run/secrets/hv}", "{file: secrets}", "an absolute path"),
        ("{file: /run/secrets/hv}", "{file: /x, env: Y}", "gives 2 of env, file, secretRef"),
        ("[hv01.corp.example, hv02.corp.example]", "[hv01]", "a node's full DNS name"),
        ("authentication: NTLM", "addresses: {HV01: '10.0.0.1'}", "host:port"),
        ("    authentication: NTLM\n", "", "authentication: is missing"),
        ("spec:\n", "spec:\n  interval: 0s\n", "a duration from 1s to 1h"),
        ("spec:\n", "spec:\n  interval: 1.5m\n", "a duration from 1s to 1h"),
        ("spec:\n", "spec:\n  migration: {perNode: 3}\n", "can never be reached with perCluster 2"),
        ("spec:\n", "spec:\n  defaultPaths: Manage\n", "does not say where they are to be"),
        ("spec:\n", f"spec:\n  {FOLDER}\n", "means nothing while they are ignored"),
        *(
            ("spec:\n", f"spec:\n  defaultPaths: Report\n  {folder}\n", "a folder below a cluster")
            for folder in (
                FOLDER.replace("\\VMs", ""),
                FOLDER.replace("\\VMs", "\\"),
                FOLDER.replace("VMs", ".."),
                FOLDER.replace("C:\\ClusterStorage", "D:"),
                "defaultFolder: '\\\\files\\vms'",
            )
        ),
        ("spec:\n", "spec:\n  capacity: {memoryReserve: 101%}\n", "a percentage such as 10%"),
        ("spec:\n", "spec:\n  capacity: {memoryReserve: 10}\n", "put it in quotes, '10'"),
    ],
)
def test_cluster_that_contradicts_itself_is_refused(old: str, new: str, finding: str) -> None:
    """The operator's own file is held to the same rules."""
    assert old in CLUSTER
    assert any(finding in line for line in said(CLUSTER.replace(old, new), OPERATOR_KINDS))


def test_one_name_twice_is_told() -> None:
    """Both stay visible, so that both can be frozen."""
    reading = read({"a.yaml": small("a"), "b.yaml": small("a", vm="B")})
    assert len(reading.documents) == 2
    assert [str(finding) for finding in reading.findings] == [
        (
            "b.yaml:1:1: metadata.name: VirtualMachinePlacement a is also in a.yaml:1; "
            "nothing is done about either (expected a name of its own)"
        )
    ]


def test_order_of_files_is_irrelevant() -> None:
    """Directory listings come in any order."""
    files = {
        f"{name}.yaml": small(name, "suspent: 1") + "---\n" + small(name * 2) for name in "cab"
    }
    assert read(files) == read(dict(sorted(files.items())))


def test_digest_tells_texts_apart() -> None:
    """An unchanged document costs nothing the second time, wherever it then stands."""
    first = read(many(3))
    known = {document.digest: document for document in first.documents}
    assert len(known) == 3
    raw = ("# moved\n---\n" + many(3)).encode()
    second = read_documents({"b.yaml": raw}, allowed=PLACEMENT_KINDS, known=known)
    assert [d.model for d in second.documents] == [d.model for d in first.documents]
    assert second.documents[1].model is first.documents[1].model
    assert [(d.file, d.line) for d in second.documents][:2] == [("b.yaml", 3), ("b.yaml", 30)]


def test_kinds_divide_into_two_trusts() -> None:
    """Each kind is somebody's to write, and none is everybody's."""
    assert frozenset(KINDS) == OPERATOR_KINDS | PLACEMENT_KINDS
    assert not OPERATOR_KINDS & PLACEMENT_KINDS
