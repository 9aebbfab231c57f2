"""Thresholds and a temperature for models, found on labelled texts and judged on held-out ones."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from labelf_cli.choices import Part
from labelf_cli.config_copy import Changes, changed_copy, require_place, write_copy
from labelf_cli.config_file import load_config
from labelf_cli.errors import InputError, UsageError
from labelf_cli.evaluation.calibration import LEAST, MOST
from labelf_cli.evaluation.folds import FOLDS, Folds, Heat, Thresholds
from labelf_cli.evaluation.labelled import LabelledTable
from labelf_cli.evaluation.metrics import Figures
from labelf_cli.evaluation.scoring import Scored, score
from labelf_cli.evaluation.thresholds import NEVER, best_f1, precise
from labelf_cli.predictions import Rules
from labelf_cli.run import Progress


@dataclass(frozen=True)
class TuneSettings:
    """What is tuned, on what, and where the config goes.

    Attributes:
        table: texts with gold.
        config: the config file.
        output: its copy.
        threads: size of the pool.
        precision: that each label's answers are to reach; None for the best F1.
        parts: what is tuned.
        cache: file that keeps logits across runs; None for none.
    """

    table: LabelledTable
    config: Path
    output: Path
    threads: int
    precision: float | None = None
    parts: tuple[Part, ...] = tuple(Part)
    cache: Path | None = None


@dataclass(frozen=True)
class Tuned:
    """What was found for one model.

    Attributes:
        name: of the model.
        temperature: the new one; None where the old one is kept.
        thresholds: the new ones by label; empty where the old ones are kept.
        before, after: as it was and as it is now, both on texts that nothing was found on.
        remarks: what is kept as it was, and why.
    """

    name: str
    temperature: float | None
    thresholds: dict[str, float]
    before: Figures
    after: Figures
    remarks: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        its = {"before": self.before.as_json(), "after": self.after.as_json()}
        return {key: value for key, value in vars(self).items() if key != "name"} | its


def tune(settings: TuneSettings, progress: Callable[[Progress], None]) -> list[Tuned]:
    """Tune each model that has a gold column, and write the copy of the config.

    Raises:
        UsageError: the table, a column, a model or the output can't be used.
        RunError: something broke on the way.
    """
    require_place(settings.config, settings.output)
    if not settings.table.gold:
        raise UsageError("there is nothing to compare with", todo="Say --gold model=column")
    config = load_config(settings.config)
    scored = score(config, settings.threads, settings.cache, settings.table, progress)
    tuned = [_tune(one, settings) for one in scored]
    changes = {one.name: Changes(one.temperature, one.thresholds) for one in tuned}
    write_copy(changed_copy(settings.config, settings.output, changes), settings.output)
    return tuned


def _tune(scored: Scored, settings: TuneSettings) -> Tuned:
    if len(scored.gold) < FOLDS:
        raise InputError(
            f"{len(scored.gold)} rows have a gold label, fewer than the {FOLDS} folds",
            where=f"column '{settings.table.gold[scored.model.name]}'",
            todo="Give more labelled rows",
        )
    folds, remarks = Folds.of(scored), []
    before = folds.figures(Heat())
    heat = None
    if Part.TEMPERATURE in settings.parts:
        heat, remark = _heat(folds)
        remarks += remark
    after = folds.figures(heat or Heat())
    thresholds = None
    if Part.THRESHOLDS in settings.parts:
        thresholds, remark = _thresholds(folds, heat or Heat(), settings.precision, after)
        remarks += remark
    if thresholds is not None:
        after = folds.figures(heat or Heat(), thresholds)
    elif after.coverage != before.coverage:
        remarks.append("The thresholds that are kept let other scores pass now: see the coverage.")
    return Tuned(
        name=scored.model.name,
        temperature=None if heat is None else _short(scored.model.temperature * heat.final),
        thresholds={} if thresholds is None else _by_label(scored.model.rules, thresholds),
        before=before,
        after=after,
        remarks=tuple(remarks),
    )


def _heat(folds: Folds) -> tuple[Heat | None, list[str]]:
    """The temperature, and what there is to say of it."""
    model = folds.scored.model
    why = ""
    if model.activation.value == "none":
        why = "the model's activation is none."
    elif len(model.labels.value) < 2:
        why = "the model has one label."
    elif folds.scored.is_windowed:
        why = "scores are pooled from those of windows, behind the temperature."
    elif (heat := folds.heat()) is None:
        why = "none makes the log loss on held-out folds smaller."
    elif not 1.01 * LEAST < heat.final < 0.99 * MOST:
        why = "the best is beyond all bounds. Are these the rows that the model has learned from?"
    else:
        return heat, []
    return None, [f"The temperature is kept: {why}"]


def _thresholds(
    folds: Folds, heat: Heat, precision: float | None, before: Figures
) -> tuple[Thresholds | None, list[str]]:
    """The thresholds, and what there is to say of them."""
    if not folds.scored.model.rules.gives_scores:
        return None, ["The thresholds are kept: the model gives no scores."]
    goal = best_f1 if precision is None else partial(precise, wanted=precision)
    thresholds = folds.thresholds(heat, goal)
    after = folds.figures(heat, thresholds)
    if precision is None and after.macro_f1 <= before.macro_f1:
        why = f"with those of the best F1, macro F1 on held-out folds would be {after.macro_f1:.4f}"
        return None, [f"The thresholds are kept: {why}."]
    return thresholds, list(_kept(folds, thresholds, precision))


def _kept(folds: Folds, thresholds: Thresholds, precision: float | None) -> Iterator[str]:
    """Which labels keep their threshold, and why."""
    labels = np.array(folds.scored.model.rules.score_labels)
    if folds.is_rare.any():
        rare = ", ".join(labels[folds.is_rare])
        what = "whose thresholds are kept"
        if precision is not None and not folds.scored.model.rules.multi_label:
            what = "which are answered where they are the best"
        yield f"Fewer than {FOLDS} texts have these labels, {what}: {rare}."
    out_of_reach = thresholds.final == NEVER
    if precision is not None and out_of_reach.any():
        names = ", ".join(labels[out_of_reach])
        yield f"These labels reach no precision of {precision:g} and get a threshold of 1: {names}."
    missed = np.isnan(thresholds.final) & ~folds.is_rare
    if missed.any():
        names = ", ".join(labels[missed])
        why = "is an answer" if precision is None else f"reaches a precision of {precision:g}"
        yield f"No score of these labels {why}; their thresholds are kept: {names}."


def _by_label(rules: Rules, thresholds: Thresholds) -> dict[str, float]:
    found = zip(rules.score_labels, thresholds.final.tolist(), strict=True)
    return {label: threshold for label, threshold in found if not np.isnan(threshold)}


def _short(number: float) -> float:
    """With four digits."""
    return float(f"{number:.4g}")
