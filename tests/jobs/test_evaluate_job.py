"""The evaluate job: models and outputs against gold, and that both say the same."""

import csv
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SHARED, WORDS, WriteModel, needs_shared
from sklearn.metrics import accuracy_score, f1_score

from labelf_cli.config import Config
from labelf_cli.errors import ConfigError, InputError, UsageError
from labelf_cli.evaluation.labelled import LabelledTable
from labelf_cli.formats import Layout
from labelf_cli.jobs.evaluate import EvaluateSettings, Evaluation, evaluate
from labelf_cli.run import run
from labelf_cli.run_settings import RunSettings

LABELS = ("yes", "no", "maybe")
RANDOM = np.random.default_rng(0)
TEXTS = [" ".join(RANDOM.choice(WORDS[4:], 1 + n % 7)) for n in range(120)]
GOLD = [str(RANDOM.choice(LABELS)) for _ in TEXTS]
SETS = [sorted({str(one) for one in RANDOM.choice(LABELS, n % 4)}) for n in range(len(TEXTS))]
SEVERAL = {"problem_type": "multi_label_classification"}

Make = Callable[..., Config]


def write(path: Path, *rows: Sequence[str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Gold of one label and of several; the last rows are blank, without gold, of another label."""
    rows = list(zip(TEXTS, GOLD, map(json.dumps, SETS), strict=True))
    rows += [("", "yes", "[]"), ("my bill", "", ""), ("my tv", "else", '["else"]')]
    return write(tmp_path / "t.csv", ("text", "one", "some"), *rows)


def of_config(config: Config, table: Path, **gold: str) -> list[Evaluation]:
    its = LabelledTable((str(table),), gold)
    return evaluate(EvaluateSettings(its, config, threads=2, resamples=20), lambda _: None)


def of_output(output: Path, separator: str = ".", **gold: str) -> list[Evaluation]:
    its = LabelledTable((str(output),), gold)
    settings = EvaluateSettings(its, None, threads=1, separator=separator, resamples=20)
    return evaluate(settings, lambda _: None)


def classified(config: Config, table: Path, output: Path, **settings: Any) -> Path:  # noqa: ANN401
    run(RunSettings(config, (str(table),), 2, output, **settings), lambda _: None)
    return output


def told(found: Evaluation) -> str:
    return json.dumps(found.as_json())


def test_figures_are_those_of_the_answers_that_are_written(
    write_model: WriteModel, make_config: Make, table: Path, tmp_path: Path
) -> None:
    entry = {"name": "m", "path": write_model(), "max_predictions": 1, "threshold": 0.5}
    config = make_config(entry)
    (found,) = of_config(config, table, m="one")
    output = classified(config, table, tmp_path / "o.csv")
    with output.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["one"]]
    gold, answers = ([row[column] for row in rows] for column in ("one", "m.label"))
    labels = sorted({*gold, *answers} - {""})
    figures = found.figures
    assert figures.rows == len(TEXTS) + 2
    assert figures.accuracy == accuracy_score(gold, answers)
    assert figures.macro_f1 == pytest.approx(
        f1_score(gold, answers, labels=labels, average="macro", zero_division=0)
    )
    assert 0 < figures.coverage == np.mean([answer != "" for answer in answers]) < 1
    assert (found.ungold, found.unanswered, found.unknown) == (1, 1, {"else": 1})


ENTRIES: dict[str, dict[str, Any]] = {
    "one label": {},
    "a threshold": {"threshold": 0.6},
    "a threshold and another label": {"threshold": 0.6, "none_label": "nothing"},
    "a threshold and one of its labels": {"threshold": 0.6, "none_label": "maybe"},
    "a filter": {"label_filter": ["yes", "no"]},
    "a cap": {"max_predictions": 2, "threshold": 0.2},
}


FORMATS = itertools.cycle(["csv", "jsonl", "parquet", "csv.gz"])


@pytest.mark.parametrize("several", [False, True], ids=["one", "several"])
@pytest.mark.parametrize(("entry", "format_"), list(zip(ENTRIES, FORMATS, strict=False)))
def test_an_output_says_what_its_models_say(
    entry: str, format_: str, several: bool, request: pytest.FixtureRequest
) -> None:
    write_model, make_config, table, tmp_path = map(
        request.getfixturevalue, ("write_model", "make_config", "table", "tmp_path")
    )
    path = write_model(config=SEVERAL if several else None)
    config = make_config({"name": "m", "path": path} | ENTRIES[entry])
    gold = {"m": "some" if several else "one"}
    (by_model,) = of_config(config, table, **gold)
    output = classified(config, table, tmp_path / f"o.{format_}", separator="_")
    (by_output,) = of_output(output, "_", **gold)
    expected, found = by_model.as_json(), by_output.as_json()
    if entry == "a cap":  # not all scores are there, nor the order of the labels
        expected |= {"log_loss": None, "calibration_error": None}
        for its in (expected, found):
            del its["confusion"], its["intervals"]
    assert by_model.figures.log_loss is not None or (entry == "a filter" and not several)
    assert found == expected


def test_models_without_gold_are_not_run_unless_others_wait_for_them(
    write_model: WriteModel, make_config: Make, table: Path
) -> None:
    config = make_config(
        {"name": "a", "path": write_model("a")},
        {"name": "b", "path": write_model("b"), "only_where": {"a": ["yes"]}},
        {"name": "c", "path": "/nowhere"},
    )
    (found,) = of_config(config, table, b="one")
    assert found.name == "b"
    assert 1 < found.unanswered < len(TEXTS)
    assert found.figures.coverage < 1


def test_several_models_are_measured_in_one_pass(
    write_model: WriteModel, make_config: Make, table: Path
) -> None:
    one, other = write_model("a"), write_model("b", seed=1, config=SEVERAL)
    config = make_config({"name": "a", "path": one}, {"name": "b", "path": other})
    together = of_config(config, table, a="one", b="some")
    assert [its.name for its in together] == ["a", "b"]
    alone = [*of_config(config, table, a="one"), *of_config(config, table, b="some")]
    assert [told(its) for its in together] == [told(its) for its in alone]


def test_failed_rows_are_wrong(write_model: WriteModel, make_config: Make, tmp_path: Path) -> None:
    config = make_config({"name": "m", "path": write_model(nan_word="angry")})
    rows = [("my bill", "yes"), ("my bill", "no"), ("my bill", "maybe"), ("angry", "yes")]
    table = write(tmp_path / "t.csv", ("text", "gold"), *rows)
    (found,) = of_config(config, table, m="gold")
    assert found.unanswered == 1
    assert found.figures.accuracy == 1 / 4
    output = classified(config, table, tmp_path / "o.csv", layout=Layout.WIDE)
    assert told(of_output(output, m="gold")[0]) == told(found)


class TestRefusals:
    def test_a_column_that_is_not_there(
        self, write_model: WriteModel, make_config: Make, table: Path
    ) -> None:
        config = make_config({"name": "m", "path": write_model()})
        with pytest.raises(InputError, match=r"t\.csv: no column 'onne'\. Did you mean 'one'\?"):
            of_config(config, table, m="onne")

    def test_a_model_that_is_not_there(
        self, write_model: WriteModel, make_config: Make, table: Path
    ) -> None:
        config = make_config({"name": "mood", "path": write_model()})
        with pytest.raises(ConfigError, match=r"no model is named 'moot'\. Did you mean 'mood'\?"):
            of_config(config, table, moot="one")

    def test_no_gold(self, make_config: Make, table: Path) -> None:
        with pytest.raises(UsageError, match="Say --gold model=column"):
            of_config(make_config({"name": "m", "path": "/nowhere"}), table)

    def test_a_column_without_a_label(
        self, write_model: WriteModel, make_config: Make, tmp_path: Path
    ) -> None:
        table = write(tmp_path / "t.csv", ("text", "gold"), ("my bill", ""))
        config = make_config({"name": "m", "path": write_model()})
        with pytest.raises(InputError, match="column 'gold' has no label"):
            of_config(config, table, m="gold")

    def test_an_output_of_another_layout(
        self, write_model: WriteModel, make_config: Make, table: Path, tmp_path: Path
    ) -> None:
        config = make_config({"name": "m", "path": write_model()})
        output = classified(config, table, tmp_path / "o.parquet", layout=Layout.NESTED)
        with pytest.raises(InputError, match=r"no column 'm\.label'.*only the wide layout"):
            of_output(output, m="one")

    def test_a_score_that_is_none(self, tmp_path: Path) -> None:
        header = ("gold", "m.label", "m.score", "m.score.a", "m.score.b")
        output = write(tmp_path / "o.csv", header, ("a", "a", "0.6", "0.6", "much"))
        with pytest.raises(InputError, match=r"column 'm\.score\.b': not a score"):
            of_output(output, m="gold")

    def test_a_cell_that_is_no_array(
        self, write_model: WriteModel, make_config: Make, tmp_path: Path
    ) -> None:
        table = write(tmp_path / "t.csv", ("text", "gold"), ("my bill", '["yes"'))
        config = make_config({"name": "m", "path": write_model(config=SEVERAL)})
        with pytest.raises(InputError, match=r"column 'gold': .* is no JSON array"):
            of_config(config, table, m="gold")


def test_an_output_without_scores_or_status_is_read(tmp_path: Path) -> None:
    output = write(tmp_path / "o.csv", ("gold", "m.label"), ("a", "a"), ("b", ""), ("b", "a"))
    (found,) = of_output(output, m="gold")
    assert (found.figures.accuracy, found.unanswered) == (1 / 3, 0)
    assert found.figures.coverage == 2 / 3


def test_an_output_whose_models_give_no_scores_is_read(tmp_path: Path) -> None:
    header = ("gold", "m.label", "m.score")
    output = write(tmp_path / "o.csv", header, ("a", "a", ""), ("b", "", ""), ("b", "b", ""))
    (found,) = of_output(output, m="gold")
    assert (found.figures.accuracy, found.figures.coverage) == (2 / 3, 2 / 3)


def test_an_output_with_some_scores_has_no_log_loss(tmp_path: Path) -> None:
    header = ("gold", "m.label", "m.score", "m.score.a", "m.score.b")
    rows = [("a", "a", "0.9", "0.9", "0.1"), ("a", "b", "0.8", "", "0.8"), ("a", "", "", "", "")]
    (found,) = of_output(write(tmp_path / "o.csv", header, *rows), m="gold")
    assert (found.figures.log_loss, found.unanswered) == (None, 1)


@needs_shared
def test_emotions_of_tweets_are_found_as_the_pytorch_original_finds_them(
    make_config: Make,
) -> None:
    config = make_config({"name": "emotion", "path": SHARED / "models/tweet-emotion"})
    (found,) = of_config(config, SHARED / "data/tweets_emotion_test.csv", emotion="emotion")
    assert found.figures.rows == 1421
    assert found.figures.macro_f1 == pytest.approx(0.7531, abs=0.001)
