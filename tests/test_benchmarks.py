"""What the benchmarks are made of and how they reckon; they themselves need torch."""

import hashlib
import statistics
from pathlib import Path

import pytest

from benchmarks.report import BASE, Case, Measured, markdown
from benchmarks.texts import TABLES, VOCAB_SIZE, Table, read_texts, texts, vocabulary, write_table


def case(**seconds: tuple[float | None, ...]) -> Case:
    """A case of 60 texts, given each contender's seconds by round."""
    contenders = {
        name.replace("_", " "): Measured(rounds, None, None) for name, rounds in seconds.items()
    }
    return Case("minilm", "mixed", 60, 600, contenders)


@pytest.mark.parametrize(
    ("table", "digest"),
    [
        ("mixed", "65510682aec8825d"),
        ("mixed100", "e34b0fe866250a47"),
        ("short", "05bffaa6590592be"),
    ],
)
def test_a_table_is_the_same_bytes_every_time(table: str, digest: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_table(TABLES[table], path)
    assert hashlib.sha256(path.read_bytes()).hexdigest().startswith(digest)
    assert read_texts(path) == list(texts(TABLES[table]))


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_texts_differ_and_have_the_lengths_of_their_table(table: Table) -> None:
    found = list(texts(table))
    lengths = [len(text.split()) for text in found]
    assert len(set(found)) == table.rows
    assert (min(lengths), max(lengths)) == (table.shortest, table.longest)


def test_the_vocabulary_has_bert_s_size_and_no_token_twice() -> None:
    tokens = vocabulary().tokens
    assert len(tokens) == len(set(tokens)) == VOCAB_SIZE


def test_ratios_are_taken_within_rounds() -> None:
    noisy = case(labelf_fp32=(1.0, 10.0, 2.0), other=(2.0, 30.0, 5.0))
    assert noisy.ratio(BASE, "other") == statistics.median([2, 3, 2.5])
    assert noisy.speed("other") == 12


def test_rounds_in_which_one_was_left_out_do_not_count() -> None:
    some = case(labelf_fp32=(1.0, 1.0, 1.0), slow=(3.0, None, None))
    assert some.ratio(BASE, "slow") == 3
    assert "| slow | 20.0 | 3.00 | | | 1 |" in markdown([some]).replace("  ", " ")


def test_ratios_to_a_family_are_to_its_fastest() -> None:
    its = case(**{"Optimum, batch 1": (6.0,), "Optimum, batch 8": (4.0,), BASE: (2.0,)})
    assert list(its.ratios()) == [(BASE, "Optimum, batch 8", 2.0)]


def test_a_contender_that_is_named_in_full_is_no_family() -> None:
    its = case(**{BASE: (4.0,), f"{BASE}, other": (3.0,), "labelf int8": (2.0,)})
    assert ("labelf int8", BASE, 2.0) in list(its.ratios())


def test_what_is_kept_reads_back() -> None:
    raw = {
        "shape": "minilm",
        "table": "mixed",
        "texts": 60,
        "tokens": 600,
        "contenders": {
            "labelf fp32": {"seconds": [1.0], "largest_difference": None, "equal_labels": None}
        },
    }
    assert Case.of(raw) == case(labelf_fp32=(1.0,))
