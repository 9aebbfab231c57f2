"""Make a model folder that is faster on this machine, and tell how far its answers are the same.

The graph computes with bytes, if asked; it is cut to the first token before, which else is done as
it is loaded. Then some settings of onnxruntime and of the batches are tried; the winner is kept in
the folder.
"""

import json
import shutil
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path

import onnx
import onnxruntime as ort
import pyarrow.compute as pc

from labelf_cli import __version__
from labelf_cli.classifiers.files import require_inside
from labelf_cli.classifiers.folder import ModelFolder
from labelf_cli.classifiers.interface import Batching, Because, Group
from labelf_cli.classifiers.onnx import OnnxClassifier
from labelf_cli.classifiers.tuning import TUNING, Tuning
from labelf_cli.compare import Agreement, agreement
from labelf_cli.errors import AgreementError, InputError, ModelError, UsageError
from labelf_cli.formats import Format
from labelf_cli.graphs.files import read_external_data, read_structure, write_model
from labelf_cli.graphs.first_token import keep_first_token
from labelf_cli.graphs.int8 import quantised_by, to_int8
from labelf_cli.graphs.precision import Precision
from labelf_cli.made_up import made_up_texts
from labelf_cli.sinks.folder import drafted, require_free
from labelf_cli.sources.interface import ReadOptions
from labelf_cli.sources.rejects import FailOnBadRows
from labelf_cli.sources.table import Inputs, input_format
from labelf_cli.tuner import Course, Progress, Trial, open_model, tune

REPORT = "optimize.json"
ROUNDS = 5
LIMIT = 2000

_MADE_UP_TEXTS = 20_000


@dataclass(frozen=True)
class OptimizeSettings:
    """What to make faster, and where the result goes.

    Attributes:
        model: folder or .onnx file.
        output: the folder that is made.
        threads: size of the pool.
        precision: fp32 leaves the numbers as they are.
        inputs: files, globs or ``-`` with the user's own texts; empty for made-up ones.
        text_columns: what is classified; several are joined by a newline.
        format: of the inputs; None for what their names say.
        delimiter, encoding: of them; None for the format's own, and what a byte order mark says.
        limit: how many texts of the inputs are taken.
        min_agreement: the least share of equal labels; below it nothing is made. None for any.
        seconds: about how long the model takes in one measurement.
    """

    model: Path
    output: Path
    threads: int
    precision: Precision = Precision.INT8
    inputs: tuple[str, ...] = ()
    text_columns: tuple[str, ...] = ("text",)
    format: Format | None = None
    limit: int = LIMIT
    min_agreement: float | None = None
    seconds: float = 2.0
    delimiter: str | None = None
    encoding: str | None = None


@dataclass(frozen=True)
class Optimized:
    """What was made.

    Attributes:
        path: its folder.
        bytes_before, bytes_after: size of the graph with its external data.
        speed: relative to the model that it was made of, as that stands in its folder; the median
            over rounds.
        texts: how many it was measured on.
        batching: how its texts may share a call.
        tuning: the settings that are kept.
        trials: all that were tried, in their order.
        agreement: with that model, on the user's own texts; None where there were none.
    """

    path: Path
    bytes_before: int
    bytes_after: int
    speed: float
    texts: int
    batching: Because[Batching]
    tuning: Tuning
    trials: tuple[Trial, ...]
    agreement: Agreement | None


def optimize(settings: OptimizeSettings, progress: Progress) -> Optimized:
    """Make the folder; it appears whole, or not at all.

    Args:
        settings: what to do.
        progress: told what is done next.

    Raises:
        UsageError: the model, the input or the output can't be used.
        AgreementError: too few labels stay.
    """
    if settings.min_agreement is not None and not settings.inputs:
        raise UsageError("--min-agreement needs texts", todo="Give your own with --input")
    require_free(settings.output)
    progress("loading the model")
    source = ModelFolder.find(settings.model, None)
    before = open_model(settings.model)
    own = _own_texts(settings) if settings.inputs else []
    progress("rewriting the graph")
    model = _rewritten(source, settings.precision, before)
    with drafted(settings.output) as draft:
        write_model(model, draft / "model.onnx")
        del model
        _copy_texts(source.path, draft)
        texts = own or made_up_texts(before.tokenizer.words(), _MADE_UP_TEXTS)
        course = Course.of(before, texts, settings.threads, settings.seconds)
        tuned = tune(draft, source.tuning, course, progress)
        agreed = _agreed(settings, before, tuned.group, own, progress) if own else None
        ratios = course.race(before, tuned.group, ROUNDS, "the model as it was", progress)
        optimized = Optimized(
            path=settings.output,
            bytes_before=before.num_bytes,
            bytes_after=tuned.group.num_bytes,
            speed=statistics.median(ratios),
            texts=len(course.texts),
            batching=tuned.group.load(),
            tuning=tuned.tuning,
            trials=tuned.trials,
            agreement=agreed,
        )
        _write_report(draft / REPORT, settings, source, optimized)
    return optimized


def _own_texts(settings: OptimizeSettings) -> list[str]:
    """The first texts of the inputs that are not blank."""
    names, format_ = input_format(settings.inputs, settings.format)
    # As towards CSV: every value is text.
    options = ReadOptions(settings.text_columns, Format.CSV, settings.delimiter, settings.encoding)
    source = Inputs(names, format_, options)
    texts: list[str] = []
    for batch in source.batches(FailOnBadRows(or_else="")):
        found = batch.column(batch.num_columns - 1).drop_null()
        blank = pc.equal(pc.utf8_trim_whitespace(found), "")
        texts += found.filter(pc.invert(blank)).to_pylist()
        if len(texts) >= settings.limit:
            break
    if not texts:
        raise InputError("there is no text in it", where=names[0])
    return texts[: settings.limit]


def _rewritten(source: ModelFolder, precision: Precision, before: Group) -> onnx.ModelProto:
    """The graph, faster; what is cut from it as it is loaded can't be cut any more in bytes.

    Raises:
        ModelError: there is nothing to quantise in it, or it is quantised already.
    """
    model = read_structure(source.onnx)
    read_external_data(model, source.onnx)
    if precision is Precision.INT8:
        if isinstance(before, OnnxClassifier) and before.is_cut:
            keep_first_token(model)
        if (operator := quantised_by(model)) is not None:
            raise ModelError(
                f"quantised already: there is {operator} in it",
                where=source.onnx,
                todo="Take the model that it was made of; --precision fp32 tunes this one as it is",
            )
        if not to_int8(model):
            raise ModelError(
                "no large product with constant weights in float32, so nothing to quantise",
                where=source.onnx,
                todo="Keep it as it is, or tune it with --precision fp32",
            )
    return model


def _copy_texts(source: Path, draft: Path) -> None:
    """Copy the tokenizer and whatever else is told in JSON beside the graph."""
    for path in sorted(source.glob("*.json")):
        if path.name not in (TUNING, REPORT):
            require_inside(path, source)
            shutil.copyfile(path, draft / path.name)


def _agreed(
    settings: OptimizeSettings, before: Group, after: Group, texts: list[str], progress: Progress
) -> Agreement:
    """How many labels stay.

    Raises:
        AgreementError: too few.
    """

    def tell(done: int) -> None:
        progress(f"comparing answers, {done:,} of {len(texts):,} texts")

    found = agreement(before, after, texts, settings.threads, tell)
    if settings.min_agreement is not None and found.share < settings.min_agreement:
        raise AgreementError(
            f"{found.share:.4f} of the labels stay, less than --min-agreement "
            f"{settings.min_agreement:g}; nothing was written",
            where=settings.model,
            todo="Keep the model as it is, try --precision fp32, or ask for less",
        )
    return found


def _write_report(
    path: Path, settings: OptimizeSettings, source: ModelFolder, optimized: Optimized
) -> None:
    """Write the figures, and what they were found with."""
    figures = {
        "source": {"path": str(settings.model), "sha256": source.files_digest},
        "precision": settings.precision,
        "versions": {
            "labelf": __version__,
            "onnx": onnx.__version__,
            "onnxruntime": ort.__version__,
        },
        "bytes_before": optimized.bytes_before,
        "bytes_after": optimized.bytes_after,
        "speed": optimized.speed,
        "speed_texts": optimized.texts,
        "speed_texts_made_up": not settings.inputs,
        "threads": settings.threads,
        "batching": optimized.batching.value.value,
        "tuning": optimized.tuning.model_dump(),
        "trials": [
            {**trial.tuning.model_dump(), "speed": trial.speed, "kept": trial.kept}
            for trial in optimized.trials
        ],
        "agreement": None if optimized.agreement is None else asdict(optimized.agreement),
    }
    path.write_text(json.dumps(figures, ensure_ascii=False, indent=2) + "\n", "utf-8")
