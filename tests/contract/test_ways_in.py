"""What a cluster's document says of the way to its nodes: certificates, pins, plain HTTP."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from controller.adapters.specs.once import read_clusters
from controller.app import reach
from controller.errors import RemoteFailed, SpecError, Unreachable
from controller.model.names import fold
from controller.model.observed import GapReason
from controller.planning.resolve import resolve
from controller.simulator.serve import SimulatedSite
from controller.simulator.winrm_server.certificates import CertificateAuthority
from tests.contract.clusters import (
    Cluster,
    Way,
    basic_over_https,
    certificate_over_https,
    ntlm_over_http,
    ntlm_over_https,
    pinned,
    psrp,
)


def test_client_certificate_needs_no_password() -> None:
    """The account that the nodes have mapped the certificate to may do everything."""

    async def story(cluster: Cluster) -> None:
        assert (await cluster.observer.observe()).gaps == ()

    certificate_over_https(story)


def test_certificate_of_a_stranger_is_refused_twice() -> None:
    """As with a wrong password: then the cluster is left alone."""

    async def story(cluster: Cluster) -> None:
        for _ in range(3):
            seen = await cluster.observer.observe()
            assert {gap.reason for gap in seen.gaps} == {GapReason.LOGON_REFUSED}
        assert sum(s.counts["LogOnRefused"] for s in cluster.servers.values()) == 2

    certificate_over_https(story, user="CORP\\svc-move", shown_as="CORP\\nobody")


def test_renewed_certificate_is_taken_up() -> None:
    """The same file with another content is another credential."""

    async def story(cluster: Cluster) -> None:
        before = cluster.credentials.read()
        write_file(Path(before.certificate), b"renewed")
        assert cluster.credentials.read() != before

    certificate_over_https(story)


def write_file(path: Path, content: bytes) -> None:
    """Put something else into it."""
    path.write_bytes(content)


def test_pinned_certificate_needs_no_authority(tmp_path: Path) -> None:
    """A self-signed certificate is as good as a signed one, if it is the very one."""

    async def story(cluster: Cluster) -> None:
        assert (await cluster.observer.observe()).gaps == ()

    ntlm_over_https(story, ca_file=CertificateAuthority(tmp_path).ca_file, pins=pinned)


def test_another_certificate_than_the_pinned_one_gets_no_byte_of_the_credentials() -> None:
    """Also one of a trusted authority, and for the right name."""

    def exchanged(site: SimulatedSite) -> Mapping[str, str]:
        pins = pinned(site)
        return {**pins, fold("HV01"): pins[fold("HV02")], fold("HV02"): pins[fold("HV01")]}

    async def story(cluster: Cluster) -> None:
        seen = await cluster.observer.observe()
        assert {gap.reason for gap in seen.gaps} == {GapReason.UNREACHABLE}
        assert "is not the one that is pinned" in seen.gaps[0].detail
        assert all(server.counts["HTTP"] == 0 for server in cluster.servers.values())

    ntlm_over_https(story, pins=exchanged)


def test_node_without_a_pin_is_not_trusted_where_others_have_one() -> None:
    """A discovered node must not come in by the machine's own authorities."""

    def one(site: SimulatedSite) -> Mapping[str, str]:
        return {fold("HV01"): pinned(site)[fold("HV01")]}

    async def story(cluster: Cluster) -> None:
        with pytest.raises(Unreachable, match="no certificate of HV02 is pinned"):
            await cluster.caller.call("HV02", "ping", {}, timeout_seconds=5)
        assert cluster.servers["HV02"].counts["HTTP"] == 0

    ntlm_over_https(story, pins=one)


def test_ntlm_over_plain_http_needs_its_own_word() -> None:
    """NTLM can be relayed: naming it is not enough where no certificate proves the node."""

    async def story(cluster: Cluster) -> None:
        with pytest.raises(Unreachable, match="ntlmOverHTTP"):
            await cluster.caller.call("HV01", "ping", {}, timeout_seconds=5)
        assert all(server.counts["HTTP"] == 0 for server in cluster.servers.values())

    ntlm_over_http(story, ntlm_over_http=False)


def document(name: str, authentication: str, place: str) -> str:
    """One cluster's document."""
    return (
        f"apiVersion: ownernode.io/v1alpha1\nkind: FailoverCluster\nmetadata: {{name: {name}}}\n"
        f"spec:\n  connection:\n    nodes: [hv01.{name}.example]\n"
        f"    authentication: {authentication}\n    credentials: {{env: {place}}}\n"
    )


def test_second_kerberos_identity_is_refused(tmp_path: Path) -> None:
    """One identity a process; clusters that share it, and other ways to log on, are welcome."""
    config = tmp_path / "config.yaml"
    same = [document("a", "Kerberos", "ONE"), document("b", "Kerberos", "ONE")]
    config.write_text("---\n".join([*same, document("c", "NTLM", "TWO")]), encoding="utf-8")
    assert len(read_clusters(config)) == 3
    config.write_text("---\n".join([*same, document("c", "Kerberos", "TWO")]), encoding="utf-8")
    with pytest.raises(SpecError, match="one process has one Kerberos identity"):
        read_clusters(config)


def test_the_document_chooses_the_jea_endpoint(tmp_path: Path) -> None:
    """Nothing else is opened on a node: no shell, no program, no line of input."""
    config = tmp_path / "config.yaml"
    text = document("a", "NTLM", "ONE")
    config.write_text(f"{text}    transport: PSRP\n", encoding="utf-8")
    (cluster,) = read_clusters(config)
    assert resolve(cluster, (), (), "").connection.transport == "PSRP"

    async def story(cluster: Cluster) -> None:
        assert (await cluster.observer.observe()).is_complete
        for server in cluster.servers.values():
            assert server.shells == 1
            assert server.counts["Command"] == server.counts["Signal"] > 0
            assert server.counts["Send"] == 0

    psrp(story)


@pytest.mark.parametrize("play", [basic_over_https, certificate_over_https, ntlm_over_http])
def test_every_log_on_reaches_the_endpoint(play: Way) -> None:
    """It is the same connection, whatever is said on it."""

    async def story(cluster: Cluster) -> None:
        assert (await cluster.observer.observe()).is_complete

    play(story, transport="PSRP")


@pytest.mark.parametrize(
    ("operation", "arguments"), [("ping", {"more": 1}), ("observe", {"clusterWide": "yes"})]
)
def test_what_the_endpoint_refuses_was_not_executed(
    operation: str, arguments: Mapping[str, object]
) -> None:
    """Neither an unknown parameter nor a bad value leaves the outcome in doubt."""

    async def story(cluster: Cluster) -> None:
        with pytest.raises(RemoteFailed) as failure:
            await cluster.caller.call("HV01", operation, arguments, timeout_seconds=5)
        assert failure.value.kind == "BadCall"
        await cluster.caller.call("HV01", "ping", {}, timeout_seconds=5)
        assert cluster.servers["HV01"].counts["Create"] == 1

    psrp(story)


def test_without_the_extra_everything_else_works() -> None:
    """PSRP says what to install; WinRM needs none of it."""
    program = f"""
import sys
sys.modules["pypsrp"] = None
from controller.adapters.winrm import psrp
from controller.errors import SpecError
import {reach.__name__}
try:
    psrp.PoolSession()
except SpecError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert "install ownernode[psrp]" in done.stdout
