"""ONNX graphs from and to files, with external data or without."""

from pathlib import Path

import onnx
from onnx import ModelProto, external_data_helper

MOST_BYTES = 2_000_000_000
"""What fits into one file of protobuf, with room for all but the weights."""

# Smaller tensors stay in the graph: shapes, axes and indices must be there before it runs.
_EXTERNAL_BYTES = 1024


def read_structure(path: Path) -> ModelProto:
    """A graph without its external data, which ``read_external_data`` adds."""
    return onnx.load(path, load_external_data=False)


def read_external_data(model: ModelProto, path: Path) -> None:
    """Add the weights that lie in files beside the graph's."""
    external_data_helper.load_external_data_for_model(model, str(path.parent))


def write_model(model: ModelProto, path: Path, most_bytes: int = MOST_BYTES) -> None:
    """Write a graph, into one file if it fits, else with its weights in one beside it."""
    weights = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    if weights <= most_bytes:
        onnx.save_model(model, path)
        return
    onnx.save_model(
        model,
        path,
        save_as_external_data=True,
        location=f"{path.name}_data",
        size_threshold=_EXTERNAL_BYTES,
    )
