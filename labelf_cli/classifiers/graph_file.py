"""The file of a graph, as bytes: the files with its weights, and a cut."""

import os
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from labelf_cli.classifiers.external_data import external_locations
from labelf_cli.classifiers.files import refuse_impostors, require_inside
from labelf_cli.errors import ModelError
from labelf_cli.graphs import pipeline
from labelf_cli.graphs.first_token import keep_first_token
from labelf_cli.graphs.pipeline import Pipeline
from labelf_cli.graphs.proto import ModelProto

_MOST_BYTES = 1_000_000_000
"""A larger graph is left as it is: for a moment a cut takes its size in memory thrice."""

_ANEW = "Download or export the model again, its external data too"

# What onnxruntime takes for an address in its own memory begins so.
_IN_MEMORY = b"*/"


def graph_files(onnx: Path, folder: Path) -> tuple[Path, ...]:
    """A graph and its external data.

    Raises:
        ModelError: it is no graph, its data is not there, or lies outside the model's folder.
    """
    refuse_impostors(onnx, "a model")
    try:
        locations = external_locations(onnx)
    except ValueError as error:
        raise ModelError(
            f"not an ONNX graph, or not all of it ({error})",
            where=onnx,
            todo="Download or export it again",
        ) from None
    return (onnx, *sorted(_data_file(onnx, location, folder) for location in locations))


def _data_file(onnx: Path, location: bytes, folder: Path) -> Path:
    name = os.fsdecode(location)
    if b"\0" in location or location.startswith(_IN_MEMORY):
        raise ModelError(f"its external data is no file ({name!r})", where=onnx, todo=_ANEW)
    path = onnx.parent / name
    require_inside(path, folder)
    if not path.is_file():
        raise ModelError(f"its external data '{name}' is not there", where=onnx, todo=_ANEW)
    return path


def takes_texts(onnx: Path) -> bool:
    """Whether a graph takes texts themselves (see ``labelf_cli.graphs.pipeline``)."""
    model = _read(onnx)
    return model is not None and pipeline.takes_texts(model)


def read_pipeline(onnx: Path) -> tuple[bytes, Pipeline]:
    """A graph that takes texts, made to answer with probabilities; see ``to_probabilities``."""
    model = _read(onnx)
    assert model is not None
    found = pipeline.to_probabilities(model)
    return model.SerializeToString(), found


def read_probabilities(onnx: Path) -> Pipeline:
    """What a graph says of its head; see ``probabilities_of``."""
    model = _read(onnx)
    return Pipeline("", ()) if model is None else pipeline.probabilities_of(model)


def _read(onnx: Path) -> Any | None:  # noqa: ANN401  # a ModelProto
    """The graph as a message; None where it is too large, or in another format."""
    if onnx.stat().st_size > _MOST_BYTES:
        return None
    try:
        return ModelProto.FromString(onnx.read_bytes())
    except DecodeError:  # onnxruntime has a format of its own
        return None


def cut_to_first_token(onnx: Path) -> bytes | None:
    """A graph without what it computes in vain (see ``keep_first_token``); None if that is nothing.

    External data stays where it is.
    """
    model = _read(onnx)
    return model.SerializeToString() if model is not None and keep_first_token(model) else None
