"""Everything that can be known before a run, in one look: facts, faults, advice."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from labelf_cli.chunk import TEXT, Chunk
from labelf_cli.classifiers.interface import Batching, Because, Model, Service
from labelf_cli.columns import ColumnGroup, Columns
from labelf_cli.config import AnyModel, Config, LlmConfig
from labelf_cli.errors import LabelfError, RunError
from labelf_cli.formats import Format, Layout
from labelf_cli.labeller import Labeller
from labelf_cli.predictions import Answers, Status
from labelf_cli.sources.interface import ReadOptions
from labelf_cli.sources.rejects import FailOnBadRows
from labelf_cli.sources.table import Inputs, input_format

MANY_LABELS = 30
PROBE = "Hello, the bill for my phone is too high this month. Please call me back."
_OTHER = re.compile(r"\b(none|other|others|unknown|misc|övrigt|annat)\b", re.IGNORECASE)


@dataclass(frozen=True)
class CheckSettings:
    """What is checked.

    Attributes:
        config: the models.
        threads: size of the pool.
        inputs: files, globs or none.
        text_columns: what is classified; empty for what the config says.
        format: of the inputs; None for what their names say.
        delimiter, encoding: of them; None for the format's own, and what a byte order mark says.
        header: whether the first record of a CSV input names its columns.
        layout, separator: of the output's columns.
    """

    config: Config
    threads: int
    inputs: tuple[str, ...] = ()
    text_columns: tuple[str, ...] = ()
    format: Format | None = None
    layout: Layout = Layout.WIDE
    separator: str = "."
    delimiter: str | None = None
    encoding: str | None = None
    header: bool = True


@dataclass(frozen=True)
class Facts:
    """What is known of a model that answers.

    Attributes:
        model: as labelf understood it.
        digest: over all that decides its answers.
        num_bytes: size of its files.
        max_length: of a text in tokens.
        tokenizer: digest of its tokenizer.
        batching: whether scores move with the batch, and so how texts share a call.
        says: its best label for the probe text, and that label's score.
        requests: that a service was sent for it; none for a model that runs here.
    """

    model: Model
    digest: str
    num_bytes: int
    max_length: Because[int | None]
    tokenizer: str
    batching: Because[Batching]
    says: str
    requests: int = 0


@dataclass(frozen=True)
class Check:
    """What was found.

    Attributes:
        facts: of each model that answers.
        runs: names of the models that one run of a graph answers.
        requests: names of the models that one request to a service answers.
        columns: names of the output's columns; of those that are added, without inputs.
        faults: why a run would fail; empty if it would not.
        advice: what might be meant otherwise.
    """

    facts: tuple[Facts, ...]
    runs: tuple[tuple[str, ...], ...]
    requests: tuple[tuple[str, ...], ...]
    columns: tuple[str, ...]
    faults: tuple[str, ...]
    advice: tuple[str, ...]


def check(settings: CheckSettings) -> Check:
    """Open the inputs, let each model answer a probe text, and name the output's columns."""
    facts: list[Facts] = []
    faults: list[str] = []
    advice: list[str] = []
    text, schema = PROBE, pa.schema([])
    names: tuple[str, ...] = ()
    try:
        if settings.inputs:
            source = _open(settings)
            text, schema, names = _first_text(source), source.schema, source.names
    except LabelfError as error:
        faults.append(str(error))
    for config in settings.config.models:
        try:
            facts.append(_facts(config, text))
        except LabelfError as error:
            faults.append(str(error))
        else:
            advice += advise(facts[-1].model)
    advice += _without_none([its.model for its in facts], settings.config)
    advice += _with_many_labels(settings.config)
    plan = _Plan()
    if not faults:
        try:
            plan = _plan(settings, schema, names)
        except LabelfError as error:
            faults.append(str(error))
    return Check(tuple(facts), plan.runs, plan.requests, plan.columns, tuple(faults), tuple(advice))


def _open(settings: CheckSettings) -> Inputs:
    names, format_ = input_format(settings.inputs, settings.format)
    columns = settings.text_columns or settings.config.input.text_column
    options = ReadOptions(columns, format_, settings.delimiter, settings.encoding, settings.header)
    return Inputs(names, format_, options)


def _first_text(source: Inputs) -> str:
    """The first text that is not blank; the probe if there is none."""
    for batch in source.batches(FailOnBadRows()):
        for text in batch.column(batch.num_columns - 1).to_pylist():
            if text and not text.isspace():
                return str(text)
    return PROBE


def _facts(config: AnyModel, text: str) -> Facts:
    """Load a model alone, whatever it waits for, and ask it.

    Raises:
        LabelfError: it can't be used, or fails on the text.
    """
    alone = Config(models=(config.model_copy(update={"only_where": {}}),))
    with Labeller.open(alone, threads=1) as labeller:
        labeller.load()
        (group,), (batching,) = labeller.groups, labeller.batching
        batch = pa.record_batch({TEXT: pa.array([text])})
        answers = labeller.submit(Chunk(0, 0, batch)).result()
        if answers.status[0] == Status.FAILED:
            raise RunError(f"fails on a text ({answers.errors[0]})", where=f"model '{config.name}'")
        return Facts(
            labeller.models[0],
            labeller.digests[0],
            group.num_bytes,
            group.max_length,
            group.tokenizer.digest,
            batching,
            _best(labeller.models[0], answers),
            answers.spent.requests,
        )


def _best(model: Model, answers: Answers) -> str:
    place, score = answers.accepted[0].labels[0, 0], answers.accepted[0].scores[0, 0]
    if place < 0:
        return "no label"
    label = model.rules.labels[place]
    return label if np.isnan(score) else f"{label} {score:.3f}"


class _Plan(NamedTuple):
    """Which models share a run or a request, and the columns of the output."""

    runs: tuple[tuple[str, ...], ...] = ()
    requests: tuple[tuple[str, ...], ...] = ()
    columns: tuple[str, ...] = ()


def _plan(settings: CheckSettings, schema: pa.Schema, names: tuple[str, ...]) -> _Plan:
    with Labeller.open(settings.config, settings.threads) as labeller:
        groups = tuple(ColumnGroup(model.name, model.rules) for model in labeller.models)
        columns = Columns(groups, settings.layout, settings.separator)
        runs, requests = (
            tuple(
                tuple(model.name for model in group.models)
                for group in labeller.groups
                if isinstance(group, Service) is asks
            )
            for asks in (False, True)
        )
        added = columns.schema(schema, names).names[len(schema) :]
        return _Plan(runs, requests, (*names, *added))


def _without_none(models: list[Model], config: Config) -> Iterator[str]:
    """Which models have to give a label to whatever text."""
    can_say = {
        its.name for its in config.models if its.none_label or its.threshold or its.thresholds
    }
    names = [
        model.name
        for model in models
        if model.name not in can_say
        and not model.rules.multi_label
        and not any(map(_OTHER.search, model.rules.labels))
    ]
    if names:
        yield (
            f"{', '.join(names)}: every text gets a label; threshold and none_label let a model "
            "say that none fits"
        )


def _with_many_labels(config: Config) -> Iterator[str]:
    """Which questions to a language model have more labels than it tells apart well."""
    for its in config.models:
        asked = (isinstance(its, LlmConfig) and (its.label_filter or its.labels)) or ()
        if len(asked) > MANY_LABELS:
            yield (
                f"model '{its.name}': {len(asked)} labels are many for a language model, and each "
                "request carries them; a first model for their kinds and only_where make them fewer"
            )


def advise(model: Model) -> Iterator[str]:
    """What in the settings of a model might be meant otherwise."""
    labels, where = model.rules.labels, f"model '{model.name}'"
    pairs = _contained(labels)
    if pairs and model.activation.rule == "several labels and no problem_type":
        yield (
            f"{where}: {pairs[0]} may hold together, but config.json has no problem_type, so one "
            'label is expected. If several may hold, say activation = "sigmoid"'
        )
    elif pairs and model.rules.multi_label is False:
        yield f"{where}: {pairs[0]} contain one another; only one of them is answered"
    yield from (f"{where}: {said}" for said in _odd_thresholds(model))


def _contained(labels: tuple[str, ...]) -> list[str]:
    """Pairs of labels the words of one of which are all among those of the other."""
    words = {label: set(re.split(r"[\W_]+", label.casefold())) - {""} for label in labels}
    return [
        f"'{one}' and '{other}'"
        for one in labels
        for other in labels
        if words[one] and words[one] < words[other]
    ]


def _odd_thresholds(model: Model) -> Iterator[str]:
    """Thresholds that no score reaches, or that the best one always does."""
    if model.activation.value == "none":
        return
    for label, threshold in zip(model.rules.score_labels, model.rules.thresholds, strict=True):
        if threshold > 1:
            yield f"no score of '{label}' reaches its threshold {threshold:g}"
    highest = float(model.rules.thresholds.max(initial=-np.inf))
    is_softmax = model.activation.value == "softmax" and len(model.labels.value) > 1
    if is_softmax and 0 < highest <= 1 / len(model.labels.value):
        yield f"the best score is never under the threshold {highest:g}"
