"""Classifiers that look at their first token alone: what is computed for the others is left out.

BERT and its kin classify by the vector of the first token. In the last layer all that follows the
keys and values of the attention goes row by row, a row for each token, so it can be computed for
that token only: the rows of the attention, its output projection and the feed-forward network.

It is the same arithmetic on fewer rows. Two tokens are kept, since onnxruntime multiplies a single
row with another kernel (GEMV), whose order of summation differs; the bits then stay the same.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from labelf_cli.graphs.view import GraphView, Node, attribute

_PREFIX = "labelf/first_tokens"
_CONSTANTS = {"start": 0, "end": 2, "axis_1": 1, "axis_2": 2, "copied": 0, "last": 9}
"""Of the nodes that are added. From start to end: two tokens. A dimension of 0 is copied."""

_SPLIT_HEADS = [0, 2, 1, 3]
"""Attention's transposition: from [texts × tokens × heads × width] and back."""

_ELEMENTWISE = {
    *("Add", "BiasGelu", "Cast", "Clip", "Div", "Erf", "FastGelu", "Gelu", "Identity", "Max"),
    *("Min", "Mul", "Neg", "Pow", "QuickGelu", "Relu", "Sigmoid", "Sqrt", "Sub", "Tanh", "Where"),
}


class _Tokens(NamedTuple):
    """Where a tensor has its tokens: the axis, and how many axes there are."""

    axis: int
    rank: int


_Asked = dict[int, _Tokens]
"""The inputs of a node of which only the first tokens are needed, by their places."""


def keep_first_token(model: Any) -> bool:  # noqa: ANN401  # a ModelProto of either class
    """Compute for the first tokens only what the graph uses of the first alone.

    What a graph leaves open, such as the number of axes, is taken to be as attention has it. So the
    answers have to be compared.

    Returns:
        Whether there was any product to cut.
    """
    view = GraphView(model)
    gathers = [node for node in view.nodes if _takes_first_token(view, node)]
    if view.has_branches or len(gathers) != 1 or _named("end") in view.constants:
        return False
    region = _Region(view, gathers[0])
    if all(node.op_type != "MatMul" for node in region.nodes):
        return False
    region.cut()
    return True


def _takes_first_token(view: GraphView, node: Node) -> bool:
    """Whether a node picks what stands first on the second axis."""
    if node.op_type != "Gather" or (axis := attribute(node, "axis")) is None or axis.i != 1:
        return False
    index = view.integers(node.input[1])
    return index is not None and index.ndim == 0 and int(index) == 0


def _asked_for_width(view: GraphView) -> Counter[str]:
    """How often a tensor is used for the size of its last axis alone, which no cut changes."""
    last = Counter(
        node.input[0]
        for node in view.nodes
        if node.op_type == "Slice"
        and (start := view.integers(node.input[1])) is not None
        and start.tolist() == [-1]
    )
    return Counter(
        node.input[0]
        for node in view.nodes
        if node.op_type == "Shape" and last[node.output[0]] == view.uses[node.output[0]]
    )


class _Region:
    """The nodes whose answers are used for the first tokens alone.

    Attributes:
        nodes: they and the node that picks the first token, in their order.
    """

    def __init__(self, view: GraphView, gather: Node) -> None:
        self._view = view
        self._widths = _asked_for_width(view)
        self._asked: dict[str, list[_Tokens]] = {}
        self._inputs: dict[int, _Asked] = {}
        self.nodes: list[Node] = []
        for node in reversed(view.nodes):
            if node is gather:
                self._take(node, {0: _Tokens(1, 3)})
            elif (tokens := self._only_asked(node)) and (asked := self._rule(node, tokens)):
                self._take(node, asked)
        self.nodes.reverse()

    def _take(self, node: Node, asked: _Asked) -> None:
        self.nodes.append(node)
        self._inputs[id(node)] = asked
        for place, tokens in asked.items():
            self._asked.setdefault(node.input[place], []).append(tokens)

    def _only_asked(self, node: Node) -> _Tokens | None:
        """Where the answer has its tokens, if all who use it need but the first ones."""
        asked = self._asked.get(node.output[0], [])
        used = sum(self._view.uses[name] - self._widths[name] for name in node.output)
        return asked[0] if asked and len(asked) == used and len(set(asked)) == 1 else None

    def _rule(self, node: Node, tokens: _Tokens) -> _Asked | None:
        """What a node needs for the first tokens of its answer; None or nothing for more."""
        if node.op_type in _ELEMENTWISE:
            return self._elementwise(node, tokens)
        rule = _RULES.get(node.op_type)
        return rule(self._view, node, tokens) if rule is not None else None

    def _elementwise(self, node: Node, tokens: _Tokens) -> _Asked | None:
        asked = {}
        for place, name in enumerate(node.input):
            tensor = self._view.constants.get(name)
            if tensor is not None:
                axis = tokens.axis - tokens.rank + len(tensor.dims)
                if axis >= 0 and tensor.dims[axis] != 1:
                    return None  # it has a value for each token
            elif not self._view.follows_from_shapes(name):
                asked[place] = tokens
        return asked

    def cut(self) -> None:
        """Let the nodes of the region see the first tokens alone."""
        constants = {_named(name): value for name, value in _CONSTANTS.items()}
        self._view.rewrite(self._with_slices(), constants)

    def _with_slices(self) -> Iterator[Node]:
        inside = {name for node in self.nodes for name in node.output}
        sliced: set[str] = set()
        for node in self._view.nodes:
            for place, tokens in self._inputs.get(id(node), {}).items():
                name = node.input[place]
                if name in inside:
                    continue
                first = f"{name}/first_tokens_{tokens.axis}"
                if first not in sliced:
                    sliced.add(first)
                    bounds = map(_named, ("start", "end", f"axis_{tokens.axis}"))
                    yield self._view.node("Slice", [name, *bounds], first)
                node.input[place] = first
            if node.op_type == "Reshape" and id(node) in self._inputs:
                yield from self._shape_of_fewer(node)
            yield node

    def _shape_of_fewer(self, node: Node) -> Iterator[Node]:
        """Let a Reshape copy the number of tokens, on the second axis, from what it is given."""
        shape, out = node.input[1], node.output[0]
        texts, widths, fewer = (f"{out}/{part}" for part in ("texts", "widths", "shape"))
        first, second, third, last, copied = map(
            _named, ("start", "axis_1", "axis_2", "last", "copied")
        )
        yield self._view.node("Slice", [shape, first, second, first], texts)
        yield self._view.node("Slice", [shape, third, last, first], widths)
        yield self._view.node("Concat", [texts, copied, widths], fewer, axis=0)
        node.input[1] = fewer


def _matmul(view: GraphView, node: Node, tokens: _Tokens) -> _Asked | None:
    """A row of a product needs that row of the first factor, and all of the second."""
    second = view.constants.get(node.input[1])
    is_row = tokens.axis == tokens.rank - 2
    return {0: tokens} if is_row and (second is None or len(second.dims) == 2) else None


def _layer_normalization(view: GraphView, node: Node, tokens: _Tokens) -> _Asked | None:  # noqa: ARG001
    axis = attribute(node, "axis")
    on_last = axis is None or axis.i in (-1, tokens.rank - 1)
    return {0: tokens} if on_last and tokens.axis < tokens.rank - 1 else None


def _softmax(view: GraphView, node: Node, tokens: _Tokens) -> _Asked | None:  # noqa: ARG001
    axis = attribute(node, "axis")  # the default depends on the opset
    on_last = axis is not None and axis.i in (-1, tokens.rank - 1)
    return {0: tokens} if on_last and tokens.axis < tokens.rank - 1 else None


def _reduce_mean(view: GraphView, node: Node, tokens: _Tokens) -> _Asked | None:
    """A layer norm that is written out takes means over the width."""
    axes, keeps = attribute(node, "axes"), attribute(node, "keepdims")
    given = view.integers(node.input[1]) if len(node.input) > 1 else None
    found = list(axes.ints) if axes is not None else [] if given is None else given.tolist()
    on_last = found in ([-1], [tokens.rank - 1]) and (keeps is None or keeps.i == 1)
    return {0: tokens} if on_last and tokens.axis < tokens.rank - 1 else None


def _transpose(view: GraphView, node: Node, tokens: _Tokens) -> _Asked | None:  # noqa: ARG001
    perm = attribute(node, "perm")
    if perm is None or len(perm.ints) != tokens.rank or perm.ints[tokens.axis] not in (1, 2):
        return None
    return {0: _Tokens(perm.ints[tokens.axis], tokens.rank)}


def _reshape(view: GraphView, node: Node, tokens: _Tokens) -> _Asked | None:
    """Heads that are split or merged behind the tokens."""
    zero = attribute(node, "allowzero")
    if tokens.axis != 1 or (zero is not None and zero.i):
        return None
    if tokens.rank == 4:
        return {0: _Tokens(1, 3)}
    maker = view.makers.get(node.input[0])
    perm = attribute(maker, "perm") if maker is not None else None
    return {0: _Tokens(1, 4)} if perm is not None and list(perm.ints) == _SPLIT_HEADS else None


_RULES: dict[str, Callable[[GraphView, Node, _Tokens], _Asked | None]] = {
    "LayerNormalization": _layer_normalization,
    "MatMul": _matmul,
    "ReduceMean": _reduce_mean,
    "Reshape": _reshape,
    "Softmax": _softmax,
    "Transpose": _transpose,
}


def _named(constant: str) -> str:
    return f"{_PREFIX}/{constant}"
