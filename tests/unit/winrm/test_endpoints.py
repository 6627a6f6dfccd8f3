"""Where a node is looked for, and which name it must prove."""

from types import MappingProxyType
from typing import Any

import pytest

from controller.adapters.winrm.endpoints import endpoint_of
from controller.errors import SpecError
from controller.model.desired import Connection


def connection(**changes: Any) -> Connection:
    fields: dict[str, Any] = {
        "seeds": ("hv01.corp.example", "hv10.lab.example"),
        "addresses": MappingProxyType(
            {"hv07": "10.1.2.7:5986", "hv08": "console.lab:15986", "hv09": "[fd00::9]:5985"}
        ),
        "authentication": "NTLM",
        "credentials_file": None,
        "credentials_env": None,
        "ca_file": None,
        "ntlm_over_http": True,
    }
    return Connection(**{**fields, **changes})


@pytest.mark.parametrize(
    ("node", "url", "name"),
    [
        ("hv01.corp.example", "https://hv01.corp.example:5986/wsman", "hv01.corp.example"),
        ("HV02", "https://HV02.corp.example:5986/wsman", "HV02.corp.example"),
        ("HV07", "https://10.1.2.7:5986/wsman", "HV07.corp.example"),
        ("hv07.evil.example", "https://10.1.2.7:5986/wsman", "hv07.corp.example"),
        ("HV02.evil.example", "https://HV02.corp.example:5986/wsman", "HV02.corp.example"),
        ("HV10", "https://hv10.lab.example:5986/wsman", "hv10.lab.example"),
        ("HV08", "https://console.lab:15986/wsman", "console.lab"),
        ("HV09", "http://[fd00::9]:5985/wsman", "HV09.corp.example"),
    ],
)
def test_address_is_the_configured_one_or_follows_from_the_seed(
    node: str, url: str, name: str
) -> None:
    """A node behind a bare address still proves its full name; only seeds give a domain."""
    endpoint = endpoint_of(node, connection())
    assert (endpoint.url, endpoint.certificate_name) == (url, name)


def test_port_of_plain_winrm_is_for_sealed_messages_only() -> None:
    """Basic to port 5985 would show the password to the network."""
    for authentication in ("Basic", "Certificate"):
        with pytest.raises(SpecError, match="clear text"):
            endpoint_of("HV09", connection(authentication=authentication))
    with pytest.raises(SpecError, match="no certificate proves"):
        endpoint_of("HV09", connection(authentication="CredSSP"))
    assert endpoint_of("HV09", connection(authentication="Kerberos", ntlm_over_http=False))
    with pytest.raises(SpecError, match="ntlmOverHTTP"):
        endpoint_of("HV09", connection(ntlm_over_http=False))


@pytest.mark.parametrize("address", ["", ":5986", "host:notaport", "user@host:5986"])
def test_senseless_address_is_refused(address: str) -> None:
    """The node and what was expected are named."""
    faulty = connection(addresses={"hv07": address})
    if not address:
        assert endpoint_of("HV07", faulty).host == "HV07.corp.example"
        return
    with pytest.raises(SpecError, match=r"HV07.*host:port"):
        endpoint_of("HV07", faulty)
