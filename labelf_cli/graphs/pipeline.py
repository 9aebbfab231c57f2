"""Graphs that take texts themselves, as skl2onnx makes them of scikit-learn's pipelines."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from labelf_cli.graphs.view import attribute

_FLOAT, _STRING = 1, 8
"""TensorProto.FLOAT and TensorProto.STRING."""

_BYTES = 3
"""AttributeProto.STRING."""

PROBABILITIES = "probabilities"
"""Name that skl2onnx gives to them."""

_LOCALE = b"C.UTF-8"
"""onnxruntime asks for en_US.UTF-8, which few machines have that nobody sits at."""


class Pipeline(NamedTuple):
    """What a graph answers that takes texts.

    Attributes:
        output: name of the output with the probabilities, [texts × labels]; empty if there is none.
        labels: of its classes, as far as the graph tells.
    """

    output: str
    labels: tuple[str, ...]


def takes_texts(model: Any) -> bool:  # noqa: ANN401  # a ModelProto
    """Whether the only input of a graph is a tensor of strings."""
    inputs = [one.type.tensor_type.elem_type for one in model.graph.input]
    return inputs == [_STRING]


def to_probabilities(model: Any) -> Pipeline:  # noqa: ANN401  # a ModelProto
    """Let a graph that takes texts answer with one tensor of probabilities, on any machine.

    A ZipMap makes a map of each row, which is taken apart again here; it is left out.
    """
    graph = model.graph
    labels = next(_class_labels(graph.node), ())
    for node in [node for node in graph.node if node.op_type == "ZipMap"]:
        graph.node.remove(node)
        zipped = next((o for o in graph.output if o.name == node.output[0]), None)
        if zipped is not None:
            graph.output.remove(zipped)
            graph.output.add(name=node.input[0]).type.tensor_type.elem_type = _FLOAT
    for node in graph.node:
        if node.op_type == "StringNormalizer" and attribute(node, "locale") is None:
            node.attribute.add(name="locale", type=_BYTES, s=_LOCALE)
    floats = [o.name for o in graph.output if o.type.tensor_type.elem_type == _FLOAT]
    return Pipeline(floats[0] if len(floats) == 1 else "", labels)


def probabilities_of(model: Any) -> Pipeline:  # noqa: ANN401  # a ModelProto
    """What a graph says of its head where that is one of scikit-learn, as SetFit exports it."""
    names = {output.name for output in model.graph.output}
    output = PROBABILITIES if PROBABILITIES in names else ""
    return Pipeline(output, next(_class_labels(model.graph.node), ()))


def _class_labels(nodes: Any) -> Iterator[tuple[str, ...]]:  # noqa: ANN401  # NodeProtos
    for node in nodes:
        texts, numbers = (
            attribute(node, name) for name in ("classlabels_strings", "classlabels_int64s")
        )
        if texts is not None and texts.strings:
            yield tuple(label.decode("utf-8", "replace") for label in texts.strings)
        elif numbers is not None and numbers.ints:
            yield tuple(map(str, numbers.ints))
