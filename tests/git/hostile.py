"""Draws commits that somebody made to do harm, or that broke on their way."""

from random import Random

from tests.support.repository import Repository
from tests.unit.specs.writing import CLUSTER, small

Entry = tuple[str, bytes, str]
"""Mode, name, id."""

NAMES = (
    b"..", b".", b".git", b".GIT", b"git~1", b".git\xe2\x80\x8c", b"a/b.yaml", b"../up.yaml",
    b"/etc/passwd.yaml", b"-rf.yaml", b"--upload-pack=x.yaml", b"con.yaml", b"a\nb.yaml",
    b"a\tb.yaml", b"\x1b[2J.yaml", b"\xff\xfe.yaml", b"\xe2\x80\xae.yaml", b"a b.yaml", b"*.yaml",
    b":(top)x.yaml", b"x" * 4000 + b".yaml", b"vm0.yaml", b"VM0.yaml", b"$(id).yaml", b"a\\b.yaml",
    b".gitmodules", b".gitattributes", b"new.yml", b"plain.txt",
)  # fmt: skip
MODES = (
    "100644", "100755", "120000", "160000", "40000", "100664", "100666", "60000", "0", "777",
    "107777", "0100644", "10064x",
)  # fmt: skip
PLACEMENT = small("new").encode()
CONTENTS = (
    PLACEMENT, PLACEMENT[:-1], PLACEMENT[:50], b"", b"\0", b"# nothing\n", b"---\n", b"null\n",
    CLUSTER.encode(), small("vm0", "suspend: true").encode(), PLACEMENT.replace(b"\n", b"\r"),
    b"\xff\xfe" + PLACEMENT, PLACEMENT + b"\0", b"&a [*a, *a]\n", b"a: &x [1]\nb: *x\n",
    b"[" * 5000 + b"]" * 5000 + b"\n", b"x: " + b"y" * 2_000_000 + b"\n", b"/etc/passwd",
    b"../../../etc", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    b"!!python/object/apply:os.system [id]\n", b"kind: Secret\n", PLACEMENT * 2,
    b"<<<<<<< HEAD\n" + PLACEMENT + b"=======\n>>>>>>> x\n",
)  # fmt: skip


def forge(repository: Repository, good: list[Entry], parent: str, random: Random) -> str:
    """Write a commit that holds the good files and something that nobody should take."""
    entries = [*good, *(_entry(repository, random) for _ in range(random.choice((1, 1, 1, 3))))]
    if random.random() < 0.2:
        random.shuffle(entries)
    else:
        entries.sort(key=lambda entry: entry[1] + (b"/" if entry[0] == "40000" else b""))
    if random.random() < 0.1:
        entries.append(entries[0])
    folder = repository.tree(entries)
    if random.random() < 0.1:
        folder = _truncated(repository, entries, random)
    tree = repository.tree([("40000", b"prod", folder)])
    return _commit(repository, tree, parent, random)


def _entry(repository: Repository, random: Random) -> Entry:
    name = random.choice(NAMES) if random.random() < 0.4 else b"new.yaml"
    mode = random.choice(MODES) if random.random() < 0.3 else "100644"
    match random.randrange(16):
        case 0:
            return "40000", b"bomb", _bomb(repository, random.randint(3, 9))
        case 1:
            return "40000", b"deep", _deep(repository, random.choice([10, 300, 3000]))
        case 2:
            return random.choice(("100644", "40000", "160000")), name, "1" * 40
        case 3:
            tree = repository.tree([("100644", name, repository.blob(PLACEMENT))])
            return mode, b"folder.yaml", tree
        case _:
            blob = repository.blob(random.choice(CONTENTS))
            return mode, name, blob


def _bomb(repository: Repository, levels: int) -> str:
    """A tree of ten times the same tree, and so on: 10^levels files in a few hundred bytes."""
    tree = repository.tree([("100644", b"x.yaml", repository.blob(PLACEMENT))])
    for _ in range(levels):
        tree = repository.tree([("40000", f"d{i}".encode(), tree) for i in range(10)])
    return tree


def _deep(repository: Repository, levels: int) -> str:
    tree = repository.tree([("100644", b"x.yaml", repository.blob(PLACEMENT))])
    for _ in range(levels):
        tree = repository.tree([("40000", b"d", tree)])
    return tree


def _truncated(repository: Repository, entries: list[Entry], random: Random) -> str:
    raw = b"".join(m.encode() + b" " + n + b"\0" + bytes.fromhex(i) for m, n, i in entries)
    return repository.write("tree", raw[: random.randrange(len(raw))])


def _commit(repository: Repository, tree: str, parent: str, random: Random) -> str:
    who = "eve <eve@corp.example> 1700000000 +0000"
    lines = [f"tree {tree}", f"parent {parent}", f"author {who}", f"committer {who}", "", "forged"]
    if random.random() < 0.15:
        spoil = random.choice(("tree", "parent", "author", "committer"))
        lines = [line for line in lines if not line.startswith(spoil) or random.random() < 0.3]
        lines.insert(random.randrange(len(lines)), random.choice(("parent " + "2" * 40, "\0", "x")))
    return repository.write("commit", "\n".join(lines).encode())
