"""A graph that can be walked: who makes a tensor, who uses it, what is known before it runs.

It takes messages of ``labelf_cli.graphs.proto`` and of the ``onnx`` package alike.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

_INT64 = 7
"""TensorProto.INT64."""

_INT = 2
"""AttributeProto.INT."""

Node = Any
"""A NodeProto of either class."""


class GraphView:
    """The nodes of a model's graph, and what follows from them.

    Attributes:
        nodes: each after those whose answers it uses.
        constants: tensors that are there before the graph runs, by name.
        makers: the node that makes a tensor.
        uses: how often a tensor is used, as an input of a node or an output of the graph.
        has_branches: whether there is an If or a Loop; what these use from outside is not counted.
    """

    def __init__(self, model: Any) -> None:  # noqa: ANN401  # a ModelProto of either class
        self._graph = model.graph
        self.nodes = list(self._graph.node)
        self.constants = {tensor.name: tensor for tensor in self._graph.initializer}
        self.makers: dict[str, Node] = {}
        self.uses = Counter(output.name for output in self._graph.output)
        for node in self.nodes:
            self.makers |= dict.fromkeys(node.output, node)
            self.uses.update(node.input)
            if node.op_type == "Constant":
                self.constants[node.output[0]] = node.attribute[0].t
            elif node.op_type == "Identity" and node.input[0] in self.constants:
                self.constants[node.output[0]] = self.constants[node.input[0]]
        self.has_branches = any(a.HasField("g") for node in self.nodes for a in node.attribute)
        self._follows_from_shapes = dict.fromkeys(["", *self.constants], True)

    def integers(self, name: str) -> npt.NDArray[np.int64] | None:
        """A constant of int64; None for anything else, or where it lies in another file."""
        tensor = self.constants.get(name)
        if tensor is None or tensor.data_type != _INT64:
            return None
        values = np.frombuffer(tensor.raw_data, "<i8") if tensor.raw_data else tensor.int64_data
        count = int(np.prod(tensor.dims))
        return np.array(values, np.int64).reshape(tensor.dims) if len(values) == count else None

    def follows_from_shapes(self, name: str) -> bool:
        """Whether a tensor is made of constants and of shapes alone, as scales are."""
        known, waiting = self._follows_from_shapes, [name]
        while waiting:
            node = self.makers.get(waiting[-1])
            if node is None or node.op_type == "Shape":
                known[waiting.pop()] = node is not None
            elif unknown := [n for n in node.input if n not in known]:
                waiting += unknown
            else:
                known[waiting.pop()] = all(known[n] for n in node.input)
        return known[name]

    def node(self, op_type: str, inputs: Iterable[str], output: str, **attributes: int) -> Node:
        """A new node, which stands in no graph yet."""
        node = type(self.nodes[0])(op_type=op_type, input=list(inputs), output=[output])
        for name, value in attributes.items():
            node.attribute.add(name=name, type=_INT, i=value)
        return node

    def rewrite(self, nodes: Iterable[Node], constants: dict[str, int]) -> None:
        """Let the graph have these nodes, and some more constants, each a list of one int64."""
        nodes = list(nodes)
        del self._graph.node[:]
        self._graph.node.extend(nodes)
        for name, value in constants.items():
            self._graph.initializer.add(name=name, dims=[1], data_type=_INT64, int64_data=[value])


def attribute(node: Node, name: str) -> Any:  # noqa: ANN401  # AttributeProto of either class
    """An attribute of a node by its name, None where it has none of it."""
    return next((a for a in node.attribute if a.name == name), None)
