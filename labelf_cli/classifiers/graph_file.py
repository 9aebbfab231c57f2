"""The file of a graph, as bytes: what takes its place by mistake, where its weights lie, a cut."""

import mmap
import os
import re
from pathlib import Path

from google.protobuf.message import DecodeError

from labelf_cli.errors import ModelError
from labelf_cli.graphs.first_token import keep_first_token
from labelf_cli.graphs.proto import ModelProto

_MOST_BYTES = 1_000_000_000
"""A larger graph is left as it is: for a moment a cut takes its size in memory thrice."""

# Key and tag of a StringStringEntryProto {"location": …}, as onnx.proto lays it down: where a
# tensor's external data is. What follows is the string, with its length before it.
_LOCATION = re.compile(rb"\x0a\x08location\x12")


def _string_at(graph: mmap.mmap, start: int) -> bytes:
    """A string of the protobuf wire format, of less than 2**14 bytes."""
    length = graph[start]
    start += 1
    if length >= 0x80:
        length += (graph[start] - 1) << 7
        start += 1
    return graph[start : start + length]


def graph_files(onnx: Path) -> tuple[Path, ...]:
    """A graph and its external data, as far as that is there."""
    with onnx.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as graph:
        names = {_string_at(graph, found.end()) for found in _LOCATION.finditer(graph)}
    beside = sorted(onnx.parent / os.fsdecode(name) for name in names)
    return (onnx, *(path for path in beside if path.is_file()))


def refuse_impostors(onnx: Path) -> None:
    """Name the things that most often stand in a model file's place.

    Raises:
        ModelError: one of them does.
    """
    with onnx.open("rb") as file:
        head = file.read(256).lstrip().lower()
    if not head:
        raise ModelError("an empty file, not a model", where=onnx, todo="Export it again")
    if head.startswith(b"version https://git-lfs"):
        raise ModelError("a Git LFS pointer, not the model", where=onnx, todo="Run 'git lfs pull'")
    if head.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise ModelError("an HTML page, not a model", where=onnx, todo="Download the file itself")


def cut_to_first_token(onnx: Path) -> bytes | None:
    """A graph without what it computes in vain (see ``keep_first_token``); None if that is nothing.

    External data stays where it is.
    """
    if onnx.stat().st_size > _MOST_BYTES:
        return None
    try:
        model = ModelProto.FromString(onnx.read_bytes())
    except DecodeError:  # onnxruntime has a format of its own
        return None
    return model.SerializeToString() if keep_first_token(model) else None
