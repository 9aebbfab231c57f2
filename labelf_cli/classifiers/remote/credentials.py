"""Bearer tokens: none, one that is given, or one by OAuth 2 client credentials."""

import asyncio
import time
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Awaitable, Callable

from labelf_cli.classifiers.remote.endpoint import Endpoint, OAuth, secret
from labelf_cli.errors import ServiceError

Fetch = Callable[[str, dict[str, str], dict[str, str]], Awaitable[object]]
"""Posts a form (address, its fields, headers) and gives the JSON of the answer."""

_EARLY_SECONDS, _EARLY_SHARE = 60.0, 0.1
"""Before it expires, the less of them, a token is renewed."""


class Credentials(ABC):
    """Gives the token that requests carry; all its coroutines run on one event loop."""

    @abstractmethod
    async def token(self, fetch: Fetch) -> str | None:
        """The token by now, None for none."""

    @abstractmethod
    def reject(self, token: str | None) -> bool:
        """The service did not take a token; whether ``token`` will give another."""

    @property
    @abstractmethod
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown."""

    @staticmethod
    def of(endpoint: Endpoint, where: str) -> "Credentials":
        """Those of an endpoint.

        Raises:
            ConfigError: an environment variable is not set.
        """
        if endpoint.oauth is not None:
            return ClientCredentials(endpoint.oauth, where)
        return Given(None if endpoint.token_env is None else secret(endpoint.token_env, where))


class Given(Credentials):
    """A token that is what it is, or none."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    async def token(self, fetch: Fetch) -> str | None:  # noqa: ARG002
        """See ``Credentials.token``."""
        return self._token

    def reject(self, token: str | None) -> bool:  # noqa: ARG002
        """See ``Credentials.reject``."""
        return False

    @property
    def secrets(self) -> tuple[str, ...]:
        """See ``Credentials.secrets``."""
        return () if self._token is None else (self._token,)


class ClientCredentials(Credentials):
    """RFC 6749, section 4.4; client id and secret go in a Basic header.

    They go as they are, which is what services expect, not form-encoded as by section 2.3.1.
    """

    def __init__(self, oauth: OAuth, where: str) -> None:
        """Read the environment.

        Raises:
            ConfigError: a variable is not set.
        """
        self._oauth = oauth
        self._secret = secret(oauth.client_secret_env, where)
        pair = f"{secret(oauth.client_id_env, where)}:{self._secret}"
        self._basic = b64encode(pair.encode()).decode()
        self._lock = asyncio.Lock()
        self._token = ""
        self._given: set[str] = set()
        self._renew_at = 0.0

    async def token(self, fetch: Fetch) -> str | None:
        """See ``Credentials.token``; whoever comes while it is fetched waits for it."""
        async with self._lock:
            if not self._token or time.monotonic() >= self._renew_at:
                await self._fetch(fetch)
            return self._token

    async def _fetch(self, fetch: Fetch) -> None:
        form = {"grant_type": "client_credentials"}
        if self._oauth.scope:
            form["scope"] = self._oauth.scope
        url = self._oauth.token_url
        answer = await fetch(url, form, {"Authorization": f"Basic {self._basic}"})
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not (isinstance(token, str) and token.isascii() and token.isprintable() and token):
            raise ServiceError("answers without an access_token", where=url)
        assert isinstance(answer, dict)
        lifetime = answer.get("expires_in")
        self._token, self._renew_at = token, float("inf")
        self._given.add(token)
        if isinstance(lifetime, int | float) and not isinstance(lifetime, bool):
            early = min(_EARLY_SECONDS, _EARLY_SHARE * lifetime)
            self._renew_at = time.monotonic() + lifetime - early

    def reject(self, token: str | None) -> bool:
        """See ``Credentials.reject``."""
        if token == self._token:
            self._token = ""
        return True

    @property
    def secrets(self) -> tuple[str, ...]:
        """See ``Credentials.secrets``."""
        return (self._secret, self._basic, *self._given)
