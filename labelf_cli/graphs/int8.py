"""Graphs in int8: weights with a scale per channel, activations with a scale per row.

A row of an activation is the vector of one token. Its scale is found when the graph runs, from that
row alone: so the texts of a call don't move each other's scores, as they do under
``onnxruntime.quantization.quantize_dynamic``, which takes one scale for the whole tensor. Texts may
then share padded batches, and an outlier in one token costs the others no precision.

Weights of products take seven bits. x86 processors without VNNI add two products of an unsigned and
a signed byte in 16 bits, which 2 × 255 × 127 overflows and 2 × 255 × 63 does not (see onnxruntime's
``reduce_range``): a model that was made on one machine is as good on another.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import (
    AttributeProto,
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    helper,
    numpy_helper,
)

MIN_WEIGHTS = 4096
"""Smaller matrices are left as they are: there is nothing to win."""

_ZERO, _MOST = 128, 127
"""Activations are unsigned: zero lies at 128, the largest value of a row 127 above or below."""

_MOST_OF_WEIGHT, _MOST_OF_TABLE = 63, 127

_TINY = 1e-30
"""Takes the place of the largest value in a row of zeros, which has no scale."""

_QUANTISED = {
    *("DequantizeLinear", "DynamicQuantizeLinear", "DynamicQuantizeLSTM", "DynamicQuantizeMatMul"),
    *("ConvInteger", "GatherBlockQuantized", "MatMulBnb4", "MatMulInteger"),
    *("MatMulIntegerToFloat", "MatMulNBits", "QAttention", "QGemm", "QuantizeLinear"),
}

Array = npt.NDArray[Any]


def quantised_by(model: ModelProto) -> str | None:
    """The first operator that shows that a graph is quantised already, None if there is none."""
    names = (node.op_type for node in model.graph.node)
    return next((name for name in names if name in _QUANTISED or name.startswith("QLinear")), None)


def to_int8(model: ModelProto) -> int:
    """Compute with bytes what multiplies or looks up large constant matrices in float32.

    Returns:
        How many operators were replaced.
    """
    rewriting = _Rewriting(model)
    nodes = [new for node in model.graph.node for new in rewriting.of(node)]
    if rewriting.count:
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        model.graph.initializer.extend(
            numpy_helper.from_array(array, name) for name, array in rewriting.constants.items()
        )
        _drop_unused(model.graph)
        if all(opset.domain != "com.microsoft" for opset in model.opset_import):
            model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return rewriting.count


class _Rewriting:
    """The nodes of a graph one by one, in bytes where that pays.

    Attributes:
        constants: those that the new nodes need.
        count: how many nodes were replaced.
    """

    def __init__(self, model: ModelProto) -> None:
        self._tensors = _constants(model.graph)
        self._opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        self._rows: set[str] = set()
        self.count = 0
        self.constants: dict[str, Array] = {
            _named("one"): np.array(1, np.float32),
            _named("zero"): np.array(_ZERO, np.uint8),
            _named("tiny"): np.array(_TINY, np.float32),
            _named("most"): np.array(_MOST, np.float32),
            _named("nothing"): np.array(0, np.float32),
            _named("last_axis"): np.array([-1]),
        }

    def of(self, node: NodeProto) -> Iterator[NodeProto]:
        """What takes a node's place; the node itself where it is left alone."""
        new = self._replaced(node)
        if new is None:
            yield node
        else:
            self.count += 1
            yield from new

    def _replaced(self, node: NodeProto) -> Iterator[NodeProto] | None:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "Gather" and attributes.get("axis", 0) == 0:
            table = self._weights(node.input[0])
            return None if table is None else self._lookup(node, table)
        if node.op_type == "MatMul" or (node.op_type == "Gemm" and _is_plain(attributes)):
            weights = self._weights(node.input[1])
            if weights is not None:
                return self._product(node, weights.T if attributes.get("transB") else weights)
        return None

    def _weights(self, name: str) -> Array | None:
        """A constant matrix that is worth it."""
        tensor = self._tensors.get(name)
        if tensor is None or tensor.data_type != TensorProto.FLOAT or len(tensor.dims) != 2:
            return None
        return numpy_helper.to_array(tensor) if np.prod(tensor.dims) >= MIN_WEIGHTS else None

    def _lookup(self, node: NodeProto, table: Array) -> Iterator[NodeProto]:
        """Rows of bytes, each times its own scale."""
        name, out = node.input[0], node.output[0]
        bytes_, scales = _as_bytes(table, 1, _MOST_OF_TABLE)
        self.constants |= {_named(name, "bytes"): bytes_, _named(name, "scales"): scales}
        picked, number, scale = (_named(out, part) for part in ("bytes", "number", "scale"))
        yield helper.make_node("Gather", [_named(name, "bytes"), node.input[1]], [picked])
        yield helper.make_node("Cast", [picked], [number], to=TensorProto.FLOAT)
        yield helper.make_node("Gather", [_named(name, "scales"), node.input[1]], [scale])
        yield helper.make_node("Mul", [number, scale], [out])

    def _product(self, node: NodeProto, weights: Array) -> Iterator[NodeProto]:
        """A product of bytes, times the scale of its column, times that of its row."""
        rows, out = node.input[0], node.output[0]
        if rows not in self._rows:
            self._rows.add(rows)
            yield from self._rows_as_bytes(rows)
        bytes_, scales = _as_bytes(weights, 0, _MOST_OF_WEIGHT)
        name = _named(out, "weights")
        self.constants |= {name: bytes_, _named(out, "scales"): scales.ravel()}
        yield helper.make_node(
            "MatMulIntegerToFloat",
            [_named(rows, "bytes"), name, _named("one"), _named(out, "scales"), _named("zero")],
            [_named(out, "unscaled")],
            domain="com.microsoft",
        )
        bias = node.input[2] if len(node.input) > 2 else ""
        product = _named(out, "product") if bias else out
        yield helper.make_node("Mul", [_named(out, "unscaled"), _named(rows, "scale")], [product])
        if bias:
            yield helper.make_node("Add", [product, bias], [out])

    def _rows_as_bytes(self, rows: str) -> Iterator[NodeProto]:
        """The bytes and the scale of each row of an activation.

        The largest value passes over what is not a number, the sum does not: times zero, it makes
        the scale of such a row no number either, and with it all that the row takes part in.
        """
        largest, smallest, below, reach, inverse, scaled, bytes_ = (
            _named(rows, part)
            for part in ("max", "min", "-min", "reach", "inverse", "scaled", "bytes")
        )
        total, nothing, finite_scale = (
            _named(rows, part) for part in ("sum", "nothing", "finite_scale")
        )
        yield self._reduced("ReduceMax", rows, largest)
        yield self._reduced("ReduceMin", rows, smallest)
        yield helper.make_node("Neg", [smallest], [below])
        yield helper.make_node("Max", [largest, below, _named("tiny")], [reach])
        yield helper.make_node("Div", [_named("most"), reach], [inverse])
        yield helper.make_node("Mul", [rows, inverse], [scaled])
        yield helper.make_node("QuantizeLinear", [scaled, _named("one"), _named("zero")], [bytes_])
        yield self._reduced("ReduceSum", rows, total)
        yield helper.make_node("Mul", [total, _named("nothing")], [nothing])
        yield helper.make_node("Div", [reach, _named("most")], [finite_scale])
        yield helper.make_node("Add", [finite_scale, nothing], [_named(rows, "scale")])

    def _reduced(self, op_type: str, name: str, out: str) -> NodeProto:
        """Over the last axis; opset 13 or 18 made an input of what was an attribute."""
        if self._opset < (13 if op_type == "ReduceSum" else 18):
            return helper.make_node(op_type, [name], [out], axes=[-1])
        return helper.make_node(op_type, [name, _named("last_axis")], [out])


def _named(*parts: str) -> str:
    return "/".join(("int8", *parts))


def _is_plain(attributes: dict[str, Any]) -> bool:
    """Whether a Gemm does nothing but multiply and add."""
    factors = attributes.get("alpha", 1.0), attributes.get("beta", 1.0)
    return not attributes.get("transA") and factors == (1.0, 1.0)


def _as_bytes(
    weights: Array, axis: int, most: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Bytes from -``most`` to ``most``, and the scale of each row or column along ``axis``."""
    reach = np.maximum(np.abs(weights).max(axis=axis, keepdims=True), _TINY)
    scales = (reach / most).astype(np.float32)
    return np.rint(weights / scales).astype(np.int8), scales


def _constants(graph: GraphProto) -> dict[str, TensorProto]:
    """What is known before the graph runs, by every name that it goes by."""
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            found[node.output[0]] = node.attribute[0].t
        elif node.op_type == "Identity" and node.input[0] in found:
            found[node.output[0]] = found[node.input[0]]
    return found


def _drop_unused(graph: GraphProto) -> None:
    """Drop the constants that nothing uses any more."""
    while True:
        used = set(_used(graph))
        kept = [
            node
            for node in graph.node
            if node.op_type not in ("Constant", "Identity") or used.intersection(node.output)
        ]
        if len(kept) == len(graph.node):
            break
        del graph.node[:]
        graph.node.extend(kept)
    initializers = [tensor for tensor in graph.initializer if tensor.name in used]
    gone = {tensor.name for tensor in graph.initializer} - used
    inputs = [value for value in graph.input if value.name not in gone]
    del graph.initializer[:], graph.input[:]
    graph.initializer.extend(initializers)
    graph.input.extend(inputs)


def _used(graph: GraphProto) -> Iterator[str]:
    """All names that nodes read, those of branches and loops too, and the graph's outputs."""
    yield from (output.name for output in graph.output)
    for node in graph.node:
        yield from node.input
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                yield from _used(attribute.g)
