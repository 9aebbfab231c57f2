"""What a classifier uses of its first token alone is computed for the first two tokens alone."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pytest
from onnx import ModelProto, NodeProto, TensorProto, checker, helper

from labelf_cli.classifiers.tuning import Tuning
from labelf_cli.graphs.build import build_model
from labelf_cli.graphs.first_token import keep_first_token
from labelf_cli.graphs.proto import ModelProto as GraphProtos

WIDTH, HEADS, LABELS = 8, 2, 3
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
        "of_texts": random.normal(size=(1, 1, WIDTH)),
        **{f"to_{name}": random.normal(size=(WIDTH, WIDTH)) for name in ("q", "k", "v")},
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
        | {
            "index": np.array(index),
            "tokens": np.array([1]),
            "heads": np.array([0, -1, HEADS, WIDTH // HEADS]),
            "no_heads": np.array([0, -1, WIDTH]),
            "last_axis": np.array([-1]),
            "past_the_end": np.array([9]),
            "first_axis": np.array([0]),
        },
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


ATTENTION = [
    *(
        made
        for name in ("q", "k", "v")
        for made in (
            node("MatMul", ["x", f"to_{name}"], [f"{name}_flat"]),
            node("Reshape", [f"{name}_flat", "heads"], [f"{name}_split"]),
            node(
                "Transpose",
                [f"{name}_split"],
                [name],
                perm=[0, 2, 3, 1] if name == "k" else [0, 2, 1, 3],
            ),
        )
    ),
    # The scale as torch exports it, from a shape that does not depend on the tokens.
    node("Shape", ["q"], ["q_shape"]),
    node("Slice", ["q_shape", "last_axis", "past_the_end", "first_axis"], ["q_width"]),
    node("Cast", ["q_width"], ["q_number"], to=TensorProto.FLOAT),
    node("Sqrt", ["q_number"], ["scale"]),
    node("MatMul", ["q", "k"], ["unscaled"]),
    node("Div", ["unscaled", "scale"], ["scores"]),
    node("Softmax", ["scores"], ["probabilities"], axis=-1),
    node("MatMul", ["probabilities", "v"], ["context"]),
    node("Transpose", ["context"], ["context_split"], perm=[0, 2, 1, 3]),
    node("Reshape", ["context_split", "no_heads"], ["mixed"]),
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


def widest(model: ModelProto, name: str, ids: npt.NDArray[np.int64], axis: int = 1) -> int:
    """For how many tokens a tensor is computed; they are on this axis."""
    watched = ModelProto.FromString(model.SerializeToString())
    watched.graph.output.append(helper.make_empty_tensor_value_info(name))
    return int(opened(watched).run([name], {"input_ids": ids})[0].shape[axis])


IDS = np.random.default_rng(1).integers(0, 50, (4, 5))


@pytest.mark.parametrize("mixed", [MIXED, ATTENTION], ids=["mean", "attention"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (1, 7), (4, 5), (16, 64), (2, 300)])
def test_the_logits_stay_the_same_to_the_bit(
    shape: tuple[int, int], mixed: Sequence[NodeProto]
) -> None:
    ids = np.random.default_rng(1).integers(0, 50, shape)
    whole, cut = (classifier([*mixed, *FEED_FORWARD]) for _ in range(2))
    assert keep_first_token(cut)
    assert logits(cut, ids).tobytes() == logits(whole, ids).tobytes()


def test_what_goes_token_by_token_is_computed_for_two() -> None:
    model = classifier([*MIXED, *FEED_FORWARD])
    assert keep_first_token(model)
    assert [widest(model, name, IDS) for name in ("up", "active", "sum", "last")] == [2] * 4


def test_what_mixes_tokens_is_computed_for_all() -> None:
    model = classifier([*MIXED, *FEED_FORWARD])
    keep_first_token(model)
    assert [widest(model, name, IDS) for name in ("seen", "mixed")] == [5, 5]


def test_attention_looks_from_two_tokens_at_all() -> None:
    model = classifier([*ATTENTION, *FEED_FORWARD])
    assert keep_first_token(model)
    assert [widest(model, name, IDS) for name in ("q_flat", "q_split", "mixed")] == [2, 2, 2]
    assert [widest(model, name, IDS, 2) for name in ("q", "scores", "context")] == [2, 2, 2]
    assert [widest(model, name, IDS, 3) for name in ("k", "scores")] == [5, 5]
    assert widest(model, "v", IDS, 2) == 5


def test_a_shape_that_is_used_otherwise_keeps_all_tokens() -> None:
    layer = [*ATTENTION]
    at = next(n for n, each in enumerate(layer) if each.op_type == "Slice")
    layer[at] = node("Slice", ["q_shape", "tokens_axis", "past_the_end", "first_axis"], ["q_width"])
    layer.insert(at, node("Identity", ["first_axis"], ["tokens_axis"]))
    layer.insert(at + 2, node("ReduceMax", ["q_width"], ["q_largest"], keepdims=0))
    layer[at + 3] = node("Cast", ["q_largest"], ["q_number"], to=TensorProto.FLOAT)
    whole, cut = (classifier([*layer, *FEED_FORWARD]) for _ in range(2))
    assert keep_first_token(cut)
    assert widest(cut, "q", IDS, 2) == 5
    assert logits(cut, IDS).tobytes() == logits(whole, IDS).tobytes()


@pytest.mark.parametrize("place", ["of_texts", "vector", "two"])
def test_constants_without_tokens_change_nothing(place: str) -> None:
    layer = [*FEED_FORWARD[:-1], node("Mul", ["sum", place], ["last"])]
    whole, cut = (classifier([*MIXED, *layer]) for _ in range(2))
    assert keep_first_token(cut)
    assert widest(cut, "up", IDS) == 2
    assert logits(cut, IDS).tobytes() == logits(whole, IDS).tobytes()


def test_a_norm_that_is_written_out_goes_token_by_token() -> None:
    layer = [
        *FEED_FORWARD[:-1],
        node("ReduceMean", ["sum"], ["its_mean"], axes=[-1]),
        node("Sub", ["sum", "its_mean"], ["centred"]),
        node("Pow", ["centred", "two"], ["squared"]),
        node("ReduceMean", ["squared"], ["variance"], axes=[-1], keepdims=1),
        node("Sqrt", ["variance"], ["deviation"]),
        node("Div", ["centred", "deviation"], ["last"]),
    ]
    whole, cut = (classifier([*MIXED, *layer]) for _ in range(2))
    assert keep_first_token(cut)
    assert widest(cut, "up", IDS) == 2
    assert logits(cut, IDS).tobytes() == logits(whole, IDS).tobytes()


def test_both_kinds_of_messages_are_cut_alike() -> None:
    model = classifier([*ATTENTION, *FEED_FORWARD])
    ours = GraphProtos.FromString(model.SerializeToString())
    assert keep_first_token(model)
    assert keep_first_token(ours)
    assert ModelProto.FromString(ours.SerializeToString()) == model


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
    assert not keep_first_token(cut)  # the last sum is not worth it
    assert cut == whole


@pytest.mark.parametrize(
    "last",
    [
        node("Add", ["mixed", "of_places"], ["last"]),  # differs from token to token
        node("LayerNormalization", ["mixed"], ["last"], axis=1),
        node("CumSum", ["mixed", "tokens"], ["last"]),
        node("Softmax", ["mixed"], ["last"], axis=1),
        node("Softmax", ["mixed"], ["last"]),  # the axis depends on the opset
        node("ReduceMean", ["mixed"], ["last"], axes=[1], keepdims=1),
        node("Reshape", ["mixed", "no_heads"], ["last"]),  # of heads that nobody split
    ],
    ids=[
        *("constant of each place", "norm over tokens", "sum over tokens", "softmax over tokens"),
        *("softmax over an axis that is not told", "mean over tokens", "another reshape"),
    ],
)
def test_what_does_not_go_token_by_token_is_computed_for_all(last: NodeProto) -> None:
    product = node("MatMul", ["seen", "square"], ["mixed"])
    assert left_alone(classifier([*MIXED[:2], product, last]))


def test_what_a_branch_may_use_is_left_alone() -> None:
    model = classifier([*MIXED, *FEED_FORWARD])
    branch = helper.make_graph([], "branch", [], [helper.make_empty_tensor_value_info("last")])
    model.graph.node.append(node("If", ["two"], ["other"], then_branch=branch, else_branch=branch))
    assert left_alone(model)
