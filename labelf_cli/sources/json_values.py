"""JSON values: parsed with their numbers as written, as text, and as Arrow's types."""

import json
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

Object = dict[str, Any]


class Number(str):
    """A JSON number as it was written."""

    __slots__ = ()


class NotAnObjectError(Exception):
    """A text is no JSON object that can be used; says why."""


_NOT_FINITE = ("NaN", "Infinity", "-Infinity")
"""Words that are no JSON but that Python writes for float64 values."""

TOO_DEEP = "JSON that is nested too deeply"

_DECODER = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=Number)


def parse(text: str) -> Object:
    """A JSON object whose numbers are as they were written.

    Raises:
        NotAnObjectError: it is none.
    """
    try:
        found = _DECODER.decode(text)
    except ValueError as error:
        raise NotAnObjectError(f"not valid JSON ({error})") from None
    except RecursionError:
        raise NotAnObjectError(TOO_DEEP) from None
    if not isinstance(found, dict):
        raise NotAnObjectError(f"not a JSON object but {kind_of(found)}")
    return found


def kind_of(value: object) -> str:
    """What a value is, in words."""
    if isinstance(value, list):
        return "an array"
    return "an object" if isinstance(value, dict) else f"the value {as_json(value)}"


class Kind:
    """What the values of a column have in common."""

    def __init__(self) -> None:
        self._fitting: tuple[pa.DataType, ...] = (pa.bool_(), pa.int64(), pa.float64())
        self._is_null = True

    def add(self, value: object) -> None:
        """Take a value of the column."""
        if value is not None:
            self._is_null = False
            self._fitting = tuple(kind for kind in self._fitting if CONVERSIONS[kind][0](value))

    @property
    def type(self) -> pa.DataType:
        """The type that all values fit exactly, nulls aside; text if there is no other."""
        return self._fitting[0] if self._fitting and not self._is_null else pa.string()


def _fits_int64(value: object) -> bool:
    if not (isinstance(value, Number) and len(value) < 21 and value.lstrip("-").isdigit()):
        return False
    return -(2**63) <= int(value) < 2**63


def _fits_float64(value: object) -> bool:
    """Whether the shortest text that stands for the nearest float64 is the same number."""
    if not isinstance(value, Number):
        return False
    nearest = repr(float(value))
    if nearest == value or value in _NOT_FINITE:
        return True
    try:
        return Decimal(nearest) == Decimal(value)
    except InvalidOperation:  # an exponent beyond all measure
        return False


def as_text(value: object) -> str:
    """A JSON value as text: strings and numbers as they are, the rest as JSON."""
    return str(value) if isinstance(value, str) else as_json(value)


def as_json(value: object) -> str:
    """A value as JSON again, numbers as they were written."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_json(key)}: {as_json(v)}" for key, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


CONVERSIONS: dict[pa.DataType, tuple[Callable[[Any], bool], Callable[[Any], Any]]] = {
    pa.bool_(): (lambda value: isinstance(value, bool), bool),
    pa.int64(): (_fits_int64, int),
    pa.float64(): (_fits_float64, float),
    pa.string(): (lambda _: True, as_text),
}


_SURROGATES = re.compile("[\ud800-\udfff]")


def strings(values: list[str | None]) -> pa.StringArray:
    """An Arrow array; a lone surrogate, which UTF-8 has no bytes for, becomes U+FFFD."""
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        return pa.array([v and _SURROGATES.sub("\ufffd", v) for v in values], pa.string())
