"""The wire form of faults and answers, held to recordings of Windows hosts."""

import re
import xml.etree.ElementTree as ET

import pytest
import requests
from winrm_node import PASSWORD, USER, Node, Serve

from controller.simulator.winrm_server import faults

HEADER_NAMESPACES = (
    'xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
    'xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" '
    'xmlns:rsp="http://schemas.microsoft.com/wbem/wsman/1/windows/shell"'
)
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
CONFIG = "http://schemas.microsoft.com/wbem/wsman/1/config"
MESSAGE_ID = "uuid:0b1c2D3e-aBcD-4000-8000-00000000abcd"


def test_fault_of_the_service_is_written_as_windows_writes_it() -> None:
    """A time-out, element for element as recorded from Windows Server (pypsrp's test data)."""
    recorded = (
        "<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>w:TimedOut</s:Value>"
        '</s:Subcode></s:Code><s:Reason><s:Text xml:lang="en-US">The WS-Management service cannot '
        "complete the operation within the time specified in OperationTimeout.  </s:Text>"
        '</s:Reason><s:Detail><f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/'
        'wsmanfault" Code="2150858793" Machine="192.168.56.11"><f:Message>The WS-Management '
        "service cannot complete the operation within the time specified in OperationTimeout.  "
        "</f:Message></f:WSManFault></s:Detail></s:Fault>"
    )
    assert faults.timed_out().shape.render(machine="192.168.56.11") == recorded


def test_fault_of_a_plugin_is_written_as_windows_writes_it() -> None:
    """ERROR_INVALID_PARAMETER from winrscmd.dll, as recorded."""
    recorded = (
        "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>w:InvalidParameter"
        '</s:Value></s:Subcode></s:Code><s:Reason><s:Text xml:lang="en-US">The parameter is '
        "incorrect. </s:Text></s:Reason><s:Detail><w:FaultDetail>http://schemas.dmtf.org/wbem/"
        "wsman/1/wsman/faultDetail/InvalidValue</w:FaultDetail><f:WSManFault xmlns:f="
        '"http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" Code="87" Machine="127.0.0.1">'
        '<f:Message><f:ProviderFault provider="Shell cmd plugin" path="%systemroot%\\system32\\'
        'winrscmd.dll">The parameter is incorrect. </f:ProviderFault></f:Message></f:WSManFault>'
        "</s:Detail></s:Fault>"
    )
    assert faults.bad_parameter().shape.render(machine="127.0.0.1") == recorded


def test_unknown_command_is_written_as_windows_writes_it() -> None:
    """Invalid selectors for a command id, as recorded."""
    recorded = (
        "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>w:InvalidSelectors"
        '</s:Value></s:Subcode></s:Code><s:Reason><s:Text xml:lang="en-US">The WS-Management '
        "service cannot process the request because the request contained invalid selectors for "
        "the resource. </s:Text></s:Reason><s:Detail><w:FaultDetail>http://schemas.dmtf.org/wbem/"
        "wsman/1/wsman/faultDetail/UnexpectedSelectors</w:FaultDetail><f:WSManFault xmlns:f="
        '"http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" Code="2150858843" Machine='
        '"192.168.56.15"><f:Message>The Windows Remote Shell received a request to perform an '
        "operation on a command identifier that does not exist. Either the command has completed "
        "execution or the client specified an invalid command identifier. </f:Message>"
        "</f:WSManFault></s:Detail></s:Fault>"
    )
    assert faults.command_unknown().shape.render(machine="192.168.56.15") == recorded


def test_fault_names_the_node_as_the_client_called_it(serve: Serve) -> None:
    """Machine is the name in the client's URL; status is 500, and the fault has its own action."""
    node = serve(allow_unencrypted=True)
    answer = post(node, envelope(f"{SHELL}/Receive", f"{SHELL}/cmd", shell_id="NONE"))
    assert answer.status_code == 500
    assert 'Code="2150858843" Machine="hv01.corp.example"' in answer.text
    assert ">http://schemas.dmtf.org/wbem/wsman/1/wsman/fault</a:Action>" in answer.text
    assert answer.headers["Content-Type"] == "application/soap+xml;charset=UTF-8"


def test_answer_relates_to_its_request_to_the_letter(serve: Serve) -> None:
    """pypsrp compares RelatesTo with what it sent, case included; faults carry it too."""
    node = serve(allow_unencrypted=True)
    for shell_id in (create_shell(node), "NONE"):
        request = envelope(f"{TRANSFER}/Get", SHELL, shell_id=shell_id)
        assert f"<a:RelatesTo>{MESSAGE_ID}</a:RelatesTo>" in post(node, request).text


def test_receive_must_name_its_command(serve: Serve) -> None:
    """Without a CommandId a cmd shell knows no stream to read: 87 from the plug-in."""
    node = serve(allow_unencrypted=True)
    body = "<rsp:Receive><rsp:DesiredStream>stdout</rsp:DesiredStream></rsp:Receive>"
    shell_id = create_shell(node)
    answer = post(node, envelope(f"{SHELL}/Receive", f"{SHELL}/cmd", body, shell_id=shell_id))
    assert fault_code(answer) == 87


@pytest.mark.parametrize("timeout", ["PT-1S", "20", "PT"])
def test_unreadable_timeout_is_an_addressing_fault(serve: Serve, timeout: str) -> None:
    """The one fault under the addressing action; it quotes what it could not read."""
    node = serve(allow_unencrypted=True)
    answer = post(node, envelope(f"{TRANSFER}/Get", CONFIG, timeout=timeout))
    assert fault_code(answer) == 2150858767
    assert "addressing/fault</a:Action>" in answer.text
    assert f"invalid timeout field in the SOAP header: {timeout}." in answer.text


@pytest.mark.parametrize(
    ("action", "resource", "code"),
    [
        (f"{TRANSFER}/Put", f"{SHELL}/cmd", 2150858753),
        (f"{TRANSFER}/Create", "http://schemas.microsoft.com/powershell/JEA", 2150858754),
        (f"{TRANSFER}/Get", "http://schemas.microsoft.com/wbem/wsman/1/wmi/x", 2150858754),
    ],
)
def test_what_is_not_simulated_is_answered_with_a_fault(
    serve: Serve, action: str, resource: str, code: int
) -> None:
    """Nothing is pretended: an action or resource that is not there is refused by number."""
    node = serve(allow_unencrypted=True)
    answer = post(node, envelope(action, resource, shell_id=create_shell(node)))
    assert fault_code(answer) == code


@pytest.mark.parametrize(
    "body",
    [
        b"no XML",
        b"<a/>",
        b'<!DOCTYPE x [<!ENTITY y "z">]><x>&y;</x>',
        b"\xff\xfe",
    ],
)
def test_unreadable_envelope_is_a_schema_violation(serve: Serve, body: bytes) -> None:
    """Not XML, no envelope, or with a document type of the sender's: nothing is executed."""
    node = serve(allow_unencrypted=True)
    answer = post(node, body)
    assert answer.status_code == 500
    assert fault_code(answer) == 2150858817


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("Command", "<rsp:CommandLine/>"),
        ("Send", "<rsp:Send/>"),
        ("Receive", ""),
        ("Signal", ""),
        ("Send", '<rsp:Send><rsp:Stream Name="stdin" CommandId="{}">?</rsp:Stream></rsp:Send>'),
    ],
)
def test_missing_or_malformed_element_is_a_schema_violation(
    serve: Serve, verb: str, body: str
) -> None:
    """Each operation says what it cannot do without."""
    node = serve(allow_unencrypted=True)
    shell_id = create_shell(node)
    command = "<rsp:CommandLine><rsp:Command>more</rsp:Command></rsp:CommandLine>"
    started = post(node, envelope(f"{SHELL}/Command", f"{SHELL}/cmd", command, shell_id=shell_id))
    command_id = re.search("<rsp:CommandId>(.*?)<", started.text)
    assert command_id
    request = envelope(
        f"{SHELL}/{verb}", f"{SHELL}/cmd", body.format(command_id[1]), shell_id=shell_id
    )
    assert fault_code(post(node, request)) == 2150858817


def test_config_tells_the_limits(serve: Serve) -> None:
    """Clients read MaxEnvelopeSizekb from winrm/config to size their messages."""
    node = serve(allow_unencrypted=True, envelope_bytes_max=150 * 1024)
    answer = post(node, envelope(f"{TRANSFER}/Get", CONFIG))
    config = ET.fromstring(answer.content).find(f".//{{{CONFIG}}}Config")
    assert config is not None
    assert config.findtext(f"{{{CONFIG}}}MaxEnvelopeSizekb") == "150"
    assert config.findtext(f"{{{CONFIG}}}MaxTimeoutms") == "60000"
    assert config.findtext(f".//{{{CONFIG}}}MaxConcurrentOperationsPerUser") == "1500"


def test_shell_describes_itself(serve: Serve) -> None:
    """Owner, client and idle time, in the answer to Create and to Get alike."""
    node = serve(allow_unencrypted=True)
    answer = post(node, envelope(f"{TRANSFER}/Get", SHELL, shell_id=create_shell(node)))
    assert f"<rsp:Owner>{USER}</rsp:Owner>" in answer.text
    assert "<rsp:IdleTimeOut>PT7200.000S</rsp:IdleTimeOut>" in answer.text


@pytest.mark.parametrize("path", ["/", "/other"])
def test_other_paths_are_not_found(serve: Serve, path: str) -> None:
    """WinRM listens at /wsman and nowhere else."""
    node = serve(allow_unencrypted=True)
    url = node.url().replace("/wsman", path)
    assert requests.post(url, data=b"<x/>", auth=(USER, PASSWORD), timeout=10).status_code == 404


@pytest.mark.parametrize(
    "head",
    [
        b"nonsense\r\n\r\n",
        b"POST /wsman HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /wsman HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /wsman HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST /wsman HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
    ],
)
def test_unreadable_request_is_400_and_the_end(serve: Serve, head: bytes) -> None:
    """HTTP.sys answers an empty 400 and closes; the node lives on."""
    node = serve()
    with node.connect() as connection:
        connection.sendall(head)
        received = connection.recv(65536)
        assert received.startswith(b"HTTP/1.1 400 \r\n")
    assert node.client().open_shell()


def envelope(
    action: str, resource: str, body: str = "", *, shell_id: str = "", timeout: str = "PT5S"
) -> bytes:
    selectors = (
        f'<w:SelectorSet><w:Selector Name="ShellId">{shell_id}</w:Selector></w:SelectorSet>'
        if shell_id
        else ""
    )
    return (
        f"<s:Envelope {HEADER_NAMESPACES}><s:Header><a:Action>{action}</a:Action>"
        f"<a:MessageID>{MESSAGE_ID}</a:MessageID><w:ResourceURI>{resource}</w:ResourceURI>"
        f"<w:OperationTimeout>{timeout}</w:OperationTimeout>{selectors}</s:Header>"
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def post(node: Node, body: bytes) -> requests.Response:
    return requests.post(node.url(), data=body, auth=(USER, PASSWORD), timeout=10)


def create_shell(node: Node) -> str:
    answer = post(node, envelope(f"{TRANSFER}/Create", f"{SHELL}/cmd", "<rsp:Shell/>"))
    found = re.search("<rsp:ShellId>(.*?)<", answer.text)
    assert found, answer.text
    return found[1]


def fault_code(answer: requests.Response) -> int:
    found = re.search(r'Code="(\d+)"', answer.text)
    assert found, answer.text
    return int(found[1])
