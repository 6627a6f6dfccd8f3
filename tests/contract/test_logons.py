"""Who the controller is to the nodes: an account not to be locked, and secrets that stay so."""

import base64
import logging
import traceback
import urllib.parse
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from controller.errors import LogonRefused, SpecError, Unreachable
from controller.model.observed import GapReason
from controller.model.plan import ActionKind
from controller.model.report import OutcomeResult
from controller.simulator.winrm_server.certificates import CertificateAuthority
from controller.simulator.winrm_server.injection import Cut
from controller.simulator.winrm_server.server import NodeServer
from tests.contract.clusters import (
    FENCE,
    PASSWORD,
    USER,
    WIRES,
    Cluster,
    Way,
    action,
    basic_over_https,
    eventually,
    ntlm_over_https,
)

ALL_FOUR = tuple(f"HV0{number}.corp.example" for number in (1, 2, 3, 4))
INTENT = "33333333-3333-4333-8333-333333333333"
every_wire = pytest.mark.parametrize("play", WIRES, ids=lambda way: way.__name__)
every_tls = pytest.mark.parametrize(
    "play", [basic_over_https, ntlm_over_https], ids=lambda way: way.__name__
)


def refused(servers: Mapping[str, NodeServer]) -> int:
    """Bad log-ons that the nodes have seen."""
    return sum(server.counts["LogOnRefused"] for server in servers.values())


def write_file(cluster: Cluster, text: str) -> None:
    """Change the file that the account is read from."""
    Path(str(cluster.credentials.file)).write_text(text, encoding="utf-8")


@every_wire
def test_wrong_password_is_tried_twice_on_the_whole_cluster(play: Way) -> None:
    """Four nodes asked at once, again and again, see two bad log-ons: the account stays open."""

    async def story(cluster: Cluster) -> None:
        for _ in range(3):
            seen = await cluster.observer.observe()
            assert {g.reason for g in seen.gaps} == {GapReason.LOGON_REFUSED}
            assert len(seen.gaps) == 4
            assert seen.vms == ()
        assert refused(cluster.servers) == 2
        move = action(cluster, ActionKind.MOVE, "SQL01", target="HV02")
        outcome = await cluster.actuator.submit(move, INTENT, FENCE)
        assert outcome.result is OutcomeResult.NOT_SENT
        assert refused(cluster.servers) == 2

    play(story, password="not this one", seeds=ALL_FOUR)


@every_wire
def test_corrected_credentials_are_taken_up_at_once(play: Way) -> None:
    """A new secret file is a new account: nobody waits half an hour or restarts anything."""

    async def story(cluster: Cluster) -> None:
        await cluster.observer.observe()
        write_file(cluster, f"username={USER}\npassword={PASSWORD}\n")
        assert (await cluster.observer.observe()).is_complete

    play(story, password="not this one", seeds=ALL_FOUR)


@every_wire
def test_password_changed_while_running_costs_two_bad_logons(play: Way) -> None:
    """All nodes refuse from one moment on and drop their connections: still two, not four."""

    async def story(cluster: Cluster) -> None:
        assert (await cluster.observer.observe()).is_complete
        gate = cluster.gates.gate(cluster.credentials)
        await eventually(lambda: not gate.is_proven())
        for server in cluster.servers.values():
            server.faults.refuse_logons = True
            await server.drop_connections()
        for _ in range(3):
            seen = await cluster.observer.observe()
            assert {g.reason for g in seen.gaps} == {GapReason.LOGON_REFUSED}
        assert refused(cluster.servers) == 2

    play(story)


@every_wire
def test_one_node_that_refuses_does_not_darken_the_others(play: Way) -> None:
    """It is asked once in half an hour, and the account's last try is kept for the rest."""

    async def story(cluster: Cluster) -> None:
        cluster.servers["HV03"].faults.refuse_logons = True
        for _ in range(3):
            seen = await cluster.observer.observe()
            assert [(g.node, g.reason) for g in seen.gaps] == [("HV03", GapReason.LOGON_REFUSED)]
        assert refused(cluster.servers) == 1

    play(story)


@every_tls
def test_unknown_authority_gets_no_byte_of_the_credentials(play: Way, tmp_path: Path) -> None:
    """A certificate that the configured authority did not sign ends it before any request."""

    async def story(cluster: Cluster) -> None:
        seen = await cluster.observer.observe()
        assert {g.reason for g in seen.gaps} == {GapReason.UNREACHABLE}
        said = "HV01.corp.example: its certificate is signed by no authority that is trusted here"
        assert seen.gaps[0].detail == f"{said}; check tls.ca"
        assert all(server.counts["HTTP"] == 0 for server in cluster.servers.values())

    play(story, ca_file=CertificateAuthority(tmp_path).ca_file)


@every_tls
def test_certificate_of_another_name_gets_no_byte_of_the_credentials(play: Way) -> None:
    """A node reached by its address must still prove its full name."""

    async def story(cluster: Cluster) -> None:
        seen = await cluster.observer.observe()
        assert {g.reason for g in seen.gaps} == {GapReason.UNREACHABLE}
        said = "HV01.elsewhere.example: its certificate is for another name: hostname"
        assert seen.gaps[0].detail.startswith(said)
        assert all(server.counts["HTTP"] == 0 for server in cluster.servers.values())

    play(story, seeds=("HV01.elsewhere.example", "HV02.elsewhere.example"))


def test_environment_cannot_redirect_or_loosen_the_connection(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Proxies and certificate bundles of the environment are of no effect."""
    stranger = CertificateAuthority(tmp_path).ca_file
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(stranger))
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    async def story(cluster: Cluster) -> None:
        assert (await cluster.observer.observe()).is_complete

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ntlm_over_https(story)


@every_wire
def test_password_appears_in_no_output(
    play: Way, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Logs at their loudest, errors with their causes, gaps, outcomes and reprs hold no secret."""
    texts: list[str] = []
    caplog.set_level(logging.DEBUG)

    async def story(cluster: Cluster) -> None:
        texts.append(repr(await cluster.observer.observe()))
        cluster.servers["HV01"].faults.script_cuts([Cut.AFTER] * 40)
        for operation in ("observe", "nonsense"):
            try:
                await cluster.caller.call("HV01", operation, {}, timeout_seconds=2)
            except Exception as error:
                texts.extend(traceback.format_exception(error))
        for server in cluster.servers.values():
            server.faults.refuse_logons = True
            await server.drop_connections()
        texts.append(repr(await cluster.observer.observe()))
        move = action(cluster, ActionKind.MOVE, "SQL01", target="HV02")
        texts.append(repr(await cluster.actuator.submit(move, INTENT, FENCE)))
        texts.append(repr(cluster.credentials) + repr(cluster.credentials.read()))
        texts.append(repr(vars(cluster.caller)))

    play(story)
    written = "\n".join((*texts, caplog.text, *capfd.readouterr()))
    assert len(written) > 1000
    assert [form for form in forms_of(PASSWORD) if form in written] == []


def forms_of(secret: str) -> Iterator[str]:
    """A secret as it might slip out."""
    yield secret
    yield urllib.parse.quote(secret)
    for encoding in ("utf-8", "utf-16-le"):
        raw = secret.encode(encoding)
        yield raw.hex()
        yield base64.b64encode(raw).decode().rstrip("=")
    yield base64.b64encode(f"{USER}:{secret}".encode()).decode().rstrip("=")


def test_unreadable_credentials_are_said_without_their_content(tmp_path: Path) -> None:
    """A file of the wrong form is named, never quoted, and no node is asked."""

    async def story(cluster: Cluster) -> None:
        write_file(cluster, "user: me\nsecret-of-mine\n")
        with pytest.raises(LogonRefused) as found:
            await cluster.caller.call("HV01", "ping", {}, timeout_seconds=5)
        assert "username=" in str(found.value)
        assert "secret-of-mine" not in "".join(traceback.format_exception(found.value))
        assert all(server.counts["HTTP"] == 0 for server in cluster.servers.values())

    ntlm_over_https(story)


def test_basic_is_never_spoken_in_clear_text() -> None:
    """A plain-HTTP address with Basic is refused before anything is sent."""

    async def story(cluster: Cluster) -> None:
        with pytest.raises(Unreachable, match="clear text") as found:
            await cluster.caller.call("HV01", "ping", {}, timeout_seconds=5)
        assert isinstance(found.value.__cause__, SpecError)
        assert all(server.counts["HTTP"] == 0 for server in cluster.servers.values())

    basic_over_https(story, https=False)
