"""CredSSP hands the password to the node: over HTTPS only, and only when it has proved itself.

The table of ways to log on has its rows too. The acceptor is pyspnego's.
"""

import logging
from typing import Any

import pytest
import spnego._credssp

from controller.errors import LogonRefused, Unreachable
from controller.model.observed import GapReason
from controller.simulator.winrm_server.faults import aborted
from tests.contract.clusters import PASSWORD, Cluster, Story, over_winrm


def play(story: Story, *, offered: bool = True, **options: Any) -> None:
    """On four nodes over HTTPS, which offer CredSSP or do not."""
    over_winrm(story, authentication="CredSSP", settings={"credssp": offered}, **options)


async def ping(cluster: Cluster) -> None:
    await cluster.caller.call("HV01", "ping", {}, timeout_seconds=10)


def counts(cluster: Cluster, name: str) -> int:
    return sum(server.counts[name] for server in cluster.servers.values())


def test_a_node_that_does_not_offer_it_costs_no_log_on() -> None:
    """It is off in Windows unless somebody enables it, and the account is not to be locked."""

    async def story(cluster: Cluster) -> None:
        for _ in range(3):
            with pytest.raises(LogonRefused, match="Enable-WSManCredSSP -Role Server"):
                await ping(cluster)
        assert counts(cluster, "LogOn") == counts(cluster, "LogOnRefused") == 0

    play(story, offered=False)


def test_a_fault_right_after_the_log_on_is_no_bad_log_on() -> None:
    """The body of the last step is executed; whatever comes of that, the account was accepted."""

    async def story(cluster: Cluster) -> None:
        server = cluster.servers["HV01"]
        server.faults.fail("Create", aborted())
        await ping(cluster)
        assert server.counts["LogOn"] >= 1
        assert counts(cluster, "LogOnRefused") == 0

    play(story)


def test_an_old_node_is_not_handed_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before version 5 whoever sits in between may use it (CVE-2018-0886)."""
    monkeypatch.setattr(spnego._credssp, "_CREDSSP_VERSION", 4)

    async def story(cluster: Cluster) -> None:
        with pytest.raises(Unreachable, match="minimum requirements"):
            await ping(cluster)
        assert counts(cluster, "LogOn") == counts(cluster, "LogOnRefused") == 0

    play(story)


def test_a_node_that_does_not_prove_its_key_is_not_handed_the_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The proof is of the key of the TLS inside: another one there is somebody in between."""
    true, accepts = spnego._credssp._get_pub_key_auth, []

    def proof(pub_key: bytes, usage: str, nonce: bytes | None = None) -> bytes:
        """In each handshake the node says it first, and then our side works out what is true."""
        if usage == "accept":
            accepts.append(usage)
        lies = usage == "accept" and len(accepts) % 2 == 1
        return true(bytes(len(pub_key)) if lies else pub_key, usage, nonce=nonce)

    monkeypatch.setattr(spnego._credssp, "_get_pub_key_auth", proof)

    async def story(cluster: Cluster) -> None:
        with pytest.raises(Unreachable, match="Public key verification failed"):
            await ping(cluster)
        assert counts(cluster, "LogOn") == counts(cluster, "LogOnRefused") == 0

    play(story)


def test_the_password_stands_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Also not where the libraries below say all that they do."""
    caplog.set_level(logging.DEBUG)

    async def story(cluster: Cluster) -> None:
        assert (await cluster.observer.observe()).gaps == ()

    play(story)
    assert PASSWORD not in caplog.text


def test_a_refused_account_is_told_with_its_reason() -> None:
    """And the whole cluster is asked twice at most."""

    async def story(cluster: Cluster) -> None:
        seen = await cluster.observer.observe()
        assert {gap.reason for gap in seen.gaps} == {GapReason.LOGON_REFUSED}
        assert "refused the log-on" in seen.gaps[0].detail or "paused" in seen.gaps[0].detail
        assert 1 <= counts(cluster, "LogOnRefused") <= 2

    play(story, password="not this one")
