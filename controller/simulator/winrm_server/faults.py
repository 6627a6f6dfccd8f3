"""The SOAP faults of Windows' WinRM service, each with its code, classes and wording.

Written after answers recorded from Windows hosts (the response files in pypsrp's and pywinrm's
tests, and faults quoted in the issue trackers of pywinrm, WinRb and Ansible). Clients tell faults
apart by the number in f:WSManFault or in MSFT_WmiError; people by the text.
"""

from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

WSMAN_FAULT = "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault"
ADDRESSING_FAULT = "http://schemas.xmlsoap.org/ws/2004/08/addressing/fault"
FAULT_DETAIL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail"
SHELL_PLUGIN = ("Shell cmd plugin", r"%systemroot%\system32\winrscmd.dll")


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultShape:
    """How a fault is written.

    `code` is the number a client sees; `provider` names the DLL that raised it, if not WinRM
    itself; `wmi` puts the number into an MSFT_WmiError instead of an f:WSManFault.
    """

    code: int
    value: str
    subcode: str
    reason: str
    message: str = ""
    detail: str = ""
    provider: tuple[str, str] | None = None
    wmi: bool = False
    action: str = WSMAN_FAULT

    def render(self, *, machine: str) -> str:
        """The s:Fault element, for a client that called this node `machine`."""
        detail = f"<w:FaultDetail>{FAULT_DETAIL}/{self.detail}</w:FaultDetail>"
        inner = self._wmi_error() if self.wmi else self._wsman_fault(machine)
        return (
            f"<s:Fault><s:Code><s:Value>{self.value}</s:Value>"
            f"<s:Subcode><s:Value>{self.subcode}</s:Value></s:Subcode></s:Code>"
            f'<s:Reason><s:Text xml:lang="en-US">{escape(self.reason)} </s:Text></s:Reason>'
            f"<s:Detail>{detail if self.detail else ''}{inner}</s:Detail></s:Fault>"
        )

    def _wsman_fault(self, machine: str) -> str:
        message = escape(self.message or self.reason) + " "
        if self.provider:
            name, path = self.provider
            message = (
                f"<f:ProviderFault provider={quoteattr(name)} path={quoteattr(path)}>"
                f"{message}</f:ProviderFault>"
            )
        return (
            '<f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" '
            f'Code="{self.code}" Machine={quoteattr(machine)}>'
            f"<f:Message>{message}</f:Message></f:WSManFault>"
        )

    def _wmi_error(self) -> str:
        text = escape(self.message or self.reason) + " "
        fields = (
            ("CIMStatusCode", "UnsignedInt", "27"),
            ("CIMStatusCodeDescription", "String", None),
            ("ErrorSource", "String", None),
            ("ErrorSourceFormat", "UnsignedShort", "0"),
            ("ErrorType", "UnsignedShort", "0"),
            ("Message", "String", text),
            ("MessageID", "String", f"HRESULT 0x{self.code:08x}"),
            ("OtherErrorSourceFormat", "String", None),
            ("OtherErrorType", "String", None),
            ("OwningEntity", "String", None),
            ("PerceivedSeverity", "UnsignedShort", "0"),
            ("ProbableCause", "UnsignedShort", "0"),
            ("ProbableCauseDescription", "String", None),
            ("error_Category", "UnsignedInt", "30"),
            ("error_Code", "UnsignedInt", str(self.code)),
            ("error_Type", "String", "HRESULT"),
            ("error_WindowsErrorMessage", "String", text),
        )
        elements = "".join(
            f'<p:{name} xsi:type="cim:cim{kind}" xsi:nil="true"/>'
            if content is None
            else f'<p:{name} xsi:type="cim:cim{kind}">{content}</p:{name}>'
            for name, kind, content in fields
        )
        return (
            '<p:MSFT_WmiError b:IsCIM_Error="true" '
            'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
            'xmlns:b="http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd" '
            'xmlns:p="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/MSFT_WmiError" '
            'xmlns:cim="http://schemas.dmtf.org/wbem/wscim/1/common" '
            f'xsi:type="p:MSFT_WmiError_Type">{elements}</p:MSFT_WmiError>'
        )


class WSManFault(Exception):
    """An operation ends with this fault."""

    def __init__(self, shape: FaultShape) -> None:
        super().__init__(f"{shape.code} {shape.subcode}: {shape.message or shape.reason}")
        self.shape = shape


def timed_out() -> WSManFault:
    """Nothing to say within OperationTimeout; after a Receive that means: ask again."""
    reason = (
        "The WS-Management service cannot complete the operation within the time specified in "
        "OperationTimeout. "
    )
    return WSManFault(
        FaultShape(code=2150858793, value="s:Receiver", subcode="w:TimedOut", reason=reason)
    )


def shell_unknown(shell_id: str) -> WSManFault:
    """The shell never was, or has gone."""
    return _invalid_selectors(
        f"The request for the Windows Remote Shell with ShellId {shell_id} failed because the "
        "shell was not found on the server. Possible causes are: the specified ShellId is "
        "incorrect or the shell no longer exists on the server. Provide the correct ShellId or "
        "create a new shell and retry the operation."
    )


def command_unknown() -> WSManFault:
    """The command never was, or was terminated; same number as a shell that is gone."""
    return _invalid_selectors(
        "The Windows Remote Shell received a request to perform an operation on a command "
        "identifier that does not exist. Either the command has completed execution or the client "
        "specified an invalid command identifier."
    )


def _invalid_selectors(message: str) -> WSManFault:
    reason = (
        "The WS-Management service cannot process the request because the request contained "
        "invalid selectors for the resource."
    )
    return WSManFault(
        FaultShape(
            code=2150858843,
            value="s:Sender",
            subcode="w:InvalidSelectors",
            reason=reason,
            message=message,
            detail="UnexpectedSelectors",
        )
    )


def too_many_shells(shells_max: int) -> WSManFault:
    """MaxShellsPerUser is reached."""
    reason = (
        "The WS-Management service cannot process the request. The maximum number of concurrent "
        "shells for this user has been exceeded. Close existing shells or raise the quota for "
        "this user."
    )
    message = (
        "The WS-Management service cannot process the request. This user is allowed a maximum "
        f"number of {shells_max} concurrent shells, which has been exceeded. Close existing "
        "shells or raise the quota for this user."
    )
    return WSManFault(
        FaultShape(
            code=2150859173,
            value="s:Sender",
            subcode="w:QuotaLimit",
            reason=reason,
            message=message,
        )
    )


def too_many_operations(operations_max: int) -> WSManFault:
    """MaxConcurrentOperationsPerUser is reached; this one comes as a WMI error."""
    message = (
        "The WS-Management service cannot process the request. This user is allowed a maximum "
        f"number of {operations_max} concurrent operations, which has been exceeded. Close "
        "existing operations for this user, or raise the quota for this user."
    )
    return WSManFault(
        FaultShape(
            code=2150859174,
            value="s:Receiver",
            subcode="w:InternalError",
            reason=message,
            wmi=True,
        )
    )


def schema_violation() -> WSManFault:
    """An element is missing, unknown, or not of its type, such as a duration without PT."""
    reason = "The SOAP XML in the message does not match the corresponding XML schema definition."
    message = (
        "The SOAP XML in the message does not match the corresponding XML schema definition. "
        "Change the XML and retry."
    )
    return WSManFault(
        FaultShape(
            code=2150858817,
            value="s:Sender",
            subcode="w:SchemaValidationError",
            reason=reason,
            message=message,
        )
    )


def bad_header(found: str) -> WSManFault:
    """A header holds a value that cannot be read; the one fault with an action of its own."""
    reason = (
        "The WS-Management service cannot process the request. The request contains one or more "
        "invalid SOAP headers."
    )
    message = (
        "The WS-Management service cannot process the request. The XML contains an invalid "
        f"timeout field in the SOAP header: {found}."
    )
    return WSManFault(
        FaultShape(
            code=2150858767,
            value="s:Sender",
            subcode="a:InvalidMessageInformationHeader",
            reason=reason,
            message=message,
            action=ADDRESSING_FAULT,
        )
    )


def action_unsupported() -> WSManFault:
    """WinRM has no such action."""
    reason = (
        "The WS-Management service cannot process the request. The WS-Addressing action URI is "
        "invalid. Check the documentation for information on how to construct an action URI."
    )
    return WSManFault(
        FaultShape(
            code=2150858753,
            value="s:Sender",
            subcode="a:ActionNotSupported",
            reason=reason,
            action=ADDRESSING_FAULT,
        )
    )


def resource_unknown() -> WSManFault:
    """Nothing is behind the resource URI on this node."""
    reason = (
        "The WS-Management service cannot process the request. The resource URI is missing or it "
        "has an incorrect format. Check the documentation or use the following command for "
        'information on how to construct a resource URI: "winrm help uris".'
    )
    return WSManFault(
        FaultShape(
            code=2150858754,
            value="s:Sender",
            subcode="a:DestinationUnreachable",
            reason=reason,
            action=ADDRESSING_FAULT,
        )
    )


def bad_parameter() -> WSManFault:
    """ERROR_INVALID_PARAMETER, as for a Receive that names no command."""
    return WSManFault(
        FaultShape(
            code=87,
            value="s:Sender",
            subcode="w:InvalidParameter",
            reason="The parameter is incorrect.",
            detail="InvalidValue",
            provider=SHELL_PLUGIN,
        )
    )


def access_denied() -> WSManFault:
    """The shell belongs to somebody else."""
    return WSManFault(
        FaultShape(code=5, value="s:Sender", subcode="w:AccessDenied", reason="Access is denied.")
    )


def aborted() -> WSManFault:
    """ERROR_OPERATION_ABORTED: the shell went while a Receive was waiting on it."""
    reason = (
        "The I/O operation has been aborted because of either a thread exit or an application "
        "request."
    )
    return WSManFault(
        FaultShape(code=995, value="s:Receiver", subcode="w:InternalError", reason=reason)
    )


PROVIDER_REASONS = {
    2147942402: "The system cannot find the file specified.",
    170: "The requested resource is in use.",
    232: "The pipe is being closed.",
    1460: "This operation returned because the timeout period expired.",
}


def from_shell_plugin(code: int) -> WSManFault:
    """What winrscmd.dll reports: no such program, and a Send that finds the pipe busy or closed."""
    return WSManFault(
        FaultShape(
            code=code,
            value="s:Receiver",
            subcode="w:InternalError",
            reason=PROVIDER_REASONS[code],
            provider=SHELL_PLUGIN,
        )
    )
