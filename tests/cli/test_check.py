"""``labelf check``: what a run would do, and every reason why it would fail."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Labelf, WriteModel
from remote_server import serve

from labelf_cli.config import Config
from labelf_cli.jobs.check import Check, CheckSettings, check

CALLS = ROOT / "sample_data" / "calls.csv"


def test_the_sample_is_told_in_one_look(labelf: Labelf) -> None:
    done = labelf("check", "-c", ROOT / "configs" / "models.toml", CALLS, "--threads", "3")
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode().splitlines()
    assert [line.split(":")[0] for line in lines] == [
        *("product", "issue_type", "root_cause", "sentiment"),
        *("4 graphs on 3 threads", "columns", "advice"),
    ]
    assert lines[0].startswith("product: 6 labels, softmax, any length, padded batches, tokenizer ")
    assert " of 4 models, 0.1 MB, sha256 " in lines[0]
    assert lines[5].startswith("columns: id, channel, started_at, ")
    assert lines[5].endswith(", labelf.status, labelf.error")


def test_the_columns_are_those_of_a_run(labelf: Labelf) -> None:
    config = ("-c", ROOT / "configs" / "hierarchy.toml", "--layout", "nested", "--separator", "_")
    checked = labelf("check", *config, CALLS).stdout.decode().splitlines()
    header = labelf("classify", CALLS, *config, "-q", "--limit", "0").stdout.decode().strip()
    assert f"columns: {header.replace(',', ', ')}" in checked


def test_a_table_is_read_as_classify_is_told_to(labelf: Labelf, tmp_path: Path) -> None:
    (tmp_path / "work" / "in.csv").write_bytes("1;på\n".encode("latin-1"))
    options = ("--delimiter", ";", "--encoding", "latin-1", "--no-header")
    named = ("--model", "product", "--text-column", "column_2")
    done = labelf("check", "-c", ROOT / "configs" / "models.toml", "in.csv", *options, *named)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "columns: column_1, column_2, product.label, " in done.stdout.decode()


def test_every_reason_is_told(labelf: Labelf, write_model: WriteModel, tmp_path: Path) -> None:
    write_model("good")
    write_model("broken")
    (tmp_path / "models/broken/model.onnx").write_bytes(b"<html>")
    entries = (("good", "good"), ("gone", "gone"), ("broken", "broken"))
    config = tmp_path / "tiny.toml"
    config.write_text(
        "".join(f'[[models]]\nname = "{n}"\npath = "models/{path}"\n' for n, path in entries)
    )
    done = labelf("check", "-c", config, "none.csv")
    assert done.returncode == 2
    assert done.stdout.startswith(b"good: 3 labels, softmax, 64 tokens, padded batches, ")
    assert b"columns" not in done.stdout
    first, second, third = done.stderr.decode().splitlines()
    assert first == "error: none.csv: no such file. Check the path"
    assert second.startswith(f"error: {tmp_path}/models/gone: no such model folder. ")
    assert third.startswith(f"error: {tmp_path}/models/broken/model.onnx: ")


@pytest.fixture
def checked(write_model: WriteModel, make_config: Callable[..., Config]) -> Callable[..., Check]:
    """A function that checks one model, of these labels and keys."""

    def check_one(labels: tuple[str, ...], made: dict[str, Any], **keys: object) -> Check:
        path = write_model(labels=labels, **made)
        return check(CheckSettings(make_config({"name": "m", "path": path, **keys}), threads=1))

    return check_one


MULTI = {"config": {"problem_type": "multi_label_classification"}}
SINGLE = {"config": {"problem_type": "single_label_classification"}}
NONE = "m: every text gets a label; threshold and none_label let a model say that none fits"


@pytest.mark.parametrize(
    ("labels", "made", "keys", "advice"),
    [
        (("a", "b"), {}, {}, [NONE]),
        (("a", "b"), {}, {"threshold": 0.7, "none_label": "x"}, []),
        (("a", "other"), {}, {}, []),
        (("toxic", "severe_toxic"), MULTI, {}, []),
        (
            ("toxic", "severe_toxic", "none"),
            {},
            {},
            [
                (
                    "model 'm': 'toxic' and 'severe_toxic' may hold together, but config.json has "
                    "no problem_type, so one label is expected. If several may hold, say "
                    'activation = "sigmoid"'
                )
            ],
        ),
        (
            ("TV", "Smart TV", "none"),
            SINGLE,
            {},
            ["model 'm': 'TV' and 'Smart TV' contain one another; only one of them is answered"],
        ),
        (
            ("a", "b"),
            {},
            {"thresholds": {"b": 1.5}},
            ["model 'm': no score of 'b' reaches its threshold 1.5"],
        ),
        (
            ("a", "b"),
            {},
            {"threshold": 0.25},
            ["model 'm': the best score is never under the threshold 0.25"],
        ),
        (("a", "b"), {}, {"threshold": 3.0, "activation": "none"}, []),
    ],
)
def test_advice(
    labels: tuple[str, ...],
    made: dict[str, Any],
    keys: dict[str, object],
    advice: list[str],
    checked: Callable[..., Check],
) -> None:
    found = checked(labels, made, **keys)
    assert (list(found.advice), found.faults) == (advice, ())


def test_a_label_that_a_parent_never_gives_is_a_fault(
    write_model: WriteModel, make_config: Callable[..., Config]
) -> None:
    path = write_model()
    child = {"name": "c", "path": path, "only_where": {"p": ["never"]}}
    found = check(CheckSettings(make_config({"name": "p", "path": path}, child), threads=1))
    assert found.faults == (
        "model 'c', only_where: the model 'p' never answers 'never'. There are: yes, no, maybe",
    )


def test_a_model_that_fails_on_a_text_is_a_fault(checked: Callable[..., Check]) -> None:
    found = checked(("a", "b"), {"nan_word": "[UNK]"})
    assert found.faults == ("model 'm': fails on a text (m: the model's answer is not a number)",)


def test_models_of_services_are_asked_once_and_that_is_told(labelf: Labelf, tmp_path: Path) -> None:
    with serve() as remote:
        remote.labels[42] = ("TV", "Mobile", "none of them")
        labels = [f"label {n}" for n in range(31)]
        config = tmp_path / "models.toml"
        config.write_text(
            f'[[models]]\nname = "topic"\nkind = "llm"\nbase_url = "{remote.v1}"\n'
            f'model = "small"\nlabels = {labels}\nnone_label = "none"\nmax_length = 500\n'
            f'[[models]]\nname = "mood"\nkind = "llm"\nbase_url = "{remote.v1}"\nmodel = "small"\n'
            'labels = ["angry", "calm"]\nnone_label = "none"\nmax_length = 500\n'
            f'[[models]]\nname = "product"\nkind = "labelf-api"\nbase_url = "{remote.v2}"\n'
            "model_id = 42\nmax_predictions = 1\n"
        )
        done = labelf("check", "-c", config, CALLS)
        assert len(remote.posts()) == 3
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode().splitlines()
    assert lines[0].startswith("topic: 31 labels, none, 500 characters, so many texts a request, ")
    assert lines[0].endswith("says none to a probe")
    assert lines[3] == "2 requests to services a text or chunk: product; topic, mood"
    assert lines[4].startswith("columns: id, ")
    assert lines[5] == "this check has sent 3 requests to services"
    assert lines[6].startswith("advice: model 'topic': 31 labels are many for a language model")


def test_a_service_that_refuses_is_a_fault(labelf: Labelf, tmp_path: Path) -> None:
    with serve() as remote:
        config = tmp_path / "models.toml"
        config.write_text(
            f'[[models]]\nname = "a"\nkind = "labelf-api"\nbase_url = "{remote.v2}"\n'
            'model_id = 9\nlabels = ["x"]\n'
        )
        done = labelf("check", "-c", config)
    assert done.returncode == 2
    assert b"404 Not Found: there is no model 9" in done.stderr
