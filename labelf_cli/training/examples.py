"""Labelled texts to learn from: read, and refused early where they can't be learned from."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from labelf_cli.chunk import TEXT
from labelf_cli.errors import InputError
from labelf_cli.evaluation.judged import Booleans, Ints
from labelf_cli.formats import Format
from labelf_cli.gold import SEPARATOR, Labels, indicators, one_label, several_labels
from labelf_cli.sources.interface import ReadOptions, require_columns
from labelf_cli.sources.rejects import FailOnBadRows
from labelf_cli.sources.table import Inputs, input_format

MIN_EXAMPLES = 5


@dataclass(frozen=True)
class ReadSettings:
    """Where the examples stand.

    Attributes:
        inputs: files, globs or ``-``.
        label_columns: one model for each.
        text_columns: what is classified; several are joined by a newline.
        format: of the inputs; None for what their names say.
        delimiter, encoding: of them; None for the format's own, and what a byte order mark says.
        multi_label: whether a cell may hold several labels.
        label_separator: between them, where the cell is no JSON array.
        min_examples: fewest distinct texts of a label.
    """

    inputs: tuple[str, ...]
    label_columns: tuple[str, ...]
    text_columns: tuple[str, ...] = ("text",)
    format: Format | None = None
    multi_label: bool = False
    label_separator: str = SEPARATOR
    min_examples: int = MIN_EXAMPLES
    delimiter: str | None = None
    encoding: str | None = None


@dataclass(frozen=True)
class Examples:
    """What one model learns from.

    Attributes:
        rows: those of the table's texts that are labelled, [texts] int64.
        labels: names, sorted.
        gold: which of them each text has, [texts × labels].
        texts: numbers the distinct texts, [texts] int64.
        digest: over texts and labels.
    """

    rows: Ints
    labels: tuple[str, ...]
    gold: Booleans
    texts: Ints
    digest: str

    @classmethod
    def of(cls, texts: Sequence[str], gold: Sequence[Labels | None]) -> "Examples":
        """Those that have labels."""
        rows = [row for row, labels in enumerate(gold) if labels is not None]
        its_texts = [texts[row] for row in rows]
        its_gold = [labels for labels in gold if labels is not None]
        labels = tuple(sorted({label for its in its_gold for label in its}))
        return cls(
            np.array(rows, np.int64),
            labels,
            indicators(its_gold, labels),
            np.unique(its_texts, return_inverse=True)[1],
            _digest(its_texts, its_gold),
        )

    @property
    def counts(self) -> dict[str, int]:
        """Number of rows by label."""
        return dict(zip(self.labels, self.gold.sum(axis=0).tolist(), strict=True))

    @property
    def distinct(self) -> dict[str, int]:
        """Number of distinct texts by label."""
        numbers = (len(np.unique(self.texts[has])) for has in self.gold.T)
        return dict(zip(self.labels, numbers, strict=True))


def _digest(texts: Sequence[str], gold: Sequence[Labels]) -> str:
    digest = hashlib.sha256()
    for text, labels in zip(texts, gold, strict=True):
        digest.update(json.dumps([text, *labels], ensure_ascii=False).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def read_examples(settings: ReadSettings) -> tuple[list[str], dict[str, Examples]]:
    """The texts that are not blank, and for each label column what is to be learned.

    Raises:
        InputError: the table can't be used, or a label has too few examples.
    """
    names, format_ = input_format(settings.inputs, settings.format)
    # As towards CSV: every value is text.
    options = ReadOptions(settings.text_columns, Format.CSV, settings.delimiter, settings.encoding)
    source = Inputs(names, format_, options)
    require_columns(source.names, settings.label_columns, names[0], "--label-column")
    batches = list(source.batches(FailOnBadRows(or_else="")))
    table = pa.Table.from_batches(batches) if batches else source.schema.empty_table()
    if batches:
        trimmed = pc.fill_null(pc.utf8_trim_whitespace(table[TEXT]), "")
        table = table.filter(pc.not_equal(trimmed, ""))
    if not len(table):
        raise InputError("there is no text in it", where=names[0])
    texts = table[TEXT].to_pylist()
    examples = {}
    for column in settings.label_columns:
        where = f"{names[0]}, column '{column}'"
        examples[column] = Examples.of(texts, _gold(table[column], settings, where))
        _require_enough(examples[column], settings, names[0], column)
    return texts, examples


def _gold(column: pa.ChunkedArray, settings: ReadSettings, where: str) -> list[Labels | None]:
    try:
        if settings.multi_label:
            return several_labels(column, settings.label_separator)
        if pa.types.is_nested(column.type) or _seem_arrays(column):
            raise InputError("its cells are lists of labels", todo="Add --multi-label")
        return one_label(column)
    except InputError as error:
        raise InputError(error.what, where=where, todo=error.todo) from None


def _seem_arrays(column: pa.ChunkedArray) -> bool:
    """Whether each cell looks like a JSON array."""
    cells = column.cast(pa.string()).drop_null()
    is_array = pc.match_substring_regex(cells, r'^\s*\[\s*(".*")?\s*\]\s*$')
    return len(cells) > 0 and pc.all(is_array).as_py() is True


def _require_enough(examples: Examples, settings: ReadSettings, name: str, column: str) -> None:
    """Refuse what can't be learned.

    Raises:
        InputError: it says which labels have too few texts, and how many.
    """
    if len(examples.labels) < 2:
        raise InputError(
            f"column '{column}' has fewer than two labels",
            where=name,
            todo="Name another with --label-column",
        )
    by_number: dict[int, list[str]] = defaultdict(list)
    for label, number in examples.distinct.items():
        if number < settings.min_examples:
            by_number[number].append(label)
    if by_number:
        few = "; ".join(f"{n}: {', '.join(by_number[n])}" for n in sorted(by_number))
        raise InputError(
            f"column '{column}' has labels with fewer than {settings.min_examples} different "
            f"texts ({few})",
            where=name,
            todo="Label more texts, empty those cells, or ask for fewer with --min-examples",
        )
