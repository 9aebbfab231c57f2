"""The fingerprint of a run: what decides the bytes, and nothing else."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import WriteModel

from labelf_cli import fingerprint
from labelf_cli.config import Config
from labelf_cli.labeller import Labeller

MIB = 1 << 20


def test_an_input_is_known_by_size_time_and_ends(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    content = bytes(3 * MIB)
    path.write_bytes(content)
    os.utime(path, ns=(0, 1_700_000_000_123_456_789))
    first = fingerprint.of_input(str(path))
    assert first["name"] == str(path)
    assert (first["bytes"], first["modified"]) == (3 * MIB, "2023-11-14 22:13:20.123456789")
    assert fingerprint.of_input(str(path)) == first
    for at in (0, MIB - 1, 2 * MIB, 3 * MIB - 1):
        path.write_bytes(content[:at] + b"x" + content[at + 1 :])
        os.utime(path, ns=(0, 1_700_000_000_123_456_789))
        changed = fingerprint.of_input(str(path))
        assert [key for key in first if changed[key] != first[key]] == ["sha256 of its ends"]
    os.utime(path, ns=(0, 1_700_000_000_123_456_790))
    assert fingerprint.of_input(str(path))["modified"].endswith("790")


def test_an_input_shorter_than_its_ends_is_hashed_whole(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    found = set()
    for content in (b"", b"a", b"b"):
        path.write_bytes(content)
        found.add(fingerprint.of_input(str(path))["sha256 of its ends"])
    assert len(found) == 3


@pytest.fixture
def of_models(
    write_model: WriteModel, make_config: Callable[..., Config]
) -> Callable[..., dict[str, Any]]:
    """A function that takes keys of a model and gives its fingerprint."""
    path = write_model()

    def of(**keys: object) -> dict[str, Any]:
        with Labeller.open(make_config({"name": "m", "path": path, **keys}), 1) as labeller:
            return fingerprint.of_models(labeller.models, labeller.digests)

    return of


def test_it_is_json_that_any_parser_reads(of_models: Callable[..., dict[str, Any]]) -> None:
    found = of_models()
    assert json.loads(json.dumps(found, allow_nan=False)) == json.loads(json.dumps(found))
    assert set(found["m"]["accepts"]["thresholds"]) == {None}


def test_all_that_is_done_with_logits_counts(of_models: Callable[..., dict[str, Any]]) -> None:
    keys: list[dict[str, object]] = [
        {},
        {"max_predictions": 1},
        {"label_filter": ["yes"]},
        {"threshold": 0.5},
        {"thresholds": {"yes": 0.5}},
        {"threshold": 0.5, "none_label": "none"},
        {"activation": "sigmoid"},
        {"calibration_temperature": 2},
        {"labels": ["a", "b", "c"]},
        {"on_long": "error"},
        {"max_length": 10},
    ]
    found = {json.dumps(of_models(**each), sort_keys=True) for each in keys}
    assert len(found) == len(keys)


def test_what_moves_no_score_does_not_count(of_models: Callable[..., dict[str, Any]]) -> None:
    assert of_models(token_budget=64, id=7) == of_models()


def test_the_libraries_that_make_bytes_count() -> None:
    assert set(fingerprint.of_versions()) == {"labelf", "numpy", "pyarrow"}
