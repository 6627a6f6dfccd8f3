"""The way to a node, walked step by step: each obstacle is named at its own step."""

import socket
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.winrm.doctor import Examination
from controller.model.checkup import CheckName, CheckResult
from controller.simulator.winrm_server.certificates import CertificateAuthority
from tests.contract.clusters import (
    Cluster,
    certificate_over_https,
    ntlm_over_http,
    ntlm_over_https,
    psrp,
)


def examined(play: Any = ntlm_over_https, node: str = "HV01", **options: Any) -> Examination:
    """The examination of one node."""
    found: list[Examination] = []

    async def story(cluster: Cluster) -> None:
        assert cluster.connection is not None
        one = Examination(node, cluster.connection, cluster.caller)  # type: ignore[arg-type]
        await one.run()
        found.append(one)

    play(story, **options)
    return found[0]


def obstacle(examination: Examination) -> tuple[CheckName, str]:
    """Where the way ended, and why; everything before passed."""
    *before, last = examination.checks
    assert {check.result for check in before} <= {CheckResult.PASS}
    assert last.result is CheckResult.FAIL
    assert last.remedy
    assert examination.condition is None
    return last.name, last.found


@pytest.mark.parametrize("play", [ntlm_over_https, ntlm_over_http, certificate_over_https, psrp])
def test_open_way_leads_to_what_the_node_says(play: Any) -> None:
    """All that is judged is there, quotas too."""
    one = examined(play)
    assert [check.name for check in one.checks] == list(CheckName)[:4]
    assert one.condition is not None
    assert one.condition.quotas is not None
    assert one.condition.quotas["MaxShellsPerUser"] == 30
    assert one.condition.nodes == ("HV01", "HV02", "HV03", "HV04")
    assert one.condition.volumes == ("C:\\ClusterStorage\\Volume1",)


def test_name_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS, or an address in the configuration."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    name, found = obstacle(examined(node="HV77"))
    assert (name, found) == (CheckName.NAME, "HV77.corp.example: its name cannot be resolved")


def test_way_that_is_never_taken() -> None:
    """Basic to port 5985 is refused here, before anything is resolved."""
    name, found = obstacle(examined(ntlm_over_http, ntlm_over_http=False))
    assert name is CheckName.NAME
    assert "ntlmOverHTTP" in found


def test_port_that_is_closed() -> None:
    """WinRM is off, or a firewall is between."""

    async def story(cluster: Cluster) -> None:
        assert cluster.site is not None
        cluster.world.node("HV01").powered = False
        await cluster.site.align()
        assert cluster.connection is not None
        one = Examination("HV01", cluster.connection, cluster.caller)  # type: ignore[arg-type]
        await one.run()
        assert obstacle(one) == (CheckName.PORT, "connection refused")

    ntlm_over_https(story)


def test_certificate_that_is_not_trusted(tmp_path: Path) -> None:
    """Before any log-on."""
    name, found = obstacle(examined(ca_file=CertificateAuthority(tmp_path).ca_file))
    assert name is CheckName.TLS
    assert "signed by no authority that is trusted here" in found


def test_certificate_of_another_name() -> None:
    """The seed's name is what it must prove."""
    seeds = ("HV01.elsewhere.example", "HV02.elsewhere.example")
    assert obstacle(examined(seeds=seeds))[0] is CheckName.TLS


def test_pin_of_another_certificate() -> None:
    """The one that is there is told, for whoever renewed it."""
    one = examined(pins=lambda site: {"hv01": "0" * 64})
    assert obstacle(one) == (CheckName.TLS, "another certificate than the pinned one")


def test_password_that_is_wrong() -> None:
    """One bad log-on a node, and two at most."""
    name, found = obstacle(examined(password="not this one"))
    assert name is CheckName.LOG_ON
    assert "refused the log-on" in found


def test_quotas_that_are_low_are_read_from_the_node() -> None:
    """Windows' own names, so that they can be looked up."""
    one = examined(settings={"shells_per_user_max": 3})
    assert one.condition is not None
    assert one.condition.quotas is not None
    assert one.condition.quotas["MaxShellsPerUser"] == 3
