"""The limits of a node's WinRM service, as `winrm get winrm/config` shows them."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping

import xmltodict
from winrm.protocol import Protocol

CONFIG = "http://schemas.microsoft.com/wbem/wsman/1/config"
GET = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Get"


def read_quotas(protocol: Protocol) -> Mapping[str, int]:
    """Every setting that is a number, by its own name; raises as an exchange does."""
    request = {"env:Envelope": protocol.build_wsman_header(GET, CONFIG)}
    request["env:Envelope"]["env:Body"] = {}
    answer = protocol.send_message(xmltodict.unparse(request))
    found = ET.fromstring(answer).iter()  # noqa: S314 - sent by a node that proved itself
    return {
        element.tag.rpartition("}")[2]: int(element.text)
        for element in found
        if element.text and element.text.isascii() and element.text.isdigit()
    }
