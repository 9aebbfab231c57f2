"""Token ids to padded matrices: the same as a plain loop makes."""

from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from labelf_cli.sequences import Sequences, sequences
from labelf_cli.tokens import Ints, Template, TokenIds


@dataclass(frozen=True)
class Case:
    """What is asked of ``sequences``."""

    ids: list[list[int]]
    rows: list[int]
    template: Template
    max_length: int | None

    @property
    def row_array(self) -> Ints:
        return np.array(self.rows, np.int64)

    def built(self) -> Sequences:
        ids = TokenIds.of(self.ids)
        return sequences(ids, self.row_array, self.template, self.max_length)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    special = st.lists(st.integers(100, 199), max_size=2)
    suffix = draw(special)
    types = st.integers(0, 3)
    of_suffix = draw(st.lists(types, min_size=1, max_size=1) | st.tuples(*[types] * len(suffix)))
    template = Template(
        prefix=np.array(draw(special), np.int32),
        suffix=np.array(suffix, np.int32),
        type_ids=(draw(types), draw(types), *of_suffix),
        pad_id=draw(st.integers(0, 3)),
        pad_left=draw(st.booleans()),
        cut_left=draw(st.booleans()),
    )
    ids = draw(st.lists(st.lists(st.integers(4, 99), max_size=8), min_size=1, max_size=6))
    rows = draw(st.lists(st.integers(0, len(ids) - 1), max_size=6))
    least = template.num_special + 1
    max_length = draw(st.none() | st.integers(least, least + 8))
    return Case(ids, rows, template, max_length)


def naive(case: Case) -> tuple[list[list[int]], list[list[int]], list[list[int]]]:
    """Ids, attention mask and token types, made one text after the other."""
    template = case.template
    prefix, suffix = template.prefix.tolist(), template.suffix.tolist()
    made = []
    for row in case.rows:
        text = case.ids[row]
        while case.max_length and len(prefix + text + suffix) > case.max_length:
            text = text[1:] if template.cut_left else text[:-1]
        before, within, *after = template.type_ids
        if len(after) != len(suffix):
            after = after[:1] * len(suffix)
        types = [before] * len(prefix) + [within] * len(text) + after
        made.append((prefix + text + suffix, types))
    length = max([template.num_special, *(len(ids) for ids, _ in made)])

    def padded(values: list[int], fill: int) -> list[int]:
        padding = [fill] * (length - len(values))
        return padding + values if template.pad_left else values + padding

    return (
        [padded(ids, template.pad_id) for ids, _ in made],
        [padded([1] * len(ids), 0) for ids, _ in made],
        [padded(types, 0) for _, types in made],
    )


@given(cases())
def test_padded_inputs_equal_those_of_a_loop_over_the_texts(case: Case) -> None:
    built = case.built()
    made = (built.input_ids, built.attention_mask, built.token_type_ids)
    assert tuple(array.tolist() for array in made) == naive(case)
    assert {(array.dtype.name, array.shape) for array in made} == {("int64", made[0].shape)}


@given(cases())
def test_lengths_are_those_of_the_sequences_that_are_built(case: Case) -> None:
    lengths = case.template.lengths(TokenIds.of(case.ids), case.max_length)
    assert lengths[case.row_array].tolist() == case.built().attention_mask.sum(axis=1).tolist()
