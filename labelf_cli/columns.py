"""Answers to Arrow columns: the three layouts and the names of their columns."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from labelf_cli.errors import InputError
from labelf_cli.formats import Layout
from labelf_cli.predictions import NO_LABEL, Accepted, Answers, Floats, Rules, Status

Named = tuple[str, pa.Array]


@dataclass(frozen=True)
class ColumnGroup:
    """One model's share of the output.

    Attributes:
        name: prefix of its columns.
        rules: what is accepted of its scores, and the names of its labels.
    """

    name: str
    rules: Rules


@dataclass(frozen=True)
class Columns:
    """Turns the answers of a chunk into output rows.

    Attributes:
        groups: the models, in the order of their column groups.
        layout: wide, nested or long.
        separator: between the parts of a column name.
    """

    groups: tuple[ColumnGroup, ...]
    layout: Layout = Layout.WIDE
    separator: str = "."

    def schema(self, rows: pa.Schema, names: Sequence[str]) -> pa.Schema:
        """Schema of the output, known before any text is classified.

        Args:
            rows: schema of the columns that pass through.
            names: the input's column names as the user knows them.

        Raises:
            InputError: a column of the output would stand there twice.
        """
        no_rows = pa.record_batch([pa.nulls(0, kind) for kind in rows.types], schema=rows)
        schema = self.build(0, no_rows, _no_answers(self.groups)).schema
        counts = Counter([*names, *schema.names[len(rows) :]])
        twice = [name for name, n in counts.items() if n > 1]
        if twice:
            raise InputError(
                f"the output would have two columns named '{twice[0]}'",
                todo="Rename the input's column or the model, or choose another --separator",
            )
        return schema

    def build(self, first_row: int, rows: pa.RecordBatch, answers: Answers) -> pa.RecordBatch:
        """Output rows of one chunk.

        Args:
            first_row: position of its first row in the run, from 0.
            rows: the columns that pass through.
            answers: of all models, in the order of ``groups``.
        """
        status = self._status(answers)
        if self.layout is Layout.LONG:
            long = _Long.of(self.groups, answers)
            rows = rows.take(long.rows)
            added = [*long.columns(first_row), *((n, a.take(long.rows)) for n, a in status)]
        else:
            added = [*self._per_model(answers), *status]
        fields = [pa.field(name, array.type) for name, array in added]
        schema = pa.schema([*rows.schema, *fields], metadata=rows.schema.metadata)
        return pa.RecordBatch.from_arrays(
            [*rows.columns, *(array for _, array in added)], schema=schema
        )

    def _per_model(self, answers: Answers) -> Iterator[Named]:
        """The column groups of the layouts that keep one row per text."""
        for group, accepted, scores in zip(
            self.groups, answers.accepted, answers.scores, strict=True
        ):
            if self.layout is Layout.NESTED:
                yield group.name, _struct(group.rules, accepted)
                continue
            for parts, array in _wide(group.rules, accepted, scores):
                yield self.separator.join((group.name, *parts)), array

    def _status(self, answers: Answers) -> list[Named]:
        names = [status.name.lower() for status in Status]
        status = pa.DictionaryArray.from_arrays(pa.array(answers.status, pa.int32()), names)
        return [
            (self.separator.join(("labelf", "status")), status),
            (self.separator.join(("labelf", "error")), answers.errors),
        ]


def _wide(
    rules: Rules, accepted: Accepted, scores: Floats
) -> Iterator[tuple[tuple[str, ...], pa.Array]]:
    """One model's columns in the wide layout, each with the parts of its name."""
    capped = rules.max_predictions is not None
    for rank in range(rules.ranks if capped else 1):
        suffix = f"_{rank + 1}" if rank else ""
        yield (f"label{suffix}",), _label_array(rules.labels, accepted.labels[:, rank])
        yield (f"score{suffix}",), _score_array(accepted.scores[:, rank])
    if not capped and rules.gives_scores:
        for position, label in zip(rules.kept, rules.score_labels, strict=True):
            yield ("score", label), _score_array(scores[:, position])
    if rules.multi_label:
        yield ("labels",), _listed(accepted, _best_first(rules.labels, accepted))


def _struct(rules: Rules, accepted: Accepted) -> pa.StructArray:
    """One model's column in the nested layout."""
    taken = accepted.labels != NO_LABEL
    predictions = pa.StructArray.from_arrays(
        [_best_first(rules.labels, accepted), _score_array(accepted.scores[taken])],
        ["label", "score"],
    )
    return pa.StructArray.from_arrays(
        [
            _label_array(rules.labels, accepted.labels[:, 0]),
            _score_array(accepted.scores[:, 0]),
            _listed(accepted, predictions),
        ],
        ["label", "score", "predictions"],
    )


@dataclass(frozen=True)
class _Long:
    """The cells of the long layout: one per text, model and rank, texts first.

    A text without an accepted prediction keeps one cell per model, with nulls.
    """

    rows: npt.NDArray[np.int64]
    models: npt.NDArray[np.int32]
    ranks: npt.NDArray[np.int32]
    labels: npt.NDArray[np.int32]
    scores: Floats
    model_names: list[str]
    label_names: list[str]

    @classmethod
    def of(cls, groups: Sequence[ColumnGroup], answers: Answers) -> "_Long":
        label_names = list(dict.fromkeys(n for group in groups for n in group.rules.labels))
        parts = []
        for model, (group, accepted) in enumerate(zip(groups, answers.accepted, strict=True)):
            shown = accepted.labels != NO_LABEL
            shown[:, 0] = True
            rows, ranks = np.nonzero(shown)
            vocabulary = np.array([*map(label_names.index, group.rules.labels), NO_LABEL])
            labels = vocabulary[accepted.labels[shown]]  # NO_LABEL, -1, picks the last
            parts.append((rows, np.full_like(rows, model), ranks, labels, accepted.scores[shown]))
        rows, models, ranks, labels, scores = map(np.concatenate, zip(*parts, strict=True))
        order = np.lexsort((ranks, models, rows))
        return cls(
            rows[order],
            models[order].astype(np.int32),
            ranks[order].astype(np.int32),
            labels[order].astype(np.int32),
            scores[order],
            [group.name for group in groups],
            label_names,
        )

    def columns(self, first_row: int) -> list[Named]:
        ranks = pa.array(self.ranks + 1, mask=self.labels == NO_LABEL)
        models = pa.DictionaryArray.from_arrays(pa.array(self.models), self.model_names)
        return [
            ("row", pa.array(self.rows + first_row + 1)),
            ("model", models),
            ("rank", ranks),
            ("label", _label_array(self.label_names, self.labels)),
            ("score", _score_array(self.scores)),
        ]


def _label_array(names: Sequence[str], labels: npt.NDArray[np.int32]) -> pa.DictionaryArray:
    indices = pa.array(labels, pa.int32(), mask=labels == NO_LABEL)
    return pa.DictionaryArray.from_arrays(indices, pa.array(names, pa.string()))


def _score_array(scores: Floats) -> pa.FloatArray:
    return pa.array(scores, pa.float32(), mask=~np.isfinite(scores))


def _best_first(names: Sequence[str], accepted: Accepted) -> pa.StringArray:
    """The accepted labels of all rows, one after the other."""
    labels = accepted.labels[accepted.labels != NO_LABEL]
    return _label_array(names, labels).dictionary_decode()


def _listed(accepted: Accepted, values: pa.Array) -> pa.ListArray:
    """One list of values per row; null where the row has no answer."""
    ends = np.concatenate(([0], np.cumsum(accepted.counts))).astype(np.int32)
    mask = pa.array(~accepted.answered)
    return pa.ListArray.from_arrays(pa.array(ends), values, mask=mask)


def _no_answers(groups: Sequence[ColumnGroup]) -> Answers:
    """Answers for no rows at all, from which the schema is read."""
    accepted, scores = [], []
    for group in groups:
        ranks = np.empty((0, group.rules.ranks))
        accepted.append(
            Accepted(ranks.astype(np.int32), ranks.astype(np.float32), np.empty(0, bool))
        )
        scores.append(np.empty((0, group.rules.num_scores), np.float32))
    status = np.empty(0, np.uint8)
    return Answers(tuple(scores), tuple(accepted), status, pa.array([], pa.string()))
