"""Accounts in secrets of the controller's own namespace, read anew before each log-on."""

import asyncio
import base64
import binascii
from collections.abc import Mapping

from controller.adapters.kube.api import REQUEST_SECONDS, Api, Refused
from controller.adapters.kube.kinds import SECRETS
from controller.errors import SpecError, Unreachable


class SecretReader:
    """Reads a secret from the threads that log on; made on the event loop, never called there."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._loop = asyncio.get_running_loop()

    def __call__(self, name: str) -> Mapping[str, str]:
        """What the secret holds, as text. Raises SpecError, which never quotes it."""
        asked = asyncio.run_coroutine_threadsafe(
            self._api.get(SECRETS, name, self._api.namespace), self._loop
        )
        place = f"secret {self._api.namespace}/{name}"
        try:
            data = asked.result(2 * REQUEST_SECONDS).get("data") or {}
        except (Unreachable, Refused, TimeoutError) as error:
            raise SpecError(f"{place} can't be read: {error}") from error
        try:
            return {key: base64.b64decode(value).decode() for key, value in sorted(data.items())}
        except (binascii.Error, UnicodeDecodeError):
            raise SpecError(f"{place} holds something that is no UTF-8 text") from None
