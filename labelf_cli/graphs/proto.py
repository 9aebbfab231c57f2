"""The part of onnx.proto that it takes to rewrite a graph, without the ``onnx`` package.

Names and numbers of the fields are those of onnx.proto. A field that is not listed here keeps its
content: protobuf writes what it does not know as it read it.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "labelf.onnx"

_FIELDS: dict[str, dict[str, tuple[int, str]]] = {
    "ModelProto": {"graph": (7, "GraphProto")},
    "GraphProto": {
        "node": (1, "*NodeProto"),
        "name": (2, "string"),
        "initializer": (5, "*TensorProto"),
        "input": (11, "*ValueInfoProto"),
        "output": (12, "*ValueInfoProto"),
    },
    "NodeProto": {
        "input": (1, "*string"),
        "output": (2, "*string"),
        "name": (3, "string"),
        "op_type": (4, "string"),
        "attribute": (5, "*AttributeProto"),
        "domain": (7, "string"),
    },
    "AttributeProto": {
        "name": (1, "string"),
        "i": (3, "int64"),
        "s": (4, "bytes"),
        "t": (5, "TensorProto"),
        "g": (6, "GraphProto"),
        "ints": (8, "*int64"),
        "strings": (9, "*bytes"),
        "type": (20, "int32"),
    },
    "TensorProto": {
        "dims": (1, "*int64"),
        "data_type": (2, "int32"),
        "int64_data": (7, "*int64"),
        "name": (8, "string"),
        "raw_data": (9, "bytes"),
    },
    "ValueInfoProto": {"name": (1, "string"), "type": (2, "TypeProto")},
    "TypeProto": {"tensor_type": (1, "TypeProtoTensor")},
    "TypeProtoTensor": {"elem_type": (1, "int32")},
}

_FIELD = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "string": _FIELD.TYPE_STRING,
    "bytes": _FIELD.TYPE_BYTES,
    "int32": _FIELD.TYPE_INT32,
    "int64": _FIELD.TYPE_INT64,
}


def _field(name: str, number: int, kind: str) -> descriptor_pb2.FieldDescriptorProto:
    element = kind.removeprefix("*")
    field = descriptor_pb2.FieldDescriptorProto(
        name=name,
        number=number,
        label=_FIELD.LABEL_OPTIONAL if element == kind else _FIELD.LABEL_REPEATED,
        type=_SCALARS.get(element, _FIELD.TYPE_MESSAGE),
    )
    if element not in _SCALARS:
        field.type_name = f".{_PACKAGE}.{element}"
    return field


def _model_class() -> Any:  # noqa: ANN401  # made when the program runs
    file = descriptor_pb2.FileDescriptorProto(
        name="labelf/onnx.proto", package=_PACKAGE, syntax="proto2"
    )
    for message, fields in _FIELDS.items():
        described = file.message_type.add(name=message)
        described.field.extend(_field(name, *rest) for name, rest in fields.items())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.ModelProto"))


ModelProto = _model_class()
"""Class of a whole model."""
