"""Where a graph's weights lie, read off its bytes: nothing that would be opened is missed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from labelf_cli.classifiers.external_data import FIELDS, external_locations

ENTRY = "StringStringEntryProto"


def tensor(*locations: str) -> TensorProto:
    """A tensor whose data lies elsewhere."""
    made = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1])
    made.data_location = TensorProto.EXTERNAL
    for location in locations:
        made.external_data.add(key="offset", value="0")
        made.external_data.add(key="location", value=location)
    return made


def sparse(location: str) -> onnx.SparseTensorProto:
    return onnx.SparseTensorProto(values=tensor(location), indices=tensor(f"{location} indices"))


def graph(*tensors: TensorProto) -> onnx.GraphProto:
    return helper.make_graph([], "made_for_a_test", [], [], tensors)


def node(**attributes: Any) -> onnx.NodeProto:  # noqa: ANN401  # as in helper
    return helper.make_node("Anything", [], [], **attributes)


def found(path: Path, content: bytes) -> set[bytes]:
    (path / "model.onnx").write_bytes(content)
    return external_locations(path / "model.onnx")


def test_the_fields_are_all_those_of_onnx_proto_that_lead_to_a_tensor() -> None:
    described = onnx.ModelProto.DESCRIPTOR.file.message_types_by_name
    leads = {"TensorProto"}
    while True:
        more = {
            name
            for name, message in described.items()
            if any(f.message_type and f.message_type.name in leads for f in message.fields)
        }
        if more <= leads:
            break
        leads |= more
    expected = {
        name: {
            f.number: f.message_type.name
            for f in described[name].fields
            if f.message_type and f.message_type.name in leads
        }
        for name in leads - {"TensorProto"}
    }
    external = described["TensorProto"].fields_by_name["external_data"]
    assert expected | {"TensorProto": {external.number: ENTRY}} == FIELDS


class TestLocations:
    """Everywhere that a tensor may stand."""

    @pytest.mark.parametrize(
        ("put", "expected"),
        [
            (lambda m: m.graph.initializer.append(tensor("a", "b")), {b"a", b"b"}),
            (
                lambda m: m.graph.sparse_initializer.append(sparse("a")),
                {b"a", b"a indices"},
            ),
            (lambda m: m.graph.node.append(node(value=tensor("a"))), {b"a"}),
            (lambda m: m.graph.node.append(node(value=[tensor("a"), tensor("b")])), {b"a", b"b"}),
            (lambda m: m.graph.node.append(node(value=sparse("a"))), {b"a", b"a indices"}),
            (lambda m: m.graph.node.append(node(body=graph(tensor("a")))), {b"a"}),
            (
                lambda m: m.graph.node.append(
                    node(bodies=[graph(tensor("a")), graph(tensor("b"))])
                ),
                {b"a", b"b"},
            ),
            (lambda m: m.functions.add().node.append(node(value=tensor("a"))), {b"a"}),
            (
                lambda m: m.functions.add().attribute_proto.append(
                    helper.make_attribute("value", tensor("a"))
                ),
                {b"a"},
            ),
            (
                lambda m: m.training_info.add().algorithm.initializer.append(tensor("a")),
                {b"a"},
            ),
            (lambda m: m.graph.initializer.append(tensor("x" * 70_000)), {b"x" * 70_000}),
            (lambda m: m.metadata_props.add(key="location", value="no tensor"), set()),
        ],
    )
    def test_are_found(
        self, tmp_path: Path, put: Callable[[onnx.ModelProto], object], expected: set[bytes]
    ) -> None:
        model = helper.make_model(graph())
        put(model)
        assert found(tmp_path, model.SerializeToString()) == expected

    def test_are_found_in_deep_subgraphs(self, tmp_path: Path) -> None:
        deep = graph(tensor("a"))
        for _ in range(20):
            deep = helper.make_graph([node(body=deep)], "made_for_a_test", [], [])
        assert found(tmp_path, helper.make_model(deep).SerializeToString()) == {b"a"}


def field(number: int, content: bytes) -> bytes:
    """A field of bytes, shorter than 128, on the wire."""
    return bytes([number << 3 | 2, len(content)]) + content


def model_of(entry: bytes, padding: int = 0) -> bytes:
    """A model whose one tensor has an entry; ``padding`` writes its length in more bytes."""
    made = field(13, entry)
    if padding:
        length = bytes([made[1] | 0x80]) + b"\x80" * (padding - 1) + b"\x00"
        made = made[:1] + length + made[2:]
    return field(7, field(5, made))


LOCATION, SECRET = field(1, b"location"), field(2, b"../secret")


class TestCrafted:
    """Bytes that no exporter writes, and that protobuf reads all the same."""

    @pytest.mark.parametrize(
        "entry",
        [
            LOCATION + SECRET,
            SECRET + LOCATION,
            field(9, b"unknown") + LOCATION + b"\x50\x01" + SECRET,
            LOCATION + field(2, b"w") + SECRET,
            field(1, b"offset") + SECRET + LOCATION,
            b"\x8a\x00" + LOCATION[1:] + b"\x92\x80\x00" + SECRET[1:],
        ],
        ids=["plain", "value first", "unknown fields", "two values", "two keys", "long tags"],
    )
    @pytest.mark.parametrize("padding", [0, 1, 4])
    def test_a_location_is_not_hidden(self, tmp_path: Path, entry: bytes, padding: int) -> None:
        content = model_of(entry, padding)
        (tensor_,) = onnx.ModelProto.FromString(content).graph.initializer
        (read,) = tensor_.external_data  # protobuf sees it, too
        assert (read.key, read.value) == ("location", "../secret")
        assert b"../secret" in found(tmp_path, content)

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"\x3a\x05abc", "a broken field before byte 2"),
            (b"\x3b\x3c", "wire type 3 at byte 1"),
            (b"\x02\x00", "a broken field before byte 2"),
            (b"\x08" + b"\xff" * 10 + b"\x01", "a broken number at byte 1"),
            (b"\xba\x80\x80\x80\x10\x00", "a broken number at byte 0"),
            (b"\xba\x80\x80\x80\x80\x00\x00", "a broken number at byte 0"),
            (b"\x3d\x00", "a broken field before byte 1"),
            (b"\x3a", "a broken number at byte 1"),
        ],
        ids=[
            "past the end",
            "group",
            "field 0",
            "long number",
            "33 bits",
            "long tag",
            "fixed",
            "no length",
        ],
    )
    def test_what_can_be_read_in_two_ways_is_refused(
        self, tmp_path: Path, content: bytes, reason: str
    ) -> None:
        with pytest.raises(ValueError, match=f"^{reason}$"):
            found(tmp_path, content)
