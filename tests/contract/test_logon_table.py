"""Every kind of authentication, over HTTP and HTTPS, in good and in bad times: one table.

Where a check fails, no byte of the credentials has left; and an account is not locked: at most two
bad log-ons for 64 nodes.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from controller.model.observed import GapReason
from controller.simulator.serve import SimulatedSite
from controller.simulator.winrm_server.certificates import CertificateAuthority, Validity
from controller.simulator.winrm_server.injection import Cut
from tests.contract.clusters import Cluster, eventually, over_winrm
from tests.contract.logon_table import ROW, USERS, WAYS
from tests.support.kdc import Kdc

Tell = Callable[[str, str], None]
LOOK = {"clusterWide": False}
SEALED = ("Kerberos", "NTLM")
SIXTY_FOUR = [f"HV{number:02}" for number in range(1, 65)]
every_cell = pytest.mark.parametrize(
    "way", WAYS, indirect=True, ids=[f"{kind}-{scheme}" for kind, scheme in WAYS]
)


class Way:
    """One kind of authentication over one scheme."""

    def __init__(self, authentication: str, scheme: str, request: pytest.FixtureRequest) -> None:
        self.authentication = authentication
        self.https = scheme == "https"
        self.refused_beforehand = not self.https and authentication not in SEALED
        self.centre: Kdc | None = None
        if authentication == "Kerberos":
            self.centre = request.getfixturevalue("in_realm")

    def play(self, story: Callable[[Cluster], Awaitable[None]], **options: Any) -> None:
        """Play it on four nodes, or on those of the world given."""
        user, password = USERS[self.authentication]
        over_winrm(
            story,
            authentication=self.authentication,
            https=self.https,
            user=user,
            **{
                "password": password,
                "account": self.certificate if self.authentication == "Certificate" else None,
                "keytab": self.centre and self.centre.folder / "nodes.keytab",
                **options,
                "settings": {
                    "credssp": self.authentication == "CredSSP",
                    **options.get("settings", {}),
                },
            },
        )

    def certificate(self, site: SimulatedSite, **changes: Any) -> str:
        """Credentials of a client certificate."""
        shown = site.authority.issue_for_client(
            changes.pop("user", USERS["Certificate"][0]), **changes
        )
        return f"certificate={shown.certificate_file}\nkey={shown.key_file}\n"

    def bad_logons(self, cluster: Cluster) -> int:
        """How many were seen by those who count them."""
        seen = sum(server.counts["LogOnRefused"] for server in cluster.servers.values())
        return seen + (self.centre.bad_logons if self.centre else 0)


@pytest.fixture
def way(request: pytest.FixtureRequest) -> Way:
    """The way of this cell; never spoken where the credentials would go in clear text."""
    return Way(*request.param, request)


@pytest.fixture
def tell(way: Way, record_property: Callable[[str, object], None]) -> Tell:
    """Put a cell into the table."""
    scheme = "https" if way.https else "http"
    return lambda case, said: record_property(ROW, ((way.authentication, scheme), case, said))


def nothing_sent(cluster: Cluster) -> bool:
    """Whether no node has seen a request."""
    return all(server.counts["HTTP"] == 0 for server in cluster.servers.values())


async def refused_beforehand(way: Way, cluster: Cluster) -> bool:
    """Basic and certificates over plain HTTP: nothing leaves, whatever the case is."""
    if not way.refused_beforehand:
        return False
    seen = await cluster.observer.observe()
    why = {"CredSSP": "would hand the password to a node that no certificate proves"}
    text = why.get(way.authentication, "would send the password in clear text")
    assert text in seen.gaps[0].detail
    assert nothing_sent(cluster)
    return True


@every_cell
def test_good_credentials_get_in(way: Way, tell: Tell) -> None:
    """All nodes are seen."""

    async def story(cluster: Cluster) -> None:
        if await refused_beforehand(way, cluster):
            return tell("good", "never spoken; nothing sent")
        assert (await cluster.observer.observe()).gaps == ()
        return tell("good", "gets in")

    way.play(story)


@every_cell
def test_wrong_password_costs_two_bad_logons_on_64_nodes(way: Way, tell: Tell) -> None:
    """Asked three times over: the account stays open."""
    world = (
        "cluster: {name: c1, domain: corp.example}\nnodes:\n"
        + "".join(f"- {{name: {name}}}\n" for name in SIXTY_FOUR)
        + "vms: []\n"
    )
    options: dict[str, Any] = {"password": "not this one"}
    if way.authentication == "Certificate":
        options = {"account": lambda site: way.certificate(site, user="CORP\\nobody")}

    async def story(cluster: Cluster) -> None:
        if await refused_beforehand(way, cluster):
            return tell("wrong password", "never spoken; nothing sent")
        before = way.bad_logons(cluster)
        for _ in range(3):
            seen = await cluster.observer.observe()
            assert {gap.reason for gap in seen.gaps} == {GapReason.LOGON_REFUSED}
            assert len(seen.gaps) == len(SIXTY_FOUR)
        bad = way.bad_logons(cluster) - before
        assert 1 <= bad <= 2
        return tell("wrong password", f"refused; {bad} bad log-ons for 64 nodes, asked three times")

    seeds = tuple(f"{name}.corp.example" for name in SIXTY_FOUR)
    way.play(story, world=world, seeds=seeds, **options)


@every_cell
def test_expired_credentials_stay_out(way: Way, tell: Tell, request: pytest.FixtureRequest) -> None:
    """A ticket of two days ago, a certificate of last year, an account that the node calls so."""
    options: dict[str, Any] = {}
    if way.centre:
        late: Kdc = request.getfixturevalue("late_centre")
        user = USERS["Kerberos"][0]
        cache = late.kinit(user, late.keytab("own.keytab", [user]))
        options = {"account": lambda site: f"cache=FILE:{cache}\n"}
    elif way.authentication == "Certificate":
        options = {"account": lambda site: way.certificate(site, validity=Validity.EXPIRED)}

    async def story(cluster: Cluster) -> None:
        if await refused_beforehand(way, cluster):
            return tell("expired", "never spoken; nothing sent")
        for server in cluster.servers.values():
            server.faults.refuse_logons = True
        seen = await cluster.observer.observe()
        assert seen.vms == ()
        logons = sum(server.counts["LogOnRefused"] for server in cluster.servers.values())
        if way.centre:
            assert "expired" in seen.gaps[0].detail
            assert logons == 0
            return tell("expired", "ticket expired; no log-on sent")
        if way.authentication == "Certificate":
            assert nothing_sent(cluster), "TLS itself refuses it"
            return tell("expired", "refused by TLS; no request sent")
        assert {gap.reason for gap in seen.gaps} == {GapReason.LOGON_REFUSED}
        assert logons <= 2
        return tell("expired", f"refused; {logons} bad log-ons")

    way.play(story, **options)


@every_cell
def test_node_of_another_name_gets_nothing(way: Way, tell: Tell) -> None:
    """TLS compares the name, Kerberos asks for a ticket by it; NTLM over HTTP knows no names."""

    async def story(cluster: Cluster) -> None:
        if await refused_beforehand(way, cluster):
            return tell("wrong host name", "never spoken; nothing sent")
        seen = await cluster.observer.observe()
        logons = sum(server.counts["LogOn"] for server in cluster.servers.values())
        if way.https:
            assert "its certificate is for another name" in seen.gaps[0].detail
            assert nothing_sent(cluster)
            return tell("wrong host name", "certificate refused; nothing sent")
        if way.centre:
            assert "not found in Kerberos database" in seen.gaps[0].detail
            assert logons == 0
            return tell("wrong host name", "no ticket for it; no log-on sent")
        assert seen.gaps == ()
        return tell("wrong host name", "not noticed: why ntlmOverHTTP must be said")

    way.play(story, seeds=("HV01.elsewhere.corp.example", "HV02.elsewhere.corp.example"))


@every_cell
@pytest.mark.parametrize("case", ["self-signed", "expired certificate"])
def test_certificate_without_worth_gets_nothing(
    way: Way, tell: Tell, case: str, tmp_path: Path
) -> None:
    """One that no trusted authority signed, and one that was good once."""
    if not way.https:
        return tell(case, "no certificate over HTTP")
    said, options = {
        "self-signed": (
            "signed by no authority that is trusted here",
            {"ca_file": CertificateAuthority(tmp_path).ca_file},
        ),
        "expired certificate": ("has expired", {"node_validity": Validity.EXPIRED}),
    }[case]

    async def story(cluster: Cluster) -> None:
        seen = await cluster.observer.observe()
        assert {gap.reason for gap in seen.gaps} == {GapReason.UNREACHABLE}
        assert said in seen.gaps[0].detail
        assert nothing_sent(cluster)
        tell(case, "certificate refused; nothing sent")

    return way.play(story, **options)


@every_cell
def test_cut_connection_is_made_anew(way: Way, tell: Tell) -> None:
    """Before and after execution, twelve times: each call is done once and answered."""

    async def story(cluster: Cluster) -> None:
        if await refused_beforehand(way, cluster):
            return tell("cut connection", "never spoken; nothing sent")
        await cluster.caller.call("HV01", "observe", LOOK, timeout_seconds=10)
        cuts = [Cut.NONE, Cut.BEFORE, Cut.NONE, Cut.AFTER] * 3
        cluster.servers["HV01"].faults.script_cuts(cuts)
        for _ in range(6):
            await cluster.caller.call("HV01", "observe", LOOK, timeout_seconds=10)
        assert cluster.count("observe") == 7
        return tell("cut connection", "logs on again; each call done once")

    way.play(story)


@every_cell
def test_connection_idle_for_long_is_made_anew(way: Way, tell: Tell) -> None:
    """http.sys cuts it after 120 s (here 0.4 s); a broken seal must not outlive that."""

    async def story(cluster: Cluster) -> None:
        if await refused_beforehand(way, cluster):
            return tell("idle", "never spoken; nothing sent")
        await cluster.caller.call("HV01", "observe", LOOK, timeout_seconds=10)
        await eventually(lambda: not cluster.servers["HV01"].connections)
        await cluster.caller.call("HV01", "observe", LOOK, timeout_seconds=10)
        assert cluster.count("observe") == 2
        return tell("idle", "logs on again")

    way.play(story, settings={"idle_seconds": 0.4})
