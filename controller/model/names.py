"""Names as Windows compares them: without regard to case, never with culture rules.

Specs allow ASCII names only, so `str.lower` and Windows fold alike (facts: ß, İ and K differ).
"""


def fold(name: str) -> str:
    """The form under which a name is a key."""
    return name.lower()


def same_name(a: str | None, b: str | None) -> bool:
    """Whether both name the same thing; a missing name is the same as nothing, not even another."""
    return a is not None and b is not None and fold(a) == fold(b)


def short_node(name: str) -> str:
    """A node's cluster name: `HV01.corp.example` and `hv01` are one node to a failover cluster."""
    return name.split(".", 1)[0]
