"""The ways to log on, the cases that each is played in, and how the table is drawn."""

from collections.abc import Mapping, Sequence

from tests.support.kdc import REALM

ROW = "way to log on"
"""The property in which a test tells its cell."""
CASES = (
    "good",
    "wrong password",
    "expired",
    "wrong host name",
    "self-signed",
    "expired certificate",
    "cut connection",
    "idle",
)
WAYS = tuple(
    (authentication, scheme)
    for authentication in ("Kerberos", "NTLM", "Certificate", "Basic", "CredSSP")
    for scheme in ("https", "http")
)
USERS = {
    "Kerberos": (f"svc-move@{REALM}", "Canary=7f3a 91"),
    "NTLM": ("CORP\\svc-move", "Canary=7f3a Ω 91"),
    "Certificate": ("CORP\\svc-move", ""),
    "Basic": ("CORP\\svc-move", "Canary=7f3a Ω 91"),
    "CredSSP": ("CORP\\svc-move", "Canary=7f3a Ω 91"),
}


def lines(cells: Mapping[tuple[str, str], Mapping[str, str]]) -> Sequence[str]:
    """One line a way and case, in order."""
    return [
        f"{authentication:<12}{scheme:<7}{case:<21}{cells[authentication, scheme][case]}"
        for authentication, scheme in WAYS
        for case in CASES
        if case in cells.get((authentication, scheme), {})
    ]
