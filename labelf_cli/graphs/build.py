"""ONNX graphs that are put together by hand."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, ValueInfoProto, helper, numpy_helper

_OPSET, _IR_VERSION = 17, 8


def build_model(
    name: str,
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    constants: Mapping[str, np.ndarray[Any, Any]],
) -> ModelProto:
    """A model of these nodes, in versions that onnxruntime has long known."""
    initializers = [numpy_helper.from_array(array, key) for key, array in constants.items()]
    return helper.make_model(
        helper.make_graph(nodes, name, inputs, outputs, initializers),
        producer_name="labelf",
        ir_version=_IR_VERSION,
        opset_imports=[helper.make_opsetid("", _OPSET)],
    )
