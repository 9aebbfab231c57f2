"""Classifiers that look at their first token alone: what is computed for the others is left out.

BERT and its kin classify by the vector of the first token. In the last layer all that follows the
attention (its output projection and the feed-forward network, three quarters of the layer) is
computed token by token, so it can be computed for that one token only. It is the same arithmetic
on fewer rows: the logits stay the same to the bit wherever a matrix product does not depend on the
number of its rows.
"""

from collections.abc import Iterable

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper, shape_inference

_AXIS = 1
"""Of the tokens in [texts × tokens × width]."""

_BOUNDS = {"first_token_start": 0, "first_token_end": 1, "first_token_axis": _AXIS}
"""Names and values of the constants that take the first token."""

_ELEMENTWISE = {
    *("Add", "Cast", "Div", "Erf", "Gelu", "Identity", "Mul", "Pow", "Relu", "Sigmoid", "Sqrt"),
    *("Sub", "Tanh"),
}


def keep_first_token(model: ModelProto) -> bool:
    """Compute for the first token only what the graph uses of it alone; tell if there was any."""
    graph = _Graph(model)
    gather = graph.first_token_gather()
    region = [] if gather is None else graph.first_token_nodes(gather)
    if region:
        graph.cut(region)
    return bool(region)


class _Graph:
    """A graph with what is known of its tensors."""

    def __init__(self, model: ModelProto) -> None:
        self._graph = model.graph
        self._nodes = model.graph.node
        self._constants = {t.name: t for t in model.graph.initializer}
        for node in self._nodes:
            if node.op_type == "Constant":
                self._constants[node.output[0]] = node.attribute[0].t
        inferred = shape_inference.infer_shapes(model).graph
        self._ranks = {v.name: len(v.type.tensor_type.shape.dim) for v in inferred.value_info}
        self._ranks |= {name: len(tensor.dims) for name, tensor in self._constants.items()}
        self._users: dict[str, list[NodeProto]] = {}
        for node in self._nodes:
            for name in node.input:
                self._users.setdefault(name, []).append(node)

    def first_token_gather(self) -> NodeProto | None:
        """The node that takes the first token of each text, None where there is none."""
        has_branches = any(a.HasField("g") for node in self._nodes for a in node.attribute)
        if has_branches or _BOUNDS.keys() <= self._constants.keys():
            return None  # what an If or a Loop uses is not seen here; or all is done
        found = [node for node in self._nodes if self._takes_first_token(node)]
        return found[0] if len(found) == 1 else None

    def _takes_first_token(self, node: NodeProto) -> bool:
        if node.op_type != "Gather" or self._ranks.get(node.input[0]) != 3:
            return False
        index = self._constants.get(node.input[1])
        axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
        return index is not None and axis == _AXIS and numpy_helper.to_array(index).tolist() == 0

    def first_token_nodes(self, gather: NodeProto) -> list[NodeProto]:
        """The nodes whose answers are used for the first token alone, in their order."""
        used = {id(gather)}
        region = []
        outputs = {output.name for output in self._graph.output}
        for node in reversed(self._nodes):
            users = [u for name in node.output for u in self._users.get(name, [])]
            if (
                users
                and all(id(user) in used for user in users)
                and not outputs.intersection(node.output)
                and self._goes_token_by_token(node)
            ):
                used.add(id(node))
                region.append(node)
        return region[::-1]

    def _goes_token_by_token(self, node: NodeProto) -> bool:
        """Whether the answer for a token depends on that token's input alone."""
        if self._ranks.get(node.output[0]) != 3:
            return False
        first, *others = node.input
        if node.op_type == "MatMul":
            weights = self._constants.get(others[0])
            return self._has_tokens(first) and weights is not None and len(weights.dims) == 2
        if node.op_type == "LayerNormalization":
            axis = next((a.i for a in node.attribute if a.name == "axis"), -1)
            return axis in (-1, 2)
        return node.op_type in _ELEMENTWISE and all(map(self._is_token_or_same, node.input))

    def _is_token_or_same(self, name: str) -> bool:
        """Whether a tensor has a row for each token, or is the same for all of them."""
        return self._has_tokens(name) or self._ranks.get(name) in (0, 1)

    def _has_tokens(self, name: str) -> bool:
        return self._ranks.get(name) == 3 and name not in self._constants

    def cut(self, region: list[NodeProto]) -> None:
        """Let these nodes see the first token alone."""
        made = {name for node in region for name in node.output}
        whole = {
            name
            for node in region
            for name in node.input
            if name not in made and self._has_tokens(name)
        }
        for node in region:
            for place, name in enumerate(node.input):
                if name in whole:
                    node.input[place] = _first(name)
        self._graph.initializer.extend(
            numpy_helper.from_array(np.array([value]), name) for name, value in _BOUNDS.items()
        )
        nodes = list(self._with_slices(whole))
        del self._nodes[:]
        self._nodes.extend(nodes)

    def _with_slices(self, whole: set[str]) -> Iterable[NodeProto]:
        for node in list(self._nodes):
            yield node
            for name in whole.intersection(node.output):
                yield helper.make_node("Slice", [name, *_BOUNDS], [_first(name)])


def _first(name: str) -> str:
    return f"{name}/first_token"
