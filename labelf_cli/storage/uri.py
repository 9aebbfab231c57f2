"""URIs of object stores: from what a user writes to Arrow's file system and a path in it.

What it takes to open a store (user and password, keys and endpoints in the query) is never shown.
"""

import errno
import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Self
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import pyarrow as pa
import pyarrow.fs

from labelf_cli.errors import UsageError

STORES = ("s3", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs")
"""What ``pyarrow.fs.FileSystem.from_uri`` takes, but for ``file``, which is the local disk."""

_URI = re.compile(r"([a-z][a-z0-9+.-]+)://([^/?]*)/*(.*?)(?:\?([\w.-]+=.*))?", re.DOTALL)
"""Scheme, authority, path and options; a question mark without ``name=`` is one of the path."""

_AZURE = ("abfs", "abfss")
_SAME = {"gcs": "gs", "abfss": "abfs"}
"""Schemes that name the same store as another."""


class StoreError(OSError):
    """What a store refused, or how it failed, in words that can be shown."""


def is_uri(text: str) -> bool:
    """Whether a name is one of an object store.

    Raises:
        UsageError: it is a URI of a kind that there is nothing for.
    """
    found = _URI.fullmatch(text)
    if found is None or found[1] == "file":
        return False
    if found[1] not in STORES:
        kinds = ", ".join(f"{scheme}://" for scheme in (*STORES, "file"))
        raise UsageError(
            f"{found[1]}:// is none of the stores that are read and written",
            where=str(_parsed(found)),
            todo=f"There are: {kinds}",
        )
    return True


def local(text: str) -> str:
    """The path of a ``file://`` URI; what is none as it is."""
    if not text.startswith("file://"):
        return text
    return url2pathname(urlsplit(text.replace("?", "%3F")).path)


def split_options(text: str) -> tuple[str, str]:
    """What a URI names, and the options of the store with their question mark; a path has none."""
    found = _URI.fullmatch(text)
    if found is None or found[4] is None:
        return text, ""
    return text[: found.start(4) - 1], text[found.start(4) - 1 :]


@dataclass(frozen=True)
class Uri:
    """A place in an object store.

    Attributes:
        scheme: such as ``s3``.
        authority: bucket, host or account, with user and password if they are given.
        key: path in it, decoded, without slashes at its ends.
        query: options of the store, as Arrow takes them.
    """

    scheme: str
    authority: str = field(repr=False)
    key: str
    query: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a URI; its path may be percent-encoded or hold characters that should be.

        Raises:
            UsageError: it is none of a store.
        """
        found = _URI.fullmatch(text)
        if found is None or not is_uri(text):
            raise UsageError("is no URI of an object store", where=text)
        uri = _parsed(found)
        return cls(uri.scheme, uri.authority, uri.key, uri.query)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return PurePosixPath(self.key).name

    def __str__(self) -> str:
        """As messages give it: without user, password and options."""
        user, _, host = self.authority.rpartition("@")
        container = user.partition(":")[0] if self.scheme in _AZURE else ""
        shown = f"{container}@{host}" if container else host
        return f"{self.scheme}://{shown}/{self.key}"

    @property
    def identity(self) -> str:
        """What all URIs of this place have in common, however it is opened."""
        return str(replace(self, scheme=_SAME.get(self.scheme, self.scheme)))

    def is_opened_as(self, other: "Uri") -> bool:
        """Whether both are in the same store, with the same user and options."""
        return replace(self, key="") == replace(other, key="")

    def at(self, path: str) -> Self:
        """The place of a path in the same file system."""
        base = self._opened()[1].rstrip("/")
        return replace(self, key=path.removeprefix(base).strip("/"))

    def suffixed(self, suffix: str) -> Self:
        """The place whose name is longer."""
        return replace(self, key=f"{self.key}{suffix}")

    def named(self, file: str) -> Self:
        """What is named from it: a file in its folder, or one by its path from the store's root."""
        return replace(self, key=str(PurePosixPath("/", self.key).parent / file).strip("/"))

    @property
    def filesystem(self) -> pa.fs.FileSystem:
        """Arrow's file system.

        Raises:
            StoreError: it can't be opened.
        """
        return self._opened()[0]

    @property
    def path(self) -> str:
        """The path in that file system."""
        base = self._opened()[1]
        return f"{base.rstrip('/')}/{self.key}".rstrip("/") if base else self.key

    def _opened(self) -> tuple[pa.fs.FileSystem, str]:
        try:
            return _open(f"{self.scheme}://{self.authority}", _options(self.scheme, self.query))
        except (OSError, pa.ArrowException) as error:
            raise told(error, self) from None


def _parsed(found: re.Match[str]) -> Uri:
    scheme, authority, key, query = found.groups()
    return Uri(scheme, authority, unquote(key).strip("/"), query or "")


def _options(scheme: str, query: str) -> str:
    """What is small goes to S3 in one request, not in the three of a multipart upload."""
    if scheme != "s3" or "allow_delayed_open" in query:
        return query
    return f"{query}&allow_delayed_open=true".lstrip("&")


@lru_cache(maxsize=64)
def _open(root: str, query: str) -> tuple[pa.fs.FileSystem, str]:
    slash = "/" if root.startswith(("hdfs", "viewfs")) else ""
    filesystem, path = pa.fs.FileSystem.from_uri(
        f"{root}{slash}?{query}" if query else f"{root}{slash}"
    )
    return filesystem, path


_NO_BUCKET = re.compile(r"NO_SUCH_BUCKET|[Bb]ucket '[^']*' not found|ContainerNotFound")
_HINTS = {
    "check the credentials and what they may do": re.compile(
        "ACCESS_DENIED|INVALID_ACCESS_KEY_ID|SIGNATURE|EXPIRED_TOKEN|INVALID_CLIENT_TOKEN"
        "|[Cc]redential|PERMISSION_DENIED|UNAUTHENTICATED|AuthorizationFailure"
    ),
    "check the network and the endpoint": re.compile(
        "NETWORK_CONNECTION|REQUEST_TIMEOUT|UNAVAILABLE|[Cc]ould not (connect|resolve)"
    ),
}


def told(error: BaseException, uri: Uri) -> OSError:
    """An error of Arrow's in words that can be shown; what is not there stays that."""
    if isinstance(error, StoreError):
        return error
    text = _without_secrets(str(error).splitlines()[0] if str(error) else repr(error), uri)
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(error.errno, "no such file")
    if _NO_BUCKET.search(text):
        return StoreError(errno.ENOENT, "no such bucket")
    hint = next((f"; {hint}" for hint, kind in _HINTS.items() if kind.search(text)), "")
    return StoreError(errno.EIO, f"{text}{hint}")


def _without_secrets(text: str, uri: Uri) -> str:
    text = re.sub(r" ?\(Request ID: [^)]*\)", "", text)
    user = uri.authority.rpartition("@")[0]
    password = user.partition(":")[2]
    values = [value for value in re.findall(r"=([^&]*)", uri.query) if len(value) > 5]
    for secret in (uri.query, password, unquote(password), *values, *map(unquote, values)):
        text = text.replace(secret, "…") if secret else text
    return text.rstrip(". ")
