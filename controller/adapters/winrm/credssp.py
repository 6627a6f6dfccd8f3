"""Logging on by CredSSP: the node proves itself, and is then handed the password.

requests-credssp takes every answer but 200 for a refused log-on, a fault of WS-Management too, and
looks for Kerberos first and for NTLM after it, which is two bad log-ons for one wrong password.
"""

import base64
import re
from typing import Any, Final

import requests
import requests.auth
import spnego
import spnego.exceptions
from spnego import NegotiateOptions

from controller.adapters.winrm.credentials import Credentials
from controller.adapters.winrm.endpoints import Endpoint
from controller.adapters.winrm.frames import shown
from controller.adapters.winrm.kerberos import NoTicket, with_token

VERSION_MIN: Final = 5
"""Older ones let the one in between use the password (CVE-2018-0886); patched since May 2018."""
STEPS_MAX: Final = 16
"""TLS takes two or three, NTLM two, the proof of the key and the password one each."""
_OFFER = re.compile(r"(?:^|,\s*)CredSSP(?:\s+([A-Za-z0-9+/=]+))?\s*(?:,|$)", re.IGNORECASE)


class CredSSPAuth(requests.auth.AuthBase):
    """Answers a node's demand to log on, step by step, on the connection that made it.

    The password leaves last, when the node has proved by NTLM that it knows the account's domain or
    the account, and that no one sits in between.
    """

    def __init__(self, endpoint: Endpoint, credentials: Credentials) -> None:
        self._endpoint = endpoint
        self._credentials = credentials

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Be asked when the answer is there."""
        request.register_hook("response", self._answer)  # type: ignore[no-untyped-call]
        return request

    def _answer(self, response: requests.Response, **options: Any) -> requests.Response:
        if response.status_code != 401:
            return response
        if _OFFER.search(response.headers.get("WWW-Authenticate", "")) is None:
            response.close()
            raise NoTicket(
                f"no log-on was tried: {self._endpoint.node} does not offer CredSSP"
                " (Enable-WSManCredSSP -Role Server); better, use Kerberos"
            )
        context = self._context()
        token: bytes | None = None
        for _ in range(STEPS_MAX):
            try:
                given = context.step(token)
            except spnego.exceptions.SpnegoError as error:
                if error.base_error is not None:  # the node's own word: it refuses the account
                    return response
                raise _broken_off(response, str(error)) from error
            response = with_token(response, "CredSSP", given or b"", **options)
            if response.status_code != 401:
                if not context.complete:
                    raise _broken_off(response, "the node did not prove who it is")
                return response
            offered = _OFFER.search(response.headers.get("WWW-Authenticate", ""))
            if offered is None or offered[1] is None:
                if context.get_extra_info("auth_stage") == "TLS Handshake":
                    raise _broken_off(response, "its TLS ended early")
                return response
            token = base64.b64decode(offered[1])
        raise _broken_off(response, f"not done after {STEPS_MAX} steps")

    def _context(self) -> spnego.ContextProxy:
        account = spnego.Password(self._credentials.username, self._credentials.password.reveal())
        name = self._endpoint.certificate_name.lower()
        inner = spnego.client(
            account,
            hostname=name,
            service="HTTP",
            protocol="ntlm",
            options=NegotiateOptions.use_ntlm,
        )
        return spnego.client(
            account,
            hostname=name,
            service="HTTP",
            protocol="credssp",
            credssp_negotiate_context=inner,
            credssp_min_protocol=VERSION_MIN,
        )


def _broken_off(response: requests.Response, why: str) -> requests.ConnectionError:
    response.close()
    return requests.ConnectionError(shown(f"CredSSP broke off: {why}"[:256]))
