"""Outputs of ``labelf classify`` in the wide layout, read back."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from labelf_cli.errors import InputError
from labelf_cli.evaluation.judged import Booleans, Evaluated, Said, judge
from labelf_cli.evaluation.labelled import LabelledTable, no_gold
from labelf_cli.gold import Labels, indicators, several_labels
from labelf_cli.outputs.wide import WideColumns, score_numbers
from labelf_cli.predictions import Floats
from labelf_cli.sources.rejects import FailOnBadRows

_UNANSWERED = ("failed", "empty")


def read_output(table: LabelledTable, separator: str) -> list[Evaluated]:
    """Compare the columns of an output in the wide layout with gold.

    Raises:
        UsageError: it can't be used.
        BadRowError: a row can't be read.
    """
    source, where = table.open(())
    status = separator.join(("labelf", "status"))
    columns = {name: WideColumns.find(name, source.names, separator, where) for name in table.gold}
    wanted = dict.fromkeys(
        [
            *table.gold.values(),
            *(name for its in columns.values() for name in its.all),
            *([status] if status in source.names else []),
        ]
    )
    batches = [batch.select(list(wanted)) for batch in source.batches(FailOnBadRows(or_else=""))]
    if not batches:
        raise InputError("there is no row in it", where=where)
    evaluated = []
    for name, its in columns.items():
        found = _gold_rows(batches, name, its, table, where)
        evaluated.append(_evaluated(name, its, found, status))
    return evaluated


@dataclass(frozen=True)
class _GoldRows:
    """The rows of an output that have gold for one model."""

    rows: pa.Table
    gold: list[Labels]
    ungold: int


def _gold_rows(
    batches: list[pa.RecordBatch],
    name: str,
    columns: WideColumns,
    table: LabelledTable,
    where: str,
) -> _GoldRows:
    several = columns.labels is not None
    gold = [labels for batch in batches for labels in table.labels(batch, name, several=several)]
    labelled = [row for row, labels in enumerate(gold) if labels is not None]
    if not labelled:
        raise no_gold(table.gold[name], where)
    rows = pa.Table.from_batches(batches).take(labelled)
    return _GoldRows(rows, [its for its in gold if its is not None], len(gold) - len(labelled))


def _evaluated(name: str, columns: WideColumns, found: _GoldRows, status: str) -> Evaluated:
    rows = found.rows
    best: list[Labels] = [
        (label,) if label else () for label in rows[columns.label].cast(pa.string()).to_pylist()
    ]
    answers = best
    if columns.labels is not None:
        answers = [labels or () for labels in several_labels(rows[columns.labels])]
    covered = np.array([bool(label) for label in best])
    none_label = None
    if columns.score is not None and rows[columns.score].null_count < len(rows):
        has_score = np.asarray(rows[columns.score].is_valid())
        fallback = np.flatnonzero(covered & ~has_score)
        none_label = best[fallback[0]][0] if len(fallback) else None
        covered = covered & has_score
    scores = _scores(rows, columns)
    others = {label for labels in answers for label in labels} - set(columns.scores)
    labels = (*columns.scores, *sorted(others))
    said = Said(
        labels,
        indicators(answers, labels),
        covered,
        _answered(rows, covered, scores, status),
        scores,
        None if none_label in columns.scores else none_label,
    )
    several = columns.labels is not None
    return judge(name, said, found.gold, found.ungold, multi_label=several)


def _scores(rows: pa.Table, columns: WideColumns) -> Floats | None:
    """Scores of all labels, [rows × labels]; None where they are not there.

    Raises:
        InputError: one is no number.
    """
    if not columns.scores:
        return None
    scores = np.empty((len(rows), len(columns.scores)), np.float32)
    for place, column in enumerate(columns.scores.values()):
        scores[:, place] = score_numbers(rows[column], column)
    return scores


def _answered(rows: pa.Table, covered: Booleans, scores: Floats | None, status: str) -> Booleans:
    """Whether a model has an answer for each row, as far as the output tells."""
    if scores is not None:
        return np.asarray(~np.isnan(scores).all(axis=1))
    if status not in rows.column_names:
        return np.ones(len(rows), bool)
    none = pc.is_in(rows[status].cast(pa.string()), pa.array(_UNANSWERED))
    return np.asarray(covered | ~np.asarray(none))
