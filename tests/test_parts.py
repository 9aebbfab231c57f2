"""A part of a labeller answers with the bits of a labeller of its own, however it reads."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from conftest import WriteModel, write_encoder, write_head
from test_windows import make_texts

from labelf_cli.chunk import TEXT, Chunk
from labelf_cli.config import Config
from labelf_cli.errors import ConfigError
from labelf_cli.labeller import Labeller
from labelf_cli.model_keys import OnLong
from labelf_cli.predictions import Answers

MakeConfig = Callable[..., Config]
READINGS: list[OnLong] = ["truncate", "window", "error"]
NLI = ("entailment", "neutral", "contradiction")
TEXTS = make_texts(700)


def chunk(texts: list[str]) -> Chunk:
    return Chunk(0, 0, pa.record_batch({TEXT: pa.array(texts)}))


def told(answers: Answers, number: int) -> tuple[object, ...]:
    return answers.scores[number].tobytes(), answers.status.tolist(), answers.errors.to_pylist()


@pytest.fixture
def models(tmp_path: Path, write_model: WriteModel) -> list[dict[str, Any]]:
    """Classifiers, two of them over one graph, heads over an encoder, a zero-shot model."""
    one, other = write_model("one"), write_model("other", seed=1)
    nli = write_model("nli", NLI, config={"label2id": {label: i for i, label in enumerate(NLI)}})
    encoder = write_encoder(tmp_path / "encoder")
    heads = [write_head(tmp_path / f"head {n}", encoder, seed=n) for n in range(2)]
    its = [
        {"name": "one", "path": one, "stride": 3},
        {"name": "its twin", "path": one, "stride": 3, "pooling": "max"},
        {"name": "other", "path": other, "activation": "sigmoid"},
        *({"name": f"head {n}", "path": head, "encoder": encoder} for n, head in enumerate(heads)),
        {"name": "topic", "kind": "zero-shot", "path": nli, "labels": ["tv", "bill"]},
    ]
    return [{"max_length": 16} | model for model in its]


@pytest.fixture
def labeller(models: list[dict[str, Any]], make_config: MakeConfig) -> Iterator[Labeller]:
    """The models as they are configured, each way of reading among them."""
    on_long = ("window", "window", "truncate", "truncate", "error", "window")
    config = make_config(
        *(model | {"on_long": its} for model, its in zip(models, on_long, strict=True))
    )
    with Labeller.open(config, 2) as labeller:
        yield labeller.load()


@pytest.mark.parametrize("on_long", READINGS)
def test_a_part_answers_as_a_labeller_of_its_own(
    labeller: Labeller, models: list[dict[str, Any]], on_long: OnLong, make_config: MakeConfig
) -> None:
    names = [model["name"] for model in reversed(models)]
    part = labeller.part(names, on_long, 1 << 20)
    for name, model in zip(names, reversed(models), strict=True):
        with Labeller.open(make_config(model | {"on_long": on_long}), 1) as alone:
            expected = told(alone.load().submit(chunk(TEXTS)).result(60), 0)
        one = labeller.part([name], on_long, 1)
        assert told(one.submit(chunk(TEXTS)).result(60), 0) == expected, name
        answers = part.submit(chunk(TEXTS)).result(60)
        assert answers.scores[names.index(name)].tobytes() == expected[0], name


def test_without_a_reading_it_answers_as_the_config_says(labeller: Labeller) -> None:
    whole = labeller.submit(chunk(TEXTS)).result(60)
    for number, model in enumerate(labeller.models):
        part = labeller.part([model.name], None, 1)
        answers = part.submit(chunk(TEXTS)).result(60)
        assert answers.scores[0].tobytes() == whole.scores[number].tobytes()


def test_an_error_of_a_model_that_is_not_asked_is_none(labeller: Labeller) -> None:
    names = ["head 0", "head 1"]  # over one encoder, so that both are asked at once
    (group,) = {number for number, g in enumerate(labeller.groups) if g.models[0].name in names}
    assert [model.on_long for model in labeller.groups[group].models] == ["truncate", "error"]
    failed = {
        name: labeller.part([name], None, 1).submit(chunk(TEXTS)).result(60).errors.null_count
        for name in names
    }
    assert failed["head 0"] == len(TEXTS) > failed["head 1"]


def test_windows_that_share_all_they_have_are_refused_when_they_are_asked_for(
    write_model: WriteModel, make_config: MakeConfig
) -> None:
    config = make_config({"name": "m", "path": write_model(), "max_length": 16, "stride": 14})
    with Labeller.open(config, 1) as labeller:
        labeller.load()
        labeller.part(["m"], "truncate", 1)
        with pytest.raises(ConfigError, match="14 leaves nothing new for a window of 14 tokens"):
            labeller.part(["m"], "window", 1)
