"""Products and look-ups in bytes: close to the numbers they stand for, row by row."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pytest
from conftest import dense_graph
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

from labelf_cli.graphs.build import build_model
from labelf_cli.graphs.int8 import quantised_by, to_int8

WIDTH, COLUMNS = 96, 80
node = helper.make_node
Floats = npt.NDArray[np.float32]

RANDOM = np.random.default_rng(0)
WEIGHTS = RANDOM.normal(size=(WIDTH, COLUMNS)).astype(np.float32)
BIAS = RANDOM.normal(size=COLUMNS).astype(np.float32)
ROWS = RANDOM.normal(size=(7, WIDTH)).astype(np.float32)


def graph(
    nodes: Sequence[NodeProto],
    constants: Mapping[str, np.ndarray[Any, Any]],
    *,
    kind: int = TensorProto.FLOAT,
    outputs: Sequence[str] = ("y",),
    opset: int = 17,
) -> ModelProto:
    """A graph from ``x`` to its outputs."""
    shape = ["rows", "width"]
    model = build_model(
        "made_for_a_test",
        nodes,
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in outputs],
        constants,
    )
    model.opset_import[0].version = opset
    return model


def product(**constants: np.ndarray[Any, Any]) -> ModelProto:
    return graph([node("MatMul", ["x", "w"], ["y"])], {"w": WEIGHTS} | constants)


def run(model: ModelProto, x: np.ndarray[Any, Any]) -> Floats:
    checker.check_model(model)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    content = model.SerializeToString()
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["y"], {"x": x})[0])


def operators(model: ModelProto) -> list[str]:
    return [its.op_type for its in model.graph.node]


def left_alone(model: ModelProto) -> bool:
    before = model.SerializeToString(deterministic=True)
    return not to_int8(model) and model.SerializeToString(deterministic=True) == before


def assert_close(found: Floats, expected: Floats) -> None:
    """Within what rounding both sides to bytes costs a sum of so many products."""
    assert np.abs(found - expected).max() < 0.03 * np.abs(expected).max()
    assert np.abs(found - expected).max() > 0  # it was not the same arithmetic


class TestProduct:
    @pytest.mark.parametrize("opset", [13, 17, 18, 21])
    def test_is_close_to_that_of_the_numbers(self, opset: int) -> None:
        model = graph([node("MatMul", ["x", "w"], ["y"])], {"w": WEIGHTS}, opset=opset)
        assert to_int8(model) == 1
        assert_close(run(model, ROWS), ROWS @ WEIGHTS)

    def test_of_a_row_has_the_same_bits_in_any_company(self) -> None:
        model = product()
        to_int8(model)
        company = np.vstack([ROWS, 1e4 * ROWS, np.full_like(ROWS, np.nan)])
        together = run(model, company)[: len(ROWS)]
        alone = [run(model, row[None]) for row in ROWS]
        assert together.tobytes() == np.vstack(alone).tobytes()

    def test_does_not_depend_on_the_size_of_a_row(self) -> None:
        model = product()
        to_int8(model)
        assert run(model, ROWS * 2**20).tobytes() == (run(model, ROWS) * 2**20).tobytes()

    def test_of_zeros_is_zero_and_of_no_number_is_none(self) -> None:
        model = product()
        to_int8(model)
        rows = np.zeros((3, WIDTH), np.float32)
        rows[1, 5], rows[2, 5] = np.nan, 1
        zeros, nothing, numbers = run(model, rows)
        assert not zeros.any()
        assert np.isnan(nothing).all()
        assert np.isfinite(numbers).all()

    def test_with_a_column_of_zeros_is_zero_there(self) -> None:
        model = product(w=np.hstack([np.zeros((WIDTH, 1), np.float32), WEIGHTS]))
        to_int8(model)
        found = run(model, ROWS)
        assert not found[:, 0].any()
        assert_close(found[:, 1:], ROWS @ WEIGHTS)

    def test_fits_into_16_bits_for_any_two_neighbours(self) -> None:
        model = product()
        to_int8(model)
        arrays = map(numpy_helper.to_array, model.graph.initializer)
        (weights,) = (array for array in arrays if array.shape == WEIGHTS.shape)
        assert weights.dtype == np.int8
        assert np.abs(weights.astype(int)).max(axis=0).tolist() == [63] * COLUMNS
        assert 2 * 255 * 63 < 2**15

    @pytest.mark.parametrize("transposed", [False, True])
    def test_may_have_a_bias_and_turned_weights(self, transposed: bool) -> None:
        gemm = node("Gemm", ["x", "w", "b"], ["y"], transB=int(transposed))
        weights = np.ascontiguousarray(WEIGHTS.T) if transposed else WEIGHTS
        model = graph([gemm], {"w": weights, "b": BIAS})
        assert to_int8(model) == 1
        assert_close(run(model, ROWS), ROWS @ WEIGHTS + BIAS)

    @pytest.mark.parametrize("factors", [{"alpha": 0.5}, {"beta": 0.5}, {"transA": 1}])
    def test_that_does_more_is_left_alone(self, factors: dict[str, Any]) -> None:
        gemm = node("Gemm", ["x", "w", "b"], ["y"], **factors)
        assert left_alone(graph([gemm], {"w": WEIGHTS, "b": BIAS}))

    @pytest.mark.parametrize(
        "weights",
        [WEIGHTS[:, :3], WEIGHTS.astype(np.float64), WEIGHTS[None]],
        ids=["small", "of other numbers", "of three dimensions"],
    )
    def test_with_other_weights_is_left_alone(self, weights: np.ndarray[Any, Any]) -> None:
        assert left_alone(product(w=weights))

    def test_of_two_things_that_are_not_constant_is_left_alone(self) -> None:
        nodes = [node("Transpose", ["x"], ["t"]), node("MatMul", ["x", "t"], ["y"])]
        assert left_alone(graph(nodes, {}))

    def test_takes_the_same_bytes_as_others_of_its_input(self) -> None:
        nodes = [node("MatMul", ["x", w], [y]) for w, y in (("w", "a"), ("v", "b"))]
        nodes.append(node("Add", ["a", "b"], ["y"]))
        model = graph(nodes, {"w": WEIGHTS, "v": -2 * WEIGHTS})
        assert to_int8(model) == 2
        assert operators(model).count("QuantizeLinear") == 1
        assert_close(run(model, ROWS), -ROWS @ WEIGHTS)


class TestWeights:
    def weights_left(self, model: ModelProto) -> int:
        """Bytes of large constants in float32."""
        tensors = [*model.graph.initializer]
        tensors += [n.attribute[0].t for n in model.graph.node if n.op_type == "Constant"]
        kinds = [(t.data_type, len(t.raw_data)) for t in tensors]
        return sum(size for kind, size in kinds if kind == TensorProto.FLOAT and size > 4000)

    def test_of_a_constant_node_behind_identities_are_found(self) -> None:
        nodes = [
            node("Constant", [], ["c"], value=numpy_helper.from_array(WEIGHTS)),
            node("Identity", ["c"], ["i"]),
            node("Identity", ["i"], ["w"]),
            node("MatMul", ["x", "w"], ["y"]),
        ]
        model = graph(nodes, {})
        assert to_int8(model) == 1
        assert_close(run(model, ROWS), ROWS @ WEIGHTS)
        assert self.weights_left(model) == 0
        assert {"Constant", "Identity"}.isdisjoint(operators(model))

    def test_that_are_inputs_too_are_dropped(self) -> None:
        model = product()
        value = helper.make_tensor_value_info("w", TensorProto.FLOAT, WEIGHTS.shape)
        model.graph.input.append(value)
        assert to_int8(model) == 1
        assert [value.name for value in model.graph.input] == ["x"]
        assert_close(run(model, ROWS), ROWS @ WEIGHTS)

    def test_that_a_branch_needs_stay(self) -> None:
        outs = [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)]
        branch = helper.make_graph([node("MatMul", ["x", "w"], ["z"])], "branch", [], outs)
        nodes = [
            node("MatMul", ["x", "w"], ["first"]),
            node("If", ["true"], ["again"], then_branch=branch, else_branch=branch),
            node("Sub", ["first", "again"], ["y"]),
        ]
        model = graph(nodes, {"w": WEIGHTS, "true": np.array(True)})
        assert to_int8(model) == 1
        assert self.weights_left(model) == WEIGHTS.nbytes
        assert np.abs(run(model, ROWS)).max() < 0.03 * np.abs(ROWS @ WEIGHTS).max()


class TestLookUp:
    IDS = np.array([[3, 0], [95, 3]])

    def test_is_close_to_the_numbers_and_the_same_every_time(self) -> None:
        model = graph(
            [node("Gather", ["table", "x"], ["y"])], {"table": WEIGHTS}, kind=TensorProto.INT64
        )
        assert to_int8(model) == 1
        found = run(model, self.IDS)
        assert_close(found, WEIGHTS[self.IDS])
        step = np.abs(WEIGHTS[self.IDS]).max(axis=-1, keepdims=True) / 127
        assert (np.abs(found - WEIGHTS[self.IDS]) <= 0.501 * step).all()
        assert found[0, 0].tobytes() == found[1, 1].tobytes()

    def test_along_another_axis_is_left_alone(self) -> None:
        gather = node("Gather", ["table", "x"], ["y"], axis=1)
        assert left_alone(graph([gather], {"table": WEIGHTS}, kind=TensorProto.INT64))


class TestQuantised:
    def test_is_what_was_made(self) -> None:
        model = dense_graph()
        assert quantised_by(model) is None
        assert to_int8(model) == 1
        assert quantised_by(model) is not None

    @pytest.mark.parametrize("operator", ["QLinearMatMul", "MatMulInteger", "MatMulNBits"])
    def test_is_what_others_make(self, operator: str) -> None:
        assert quantised_by(graph([node(operator, ["x"], ["y"])], {})) == operator
