"""What a classifier uses of its first token alone is computed for that token alone."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pytest
from onnx import ModelProto, NodeProto, TensorProto, checker, helper

from labelf_cli.classifiers.folder import Tuning
from labelf_cli.graphs.build import build_model
from labelf_cli.graphs.first_token import keep_first_token

WIDTH, LABELS = 8, 3
node = helper.make_node


def classifier(
    layer: Sequence[NodeProto], *, axis: int = 1, index: int = 0, outputs: Sequence[str] = ()
) -> ModelProto:
    """Token vectors ``x``, a ``layer`` over them that ends in ``last``, a head on one token."""
    random = np.random.default_rng(0)
    constants = {
        "table": random.normal(size=(50, WIDTH)),
        "square": random.normal(size=(WIDTH, WIDTH)),
        "wide": random.normal(size=(WIDTH, 4 * WIDTH)),
        "narrow": random.normal(size=(4 * WIDTH, WIDTH)),
        "vector": random.normal(size=WIDTH),
        "head": random.normal(size=(WIDTH, LABELS)),
        "two": np.array(2.0),
        "of_places": random.normal(size=(1, 5, WIDTH)),
    }
    nodes = [
        node("Gather", ["table", "input_ids"], ["x"], axis=0),
        *layer,
        node("Gather", ["last", "index"], ["first"], axis=axis),
        node("MatMul", ["first", "head"], ["logits"]),
    ]
    wanted = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", LABELS])]
    wanted += [
        helper.make_tensor_value_info(o, TensorProto.FLOAT, ["b", "s", "w"]) for o in outputs
    ]
    return build_model(
        "made_for_a_test",
        nodes,
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "sequence"])],
        wanted,
        {name: array.astype(np.float32) for name, array in constants.items()}
        | {"index": np.array(index), "tokens": np.array([1])},
    )


MIXED = [
    # Attention, as far as this matters: each token sees all of them.
    node("ReduceMean", ["x"], ["mean"], axes=[1], keepdims=1),
    node("Add", ["x", "mean"], ["seen"]),
    node("Softmax", ["seen"], ["mixed"], axis=1),
]
FEED_FORWARD = [
    node("MatMul", ["mixed", "wide"], ["up"]),
    node("Div", ["up", "two"], ["half"]),
    node("Erf", ["half"], ["erf"]),
    node("Mul", ["up", "erf"], ["active"]),
    node("MatMul", ["active", "narrow"], ["down"]),
    node("Add", ["vector", "down"], ["moved"]),
    node("Add", ["moved", "mixed"], ["sum"]),
    node("LayerNormalization", ["sum", "vector"], ["last"], axis=-1),
]


def opened(model: ModelProto) -> ort.InferenceSession:
    """A session as labelf's are; the fusion that it leaves out rounds otherwise."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    return ort.InferenceSession(
        model.SerializeToString(),
        options,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=list(Tuning().disabled_optimizers),
    )


def logits(model: ModelProto, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    checker.check_model(model, full_check=True)
    return np.asarray(opened(model).run(["logits"], {"input_ids": ids})[0])


def widest(model: ModelProto, name: str, ids: npt.NDArray[np.int64]) -> int:
    """For how many tokens a tensor is computed."""
    watched = ModelProto.FromString(model.SerializeToString())
    watched.graph.output.append(helper.make_empty_tensor_value_info(name))
    return int(opened(watched).run([name], {"input_ids": ids})[0].shape[1])


IDS = np.random.default_rng(1).integers(0, 50, (4, 5))


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (4, 5), (16, 64)])
def test_the_logits_stay_the_same_to_the_bit(shape: tuple[int, int]) -> None:
    ids = np.random.default_rng(1).integers(0, 50, shape)
    whole, cut = (classifier([*MIXED, *FEED_FORWARD]) for _ in range(2))
    assert keep_first_token(cut)
    assert logits(cut, ids).tobytes() == logits(whole, ids).tobytes()


def test_what_goes_token_by_token_is_computed_for_one() -> None:
    model = classifier([*MIXED, *FEED_FORWARD])
    assert keep_first_token(model)
    assert [widest(model, name, IDS) for name in ("up", "active", "sum", "last")] == [1] * 4


def test_what_mixes_tokens_is_computed_for_all() -> None:
    model = classifier([*MIXED, *FEED_FORWARD])
    keep_first_token(model)
    assert [widest(model, name, IDS) for name in ("seen", "mixed")] == [5, 5]


def test_a_second_pass_finds_nothing_more() -> None:
    model = classifier([*MIXED, *FEED_FORWARD])
    assert keep_first_token(model)
    assert left_alone(model)


def left_alone(model: ModelProto) -> bool:
    before = model.SerializeToString(deterministic=True)
    return not keep_first_token(model) and model.SerializeToString(deterministic=True) == before


def test_another_token_than_the_first_is_left_alone() -> None:
    assert left_alone(classifier([*MIXED, *FEED_FORWARD], index=1))


def test_another_axis_is_left_alone() -> None:
    layer = [*MIXED, node("MatMul", ["mixed", "square"], ["last"])]
    assert left_alone(classifier(layer, axis=0))


def test_vectors_that_are_given_out_are_left_alone() -> None:
    assert left_alone(classifier([*MIXED, *FEED_FORWARD], outputs=["last"]))


def test_vectors_that_others_use_too_are_computed_for_all() -> None:
    layer = [*MIXED, *FEED_FORWARD[:-1]]
    layer += [
        node("LayerNormalization", ["sum", "vector"], ["normal"], axis=-1),
        node("ReduceMax", ["normal"], ["most"], axes=[1], keepdims=1),
        node("Add", ["normal", "most"], ["last"]),
    ]
    whole, cut = classifier(layer), classifier(layer)
    assert keep_first_token(cut)  # the last sum, and no more
    assert widest(cut, "normal", IDS) == 5
    assert logits(cut, IDS).tobytes() == logits(whole, IDS).tobytes()


@pytest.mark.parametrize(
    "last",
    [
        node("Add", ["mixed", "of_places"], ["last"]),  # differs from token to token
        node("LayerNormalization", ["mixed"], ["last"], axis=1),
        node("CumSum", ["mixed", "tokens"], ["last"]),
        node("MatMul", ["mixed", "mixed_turned"], ["last"]),
    ],
    ids=["constant of each place", "norm over tokens", "sum over tokens", "product of two"],
)
def test_what_does_not_go_token_by_token_is_left_alone(last: NodeProto) -> None:
    turned = node("Transpose", ["mixed"], ["mixed_turned"], perm=[0, 2, 1])
    assert left_alone(classifier([*MIXED, turned, last]))
