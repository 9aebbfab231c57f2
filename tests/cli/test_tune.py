"""``labelf tune``: a copy of the config, and what is better with it."""

import json
from pathlib import Path

import pytest
from conftest import WORDS, Labelf, WriteModel

from labelf_cli.config_file import load_config


@pytest.fixture
def folder(labelf: Labelf, write_model: WriteModel, tmp_path: Path) -> Path:  # noqa: ARG001
    """A config, a table in which one label is right."""
    work = tmp_path / "work"
    path = write_model(config={"problem_type": "multi_label_classification"})
    (work / "models.toml").write_text(f'# mine\n[[models]]\nname = "mood"\npath = "{path}"\n')
    texts = [f"{one} {two}" for one in WORDS[4:] for two in WORDS[4:]]
    rows = [f"{text},{'yes; no' if 'my' in text else 'no'}" for text in texts]
    (work / "t.csv").write_text("\n".join(["text,gold", *rows]) + "\n")
    return work


TUNE = ("tune", "t.csv", "-c", "models.toml", "--gold", "mood=gold", "-o", "tuned.toml")


def test_shows_before_and_after_and_writes_the_config(labelf: Labelf, folder: Path) -> None:
    done = labelf(*TUNE, "--json")
    assert (done.returncode, done.stderr) == (0, b"")
    told = json.loads(done.stdout)["models"]["mood"]
    written = (folder / "tuned.toml").read_text()
    assert written.startswith("# mine\n")
    assert told["after"]["macro_f1"] > told["before"]["macro_f1"]
    assert dict(load_config(folder / "tuned.toml").models[0].thresholds) == told["thresholds"]
    done = labelf(*TUNE)
    assert (done.returncode, done.stderr) == (0, b"")
    lines = [line.split() for line in done.stdout.decode().splitlines()]
    figures = [f"{told[when]['macro_f1']:.4f}" for when in ("before", "after")]
    assert ["macro", "F1", *figures] in lines
    assert b"written: tuned.toml" in done.stdout
    assert (folder / "tuned.toml").read_text() == written


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("-o", "models.toml"), "models.toml: is the config itself. Choose another -o"),
        (("--gold", "mod=gold"), "no model is named 'mod'. Did you mean 'mood'?"),
    ],
)
def test_what_cant_be_done_is_refused(
    more: tuple[str, ...], message: str, labelf: Labelf, folder: Path
) -> None:
    done = labelf(*TUNE, *more)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode() == f"error: {message}\n"
    assert not (folder / "tuned.toml").exists()
