"""Names as Windows compares them: without regard to case, never with culture rules.

Only ASCII letters are folded. Specs allow no others, so a name of a spec matches just what Windows
would match. `str.lower` would also make K of the Kelvin sign and i of İ, which Windows keeps apart;
two names with other letters that differ in case only are two names here: not found, never confused.
"""

import string
from functools import lru_cache

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


# The names of a cluster are few, and compared everywhere.
@lru_cache(maxsize=1 << 14)
def fold(name: str) -> str:
    """The form under which a name is a key."""
    return name.lower() if name.isascii() else name.translate(_LOWER)


def same_name(a: str | None, b: str | None) -> bool:
    """Whether both name the same thing; a missing name is the same as nothing, not even another."""
    return a is not None and b is not None and (a == b or fold(a) == fold(b))


def short_node(name: str) -> str:
    """A node's cluster name: `HV01.corp.example` and `hv01` are one node to a failover cluster."""
    return name.split(".", 1)[0]
