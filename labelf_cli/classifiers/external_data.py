"""Which files a graph takes its weights from, read off its bytes without reading its weights.

Every tensor that onnxruntime may look at is visited: initializers, sparse ones, attributes,
subgraphs and functions. The walk is stricter than protobuf's own parser: what it can't follow for
certain, it refuses, so that nothing that onnxruntime would open is hidden from it.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FIELDS: dict[str, dict[int, str]] = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto",
        6: "GraphProto",
        10: "TensorProto",
        11: "GraphProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
    "TensorProto": {13: "StringStringEntryProto"},
}
"""Of each message of onnx.proto, the fields through which external data is reached."""

_ENTRY = "StringStringEntryProto"
_KEY, _VALUE = 1, 2

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
"""Wire types; the others mark groups, which no ONNX file has."""


class _Span(NamedTuple):
    """A field's content, as a place in the file."""

    field: int
    wire_type: int
    start: int
    end: int


def external_locations(onnx: Path) -> set[bytes]:
    """Locations of a graph's external data, relative to the graph's folder, as the file says them.

    Raises:
        ValueError: the file is no ONNX graph, or not all of it.
        OSError: it can't be read.
    """
    with onnx.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return set(_locations(content))


def _locations(content: mmap.mmap) -> Iterator[bytes]:
    waiting = [("ModelProto", 0, len(content))]
    while waiting:
        message, start, end = waiting.pop()
        for span in _fields(content, start, end):
            kind = FIELDS[message].get(span.field) if span.wire_type == _BYTES else None
            if kind == _ENTRY:
                yield from _location(content, span)
            elif kind is not None:
                waiting.append((kind, span.start, span.end))


def _location(content: mmap.mmap, entry: _Span) -> Iterator[bytes]:
    """The value of an entry whose key is ``location``; every one, should it have several."""
    parts = list(_fields(content, entry.start, entry.end))
    keys, values = (
        [content[part.start : part.end] for part in parts if part[:2] == (field, _BYTES)]
        for field in (_KEY, _VALUE)
    )
    if b"location" in keys:
        yield from values


def _fields(content: mmap.mmap, start: int, end: int) -> Iterator[_Span]:
    while start < end:
        tag, start = _varint(content, start, end)
        wire_type = tag & 7
        if wire_type == _BYTES:
            length, start = _varint(content, start, end)
            stop = start + length
        elif wire_type == _VARINT:
            stop = _varint(content, start, end, most_bytes=10)[1]
        elif wire_type in (_FIXED64, _FIXED32):
            stop = start + (8 if wire_type == _FIXED64 else 4)
        else:
            raise ValueError(f"wire type {wire_type} at byte {start}")
        if stop > end or tag < 8:
            raise ValueError(f"a broken field before byte {start}")
        yield _Span(tag >> 3, wire_type, start, stop)
        start = stop


def _varint(content: mmap.mmap, start: int, end: int, most_bytes: int = 5) -> tuple[int, int]:
    """A number and the place behind it; tags and lengths have 32 bits, values may have 64."""
    number = 0
    for place in range(start, min(start + most_bytes, end)):
        byte = content[place]
        number |= (byte & 0x7F) << 7 * (place - start)
        if byte < 0x80:
            if most_bytes == 5 and number >= 1 << 32:
                break
            return number, place + 1
    raise ValueError(f"a broken number at byte {start}")
