"""Where a service is asked and who asks it: addresses, and secrets that the environment holds."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from labelf_cli.config import LabelfApiConfig, ServiceModel
from labelf_cli.errors import ConfigError

_VERSION = re.compile(r"v\d+\w*", re.ASCII)
_ADDED = ("/chat/completions", "/models/inference")
"""Ends of addresses that people copy from a manual, and that labelf puts there itself."""


@dataclass(frozen=True)
class OAuth:
    """How a token is had by client credentials.

    Attributes:
        token_url: address that gives tokens.
        client_id_env, client_secret_env: names of environment variables.
        scope: that is asked for; empty for none.
    """

    token_url: str
    client_id_env: str
    client_secret_env: str
    scope: str = ""


@dataclass(frozen=True)
class Endpoint:
    """One service; those that are equal are the same, however long they may take.

    Attributes:
        base_url: its address up to the version, without a slash at the end.
        token_env: name of the environment variable with a token; None for none.
        oauth: how a token is had otherwise; None for not at all.
        timeout: seconds for one request, the whole of its answer included.
    """

    base_url: str
    token_env: str | None = None
    oauth: OAuth | None = None
    timeout: float = field(default=60.0, compare=False)

    @classmethod
    def of(cls, config: ServiceModel) -> "Endpoint":
        """The service that answers for a model."""
        return cls(config.url, config.token_env, _oauth(config), config.timeout)

    @property
    def sends_secrets(self) -> bool:
        """Whether requests carry a token."""
        return self.token_env is not None or self.oauth is not None

    def require(self, where: str) -> None:
        """See that it can be asked.

        Args:
            where: the model that asks, for messages.

        Raises:
            ConfigError: an address can't be used, or would send a token in the clear.
        """
        reasons = list(self._reasons())
        if reasons:
            raise ConfigError("; ".join(reasons), where=where)

    def _reasons(self) -> Iterator[str]:
        odd = list(_odd("base_url", self.base_url, secret=self.sends_secrets))
        yield from odd or self._odd_end()
        if self.oauth is not None:
            yield from _odd("token_url", self.oauth.token_url, secret=True)

    def _odd_end(self) -> Iterator[str]:
        path = urlsplit(self.base_url).path
        for added in _ADDED:
            if path.endswith(added):
                yield f"base_url ends in the version; {added} is added to it"
        if not any(map(_VERSION.fullmatch, path.split("/"))):
            yield f"base_url {self.base_url} has no version at its end, such as /v2 or /v1"


def _oauth(config: ServiceModel) -> OAuth | None:
    if not isinstance(config, LabelfApiConfig) or config.token_url is None:
        return None
    assert config.client_id_env is not None
    assert config.client_secret_env is not None
    names = (config.client_id_env, config.client_secret_env)
    return OAuth(config.token_url, *names, config.scope or "")


def _odd(key: str, url: str, *, secret: bool) -> Iterator[str]:
    """Why an address can't be asked."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError as error:
        yield f"{key} is no address ({error})"
        return
    if parts.scheme not in {"http", "https"} or not host:
        yield f"{key} {url} is no address of the form https://host/…"
    elif parts.username is not None or parts.password is not None:
        yield f"{key} holds a password; name an environment variable with token_env instead"
    elif parts.query or parts.fragment:
        yield f"{key} {url} has a query or a fragment"
    elif secret and parts.scheme == "http" and not _is_loopback(parts):
        yield f"{key} {url} would send a token in the clear; use https"


def _is_loopback(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def secret(name: str, where: str) -> str:
    """The value of an environment variable that holds a secret.

    Raises:
        ConfigError: it is not set, or can't be the value of a header.
    """
    value = os.environ.get(name, "").strip()
    if not value:
        raise ConfigError(f"the environment variable {name} is not set", where=where)
    if not (value.isascii() and value.isprintable()):
        raise ConfigError(f"the environment variable {name} holds no token", where=where)
    return value
