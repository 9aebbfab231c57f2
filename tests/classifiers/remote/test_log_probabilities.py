"""How sure a language model was, by its tokens."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelf_cli.classifiers.remote.log_probabilities import NoProbabilitiesError, SpelledTokens


def tokens(*pieces: tuple[str | bytes, float]) -> list[dict[str, Any]]:
    """Pieces of an answer with the probability of each."""
    encoded = [(p.encode() if isinstance(p, str) else p, value) for p, value in pieces]
    return [
        {"token": p.decode(errors="replace"), "bytes": list(p), "logprob": math.log(value)}
        for p, value in encoded
    ]


def found(content: str, *pieces: tuple[str | bytes, float]) -> dict[str, float]:
    return dict(SpelledTokens.of(content, tokens(*pieces)).strings())


def test_the_tokens_of_a_label_count_and_no_others() -> None:
    content = '{"topic": ["climate", "space"]}'
    its = found(
        content,
        ('{"', 0.1),
        ("topic", 0.2),
        ('": ["', 0.3),
        ("clim", 0.5),
        ("ate", 0.8),
        ('", "', 0.4),
        ("space", 0.7),
        ('"]', 0.6),
        ("}", 0.9),
    )
    assert its["climate"] == pytest.approx(0.4)
    assert its["space"] == pytest.approx(0.7)


def test_a_token_that_spells_a_label_and_a_quote_counts() -> None:
    its = found('{"a":"yes"}', ('{"a', 0.5), ('":', 0.5), ('"ye', 0.8), ('s"', 0.5), ("}", 0.1))
    assert its["yes"] == pytest.approx(0.4)


def test_a_character_of_several_tokens() -> None:
    content = '{"a":"på"}'
    its = found(content, ('{"a":"', 0.5), (b"p\xc3", 0.8), (b"\xa5", 0.5), ('"}', 0.1))
    assert its["på"] == pytest.approx(0.4)


def test_escapes_are_spelled_by_their_tokens() -> None:
    content = json.dumps({"a": 'på "two"'})
    pieces = [(character, 0.9 if character in '{}: "a' else 0.5) for character in content]
    its = found(content, *pieces)
    spelled = content[content.index(":") + 3 : -2]
    expected = math.prod(0.9 if character in '{}: "a' else 0.5 for character in spelled)
    assert its['på "two"'] == pytest.approx(expected)


def test_a_token_after_the_end_is_no_matter() -> None:
    assert found('{"a":"b"}', ('{"a":"', 1), ("b", 0.5), ('"}', 1), ("<|end|>", 0.5))["b"] == 0.5


@pytest.mark.parametrize(
    "given_",
    [
        None,
        [],
        "tokens",
        tokens(('{"a":"c"}', 1)),
        [{"token": '{"a":"b"}'}],
        [{"token": '{"a":"b"}', "logprob": "x"}],
        [{"token": '{"a":"b"}', "logprob": float("nan")}],
        [{"token": 1, "logprob": 0}],
        ["x"],
    ],
)
def test_what_is_not_usable_is_said(given_: object) -> None:
    with pytest.raises(NoProbabilitiesError):
        SpelledTokens.of('{"a":"b"}', given_)


@given(
    st.dictionaries(st.text(min_size=1), st.lists(st.text()), min_size=1),
    st.booleans(),
    st.data(),
)
def test_however_it_is_cut_each_string_has_the_product_of_its_tokens(
    said: dict[str, list[str]], ensure_ascii: bool, data: st.DataObject
) -> None:
    """One token a byte with the same probability: a string's is that to the power of its bytes."""
    try:
        content = json.dumps(said, ensure_ascii=ensure_ascii)
        encoded = content.encode()
    except UnicodeEncodeError:
        return
    cuts = sorted(data.draw(st.sets(st.integers(1, max(len(encoded) - 1, 1)), max_size=20)))
    ends = [*cuts, len(encoded)]
    pieces = [encoded[a:b] for a, b in zip([0, *ends], ends, strict=False) if a < b]
    its = SpelledTokens.of(content, tokens(*((piece, 0.99) for piece in pieces))).strings()
    assert [text for text, _ in its] == [t for key, values in said.items() for t in (key, *values)]
    assert all(0 < probability <= 1 for _, probability in its)
    by_byte = tokens(*((bytes([byte]), 0.99) for byte in encoded))
    place = 0
    for text, probability in SpelledTokens.of(content, by_byte).strings():
        literal = json.dumps(text, ensure_ascii=ensure_ascii).encode()
        place = encoded.index(literal, place) + len(literal)
        assert probability == pytest.approx(0.99 ** (len(literal) - 2))
