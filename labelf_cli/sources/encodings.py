"""Text files in UTF-8, whatever their encoding."""

import codecs
from collections.abc import Iterable, Iterator
from itertools import chain

from labelf_cli.errors import InputError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LONGEST_MARK = 4

_AS_IT_IS = ("utf-8", "utf-8-sig", "ascii")

_BAD = "\ud800"  # which has no bytes in valid UTF-8, so that its row is found to be bad later
codecs.register_error("labelf.bad", lambda error: (_BAD, error.end))  # type: ignore[attr-defined]


def known_encoding(name: str) -> str:
    """Python's own name of an encoding.

    Raises:
        InputError: there is none of text by that name.
    """
    try:
        found = codecs.lookup(name).name
        "".encode(found)  # base64 and its like have no text on one side
    except (LookupError, UnicodeError):
        raise InputError(f"no encoding is named '{name}'", where="--encoding") from None
    return found


def is_utf8(encoding: str) -> bool:
    """Whether text of an encoding is UTF-8 as it is."""
    return encoding in _AS_IT_IS


def begun(blocks: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The bytes that may be a byte order mark, and all blocks, those included."""
    rest = iter(blocks)
    head = b""
    for block in rest:
        head += block
        if len(head) >= _LONGEST_MARK:
            break
    return head[:_LONGEST_MARK], chain([head], rest) if head else rest


def encoding_of(head: bytes, given: str | None) -> str:
    """The encoding of a file that begins so: as given, else by its byte order mark, else UTF-8.

    UTF-16 and UTF-32 without a byte order leave that to the mark, too.
    """
    for mark, name in _MARKS:
        if head.startswith(mark) and (given is None or name in (f"{given}-le", f"{given}-be")):
            return name
    return given or "utf-8"


def in_utf8(blocks: Iterable[bytes], encoding: str, *, final: bool) -> Iterator[bytes]:
    """Text of an encoding as UTF-8; what is not valid there is not valid here either.

    ``final`` says that the blocks are the whole file.
    """
    if is_utf8(encoding):
        yield from filter(None, blocks)
        return
    decoder = codecs.getincrementaldecoder(encoding)("labelf.bad")
    for block in chain(blocks, [b""]):
        text = decoder.decode(block, final=final and not block)
        if text:
            yield text.encode("utf-8", "surrogatepass")


def without_mark(blocks: Iterable[bytes]) -> tuple[int, Iterator[bytes]]:
    """The length of the byte order mark that UTF-8 begins with, and the blocks without it."""
    head, rest = begun(blocks)
    mark = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
    return mark, chain([next(rest)[mark:]], rest) if head else rest
