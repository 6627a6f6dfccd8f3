"""Kerberos against a real KDC, with the simulated nodes as the services: what gets in, what not."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.winrm import kerberos
from controller.model.observed import GapReason, ObservedState
from controller.simulator.winrm_server.authentication import Logon
from tests.contract.clusters import Cluster, over_winrm, pinned
from tests.contract.logon_table import USERS
from tests.support.kdc import REALM, Kdc

USER, PASSWORD = USERS["Kerberos"]
BY_PASSWORD = f"username={USER}\npassword={PASSWORD}\n"
NODES = tuple(f"hv0{number}.corp.example" for number in (1, 2, 3, 4))
both = pytest.mark.parametrize("https", [True, False], ids=["https", "http"])


@dataclass(frozen=True)
class Look:
    """One look at the cluster, and what it cost in log-ons."""

    seen: ObservedState
    logons: int
    """Log-ons that reached any node, accepted or refused."""

    def refusal(self) -> str:
        """What is said where nothing was seen."""
        assert self.seen.vms == ()
        assert {gap.reason for gap in self.seen.gaps} == {GapReason.LOGON_REFUSED}
        return self.seen.gaps[0].detail


def look(centre: Kdc, account: str, *, https: bool = True, **options: Any) -> Look:
    """Look once with this account."""
    looks: list[Look] = []

    async def story(cluster: Cluster) -> None:
        seen = await cluster.observer.observe()
        counts = [server.counts for server in cluster.servers.values()]
        looks.append(Look(seen, sum(c["LogOn"] + c["LogOnRefused"] for c in counts)))

    over_winrm(
        story,
        authentication="Kerberos",
        https=https,
        user=USER,
        account=lambda site: account,
        keytab=centre.folder / "nodes.keytab",
        **options,
    )
    return looks[0]


@both
def test_password_gets_a_ticket_and_the_ticket_gets_in(in_realm: Kdc, https: bool) -> None:
    """Bound to the channel over TLS; over plain HTTP every message is sealed."""
    assert look(in_realm, BY_PASSWORD, https=https).seen.gaps == ()


@both
def test_keytab_stands_in_for_the_password(in_realm: Kdc, https: bool) -> None:
    """What a service account has: a file of keys, and no password anywhere."""
    keytab = in_realm.keytab("own.keytab", [USER])
    assert look(in_realm, f"username={USER}\nkeytab={keytab}\n", https=https).seen.gaps == ()


def test_tickets_of_others_are_used_as_they_are(in_realm: Kdc) -> None:
    """A cache that kinit or a daemon keeps fresh needs no secret of ours."""
    cache = in_realm.kinit(USER, in_realm.keytab("own.keytab", [USER]))
    assert look(in_realm, f"cache=FILE:{cache}\n").seen.gaps == ()


@both
def test_wrong_password_is_tried_twice_on_the_whole_cluster(in_realm: Kdc, https: bool) -> None:
    """The domain controller is the one who counts; no node sees anything of it."""
    before = in_realm.bad_logons
    seeds = tuple(node.replace("hv", "HV") for node in NODES)
    bad = look(in_realm, f"username={USER}\npassword=no\n", https=https, seeds=seeds)
    assert "no ticket for svc-move@CORP.EXAMPLE: Preauthentication failed" in bad.refusal()
    assert bad.logons == 0
    assert 1 <= in_realm.bad_logons - before <= 2


@both
def test_expired_ticket_sends_no_logon(in_realm: Kdc, late_centre: Kdc, https: bool) -> None:
    """A ticket of two days ago is said to be expired, and no node is shown anything."""
    cache = late_centre.kinit(USER, late_centre.keytab("own.keytab", [USER]))
    expired = look(in_realm, f"cache=FILE:{cache}\n", https=https)
    assert "expired" in expired.refusal()
    assert expired.logons == 0


@both
def test_node_without_a_service_principal_is_named(in_realm: Kdc, https: bool) -> None:
    """The remedy is setspn or another name in the configuration, so the name must be told."""
    seeds = ("hv01.elsewhere.corp.example", "hv02.elsewhere.corp.example")
    wrong = look(in_realm, BY_PASSWORD, https=https, seeds=seeds, pins=pinned)
    said = wrong.refusal()
    assert said.startswith("no ticket for HTTP/hv01.elsewhere.corp.example")
    assert "not found in Kerberos database" in said
    assert wrong.logons == 0


def test_clock_out_of_step_with_the_domain_is_said(
    late_centre: Kdc, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kerberos takes five minutes at most; the cause is not the password, and is told apart."""
    monkeypatch.setenv("KRB5_CONFIG", str(late_centre.config))
    skewed = look(late_centre, BY_PASSWORD)
    assert "Clock skew too great" in skewed.refusal()
    assert skewed.logons == 0


def test_domain_controller_that_is_away_is_said(
    in_realm: Kdc, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not a refusal: nothing is counted, and the next look tries again."""
    config = in_realm.config.read_text(encoding="utf-8")
    away = tmp_path / "krb5.conf"
    away.write_text(re.sub(r"kdc = 127.0.0.1:\d+", "kdc = 127.0.0.1:9", config), encoding="utf-8")
    monkeypatch.setenv("KRB5_CONFIG", str(away))
    assert "Cannot contact any KDC" in look(in_realm, BY_PASSWORD).refusal()


def test_ticket_for_a_stranger_does_not_get_in(in_realm: Kdc) -> None:
    """Everybody in a domain gets a ticket for a node; the node knows whom it lets in."""
    stranger = f"nobody@{REALM}"
    keytab = in_realm.keytab("nobody.keytab", [stranger])
    refused = look(in_realm, f"username={stranger}\nkeytab={keytab}\n")
    assert "refused the log-on" in refused.refusal()
    assert refused.logons <= 2


def test_ticket_that_is_bound_to_no_channel_does_not_get_in(
    in_realm: Kdc, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As NTLM's: whoever relays a ticket through a TLS connection of his own is refused."""
    monkeypatch.setattr(kerberos, "_bindings", lambda certificates: None)
    assert "refused the log-on" in look(in_realm, BY_PASSWORD).refusal()


def test_node_that_does_not_prove_itself_is_not_spoken_to(
    in_realm: Kdc, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutual authentication: an answer without the node's own token is no answer."""
    monkeypatch.setattr(
        Logon, "proof", property(lambda logon: (), lambda logon, value: None), raising=False
    )
    unproved = look(in_realm, BY_PASSWORD)
    assert {gap.reason for gap in unproved.seen.gaps} == {GapReason.UNREACHABLE}
    assert "did not prove who it is" in unproved.seen.gaps[0].detail
