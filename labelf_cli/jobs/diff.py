"""What changed between two outputs of ``labelf classify``: of two runs, or two models."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from labelf_cli.errors import AgreementError, InputError, did_you_mean
from labelf_cli.formats import Format
from labelf_cli.outputs.pair import (
    Answers,
    Ints,
    Output,
    Pairs,
    answers,
    by_key,
    by_position,
    cells,
    require_keys,
)
from labelf_cli.outputs.wide import WideColumns, model_names

SHOWN = 10


@dataclass(frozen=True)
class DiffSettings:
    """What is compared.

    Attributes:
        before, after: an output each, in the wide layout.
        keys: columns that tell which rows belong together; empty for their position.
        models: names; empty for all that both have.
        text_column: whose text is shown; None for none.
        format: of both; None for what their names say.
        separator: between the parts of a column name.
        shown: most moves, rows and keys that are listed.
    """

    before: str
    after: str
    keys: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    text_column: str | None = None
    format: Format | None = None
    separator: str = "."
    shown: int = SHOWN


@dataclass(frozen=True)
class Move:
    """How many rows went from one label to another; None for no label."""

    before: str | None
    after: str | None
    rows: int


@dataclass(frozen=True)
class RowMove:
    """One row.

    Attributes:
        row: its position in the second output, from 1.
        key: values of the key columns.
        before, after: its labels; where several may hold, sorted, with semicolons between them.
        label: whose score changed most; None for the score of the best label.
        score_before, score_after: that score; None where there is none.
        text: of the row; None where no column was named.
    """

    row: int
    key: tuple[str, ...]
    before: str | None
    after: str | None
    label: str | None
    score_before: float | None
    score_after: float | None
    text: str | None = None


@dataclass(frozen=True)
class ModelDiff:
    """What became of one model's answers.

    Attributes:
        name: of the model.
        changed: rows whose label changed; where several may hold, whose labels did.
        share: of the rows in both.
        mean_change, largest_change: of the score that changed most in each row.
        moves: the commonest.
        examples: of the rows whose label changed, those whose score changed most.
        largest: of all rows, those whose score changed most.
    """

    name: str
    changed: int
    share: float
    mean_change: float
    largest_change: float
    moves: tuple[Move, ...]
    examples: tuple[RowMove, ...]
    largest: tuple[RowMove, ...]


@dataclass(frozen=True)
class Diff:
    """What changed.

    Attributes:
        rows: that stand in both.
        only_before, only_after: that stand in one.
        keys_only_before, keys_only_after: of the first of these.
        models: that both have.
        models_in_one: that only one has.
    """

    rows: int
    only_before: int
    only_after: int
    keys_only_before: tuple[tuple[str, ...], ...]
    keys_only_after: tuple[tuple[str, ...], ...]
    models: tuple[ModelDiff, ...]
    models_in_one: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        models = {one.name: asdict(one) for one in self.models}
        return asdict(self) | {"models": models}

    def require(self, max_changed: float) -> None:
        """Refuse a larger share of changed labels.

        Raises:
            AgreementError: a model's labels changed for more rows.
        """
        for one in self.models:
            if one.share > max_changed:
                raise AgreementError(
                    f"{one.share:.4f} of the labels changed, more than --max-changed "
                    f"{max_changed:g}",
                    where=f"model '{one.name}'",
                    todo="Look at the rows that changed, or allow more",
                )


def diff(settings: DiffSettings) -> Diff:
    """Compare two outputs.

    Each is read once, the second again for the texts. Keys, labels and scores are held in memory.

    Raises:
        UsageError: an output can't be used, or their rows can't be matched.
        BadRowError: a row can't be read.
    """
    before, after = outputs = [
        Output(name, settings.format, settings.text_column)
        for name in (settings.before, settings.after)
    ]
    names, in_one = _models(before, after, settings)
    for output in outputs:
        require_keys(output, settings.keys)
    columns = [
        [WideColumns.find(name, one.columns, settings.separator, one.name) for name in names]
        for one in outputs
    ]
    tables = [one.read(settings.keys, its) for one, its in zip(outputs, columns, strict=True)]
    keys = [table.select(settings.keys) for table in tables]
    if settings.keys:
        pairs = by_key((before.name, keys[0]), (after.name, keys[1]))
    else:
        pairs = by_position((before.name, len(tables[0])), (after.name, len(tables[1])))
    comparison = _Comparison((tables[0], tables[1]), keys[1], pairs, settings.shown)
    models = tuple(map(comparison.of_model, names, *columns))
    return Diff(
        len(pairs.after),
        len(pairs.only_before),
        len(pairs.only_after),
        tuple(cells(keys[0], pairs.only_before[: settings.shown])),
        tuple(cells(keys[1], pairs.only_after[: settings.shown])),
        models if settings.text_column is None else _with_texts(models, after),
        in_one,
    )


def _with_texts(models: tuple[ModelDiff, ...], after: Output) -> tuple[ModelDiff, ...]:
    """The same, with the texts of the rows that are shown."""
    shown = {row.row - 1 for one in models for row in (*one.examples, *one.largest)}
    texts = after.texts(np.array(sorted(shown), np.int64))

    def told(rows: tuple[RowMove, ...]) -> tuple[RowMove, ...]:
        return tuple(replace(row, text=texts[row.row - 1]) for row in rows)

    return tuple(
        replace(one, examples=told(one.examples), largest=told(one.largest)) for one in models
    )


def _models(
    before: Output, after: Output, settings: DiffSettings
) -> tuple[list[str], tuple[str, ...]]:
    """The models that are compared, and those that only one output has."""
    first, second = (model_names(one.columns, settings.separator) for one in (before, after))
    both = [name for name in first if name in second]
    for name in settings.models:
        if name not in both:
            raise InputError(f"no model '{name}' in both", todo=did_you_mean(name, both))
    if not both:
        raise InputError(
            f"there is no model whose columns {before.name} has, too",
            where=after.name,
            todo="Give outputs in the wide layout, or another --separator",
        )
    in_one = [name for name in (*first, *second) if name not in both]
    return [name for name in both if name in (settings.models or both)], tuple(in_one)


@dataclass(frozen=True)
class _Comparison:
    """Two outputs whose rows are matched.

    Attributes:
        sides: the columns of all models in both.
        keys: of the second.
        pairs: which rows belong together.
        shown: most moves and rows that are listed.
    """

    sides: tuple[pa.Table, pa.Table]
    keys: pa.Table
    pairs: Pairs
    shown: int

    def of_model(self, name: str, before: WideColumns, after: WideColumns) -> ModelDiff:
        """What became of its answers."""
        its = answers(self.sides, (before, after), self.pairs)
        changed = np.flatnonzero(its.before != its.after)
        moved = np.abs(its.scores_after - its.scores_before)
        column = np.nan_to_num(moved, nan=-1.0).argmax(axis=1)
        most = np.nan_to_num(moved[np.arange(len(moved)), column], nan=0.0)
        by_change = np.argsort(-most, kind="stable")
        is_changed = np.isin(by_change, changed)
        examples = self._rows(its, by_change[is_changed][: self.shown], column)
        largest = self._rows(its, by_change[most[by_change] > 0][: self.shown], column)
        return ModelDiff(
            name,
            len(changed),
            len(changed) / max(len(moved), 1),
            float(most.mean(dtype=np.float64)) if len(most) else 0.0,
            float(most.max(initial=0)),
            tuple(_moves(its, changed, self.shown)),
            examples,
            largest,
        )

    def _rows(self, its: Answers, chosen: Ints, column: Ints) -> tuple[RowMove, ...]:
        rows = self.pairs.after[chosen]
        keys = cells(self.keys, rows)
        return tuple(
            RowMove(
                row + 1,
                key,
                _name(its, its.before[at]),
                _name(its, its.after[at]),
                its.scored[column[at]],
                _number(its.scores_before[at, column[at]]),
                _number(its.scores_after[at, column[at]]),
            )
            for at, row, key in zip(chosen.tolist(), rows.tolist(), keys, strict=True)
        )


def _moves(its: Answers, changed: Ints, shown: int) -> list[Move]:
    """The commonest moves, the commonest first."""
    pairs = np.column_stack([its.before[changed], its.after[changed]])
    found, counts = np.unique(pairs, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:shown]
    return [
        Move(_name(its, found[at, 0]), _name(its, found[at, 1]), int(counts[at])) for at in order
    ]


def _name(its: Answers, place: np.int64) -> str | None:
    return None if place < 0 else its.names[place] or None


def _number(score: np.float32) -> float | None:
    return None if np.isnan(score) else float(score)
