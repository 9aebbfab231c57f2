"""Who is answered: bearer tokens, and where none are needed."""

import hashlib
import hmac
import ipaddress
from collections.abc import Iterable, Sequence
from pathlib import Path

from labelf_cli.errors import UsageError

TOKEN_VARIABLE = "LABELF_API_TOKEN"


def read_tokens(variable: str, file: Path | None) -> tuple[str, ...]:
    """The tokens that are accepted.

    Args:
        variable: what ``LABELF_API_TOKEN`` says; empty for nothing.
        file: holds one a line; blank lines and those that begin with # are none.

    Raises:
        UsageError: the file can't be read or names none, or a token can't be sent in a header.
    """
    named = [(TOKEN_VARIABLE, variable.strip())] if variable.strip() else []
    if file is not None:
        try:
            lines = file.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8"
            raise UsageError(f"can't be read ({reason})", where=file) from None
        its = [(f"{file}, line {n}", line.strip()) for n, line in enumerate(lines, 1)]
        its = [(where, token) for where, token in its if token and not token.startswith("#")]
        if not its:
            raise UsageError("there is no token in it", where=file, todo="Write one a line")
        named += its
    for where, token in named:
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise UsageError(
                "a token is made of printable ASCII characters without spaces", where=where
            )
    return tuple(token for _, token in named)


def require_safe(addresses: Iterable[str], tokens: Sequence[str]) -> None:
    """Refuse to answer everybody beyond this machine.

    Raises:
        UsageError: an address is none of the loopback, and there is no token.
    """
    open_to_all = [
        a for a in addresses if not ipaddress.ip_address(a.partition("%")[0]).is_loopback
    ]
    if open_to_all and not tokens:
        raise UsageError(
            f"whoever reaches {open_to_all[0]} could use the models",
            where="--host",
            todo=f"Set {TOKEN_VARIABLE} or --token-file, or listen on 127.0.0.1",
        )


class Tokens:
    """Bearer tokens, compared in constant time."""

    def __init__(self, tokens: Iterable[str]) -> None:
        self._digests = [_digest(token.encode()) for token in tokens]

    def allow(self, authorization: str) -> bool:
        """Whether the value of an Authorization header is good; any is where there is no token."""
        scheme, _, token = authorization.partition(" ")
        given = _digest(token.strip().encode("latin-1"))
        # All of them, by digests of equal lengths, so that the time tells nothing.
        found = [hmac.compare_digest(given, digest) for digest in self._digests]
        return not found or (scheme.lower() == "bearer" and any(found))


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
