"""A copy of a config: comments and order stay, values change, paths stay right."""

from pathlib import Path

import pytest

from labelf_cli.config import ModelConfig
from labelf_cli.config_copy import Changes, changed_copy, require_place, write_copy
from labelf_cli.config_file import load_config
from labelf_cli.errors import OutputError

CONFIG = """\
# What is asked of each call.
[defaults]
encoder = "encoders/mini"   # runs once

[[models]]
name = "product"            # the first
path = "heads/product"
thresholds = { TV = 0.4 }   # TV is hard
threshold = 0.3

# And how they felt:
[[models]]
name = "mood"
path = "/srv/mood.onnx"

[[models]]
name = "hub"
path = "owner/name"
revision = "main"
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "models.toml"
    path.write_text(CONFIG)
    return path


def models_of(path: Path) -> list[ModelConfig]:
    """The models of a config, all of them local."""
    models = load_config(path).models
    return [model for model in models if isinstance(model, ModelConfig)]


def test_nothing_changes_where_nothing_is_to_change(source: Path) -> None:
    assert changed_copy(source, source.with_name("copy.toml"), {}) == CONFIG


def test_comments_and_order_stay(source: Path) -> None:
    changes = {"product": Changes(1.5, {"TV": 0.45, "Mobile.x": 0.2}), "mood": Changes(0.8)}
    text = changed_copy(source, source.with_name("copy.toml"), changes)
    lines = text.splitlines()
    assert [line for line in CONFIG.splitlines() if line not in lines] == [
        "thresholds = { TV = 0.4 }   # TV is hard"
    ]
    (line,) = [line for line in lines if "# TV is hard" in line]
    assert line.startswith("thresholds = { TV = 0.45")
    source.write_text(text)
    product, mood, _ = models_of(source)
    assert product.thresholds == {"TV": 0.45, "Mobile.x": 0.2}
    assert (product.calibration_temperature, product.threshold) == (1.5, 0.3)
    assert (mood.calibration_temperature, mood.thresholds) == (0.8, {})


def test_new_thresholds_stand_one_a_line(source: Path) -> None:
    changes = {"mood": Changes(1.5, {"a b": 0.25, "c": 0.5})}
    text = changed_copy(source, source.with_name("copy.toml"), changes)
    assert "\ncalibration_temperature = 1.5\n" in text
    assert '[models.thresholds]\n"a b" = 0.25\nc = 0.5\n' in text
    source.write_text(text)
    names = [model.name for model in models_of(source)]
    assert names == ["product", "mood", "hub"]
    assert models_of(source)[1].thresholds == {"a b": 0.25, "c": 0.5}


def test_models_in_one_line_are_understood(source: Path) -> None:
    source.write_text('models = [{ name = "m", path = "m" }]  # short\n')
    text = changed_copy(source, source.with_name("c.toml"), {"m": Changes(2.0, {"x": 0.5})})
    assert "# short" in text
    source.write_text(text)
    (model,) = models_of(source)
    assert (model.calibration_temperature, model.thresholds) == (2.0, {"x": 0.5})


def test_paths_are_right_from_another_folder(source: Path) -> None:
    for folder in ("heads", "encoders", "a/b"):
        (source.parent / folder).mkdir(parents=True)
    target = source.parent / "a" / "b" / "copy.toml"
    target.write_text(changed_copy(source, target, {}))
    assert 'encoder = "../../encoders/mini"   # runs once\n' in target.read_text()
    for one, other in zip(models_of(source), models_of(target), strict=True):
        for path, its in ((one.path, other.path), (one.encoder, other.encoder)):
            assert path is not None
            assert its is not None
            assert path.resolve() == its.resolve()
    assert models_of(target)[2].path == Path("owner/name")


def test_it_appears_whole_and_replaces_what_was_there(source: Path) -> None:
    write_copy("new", source)
    assert source.read_text() == "new"
    assert [path.name for path in source.parent.iterdir()] == ["models.toml"]


@pytest.mark.parametrize("target", ["models.toml", "none/copy.toml", "."])
def test_a_place_where_it_cant_stand_is_refused(target: str, source: Path) -> None:
    with pytest.raises(OutputError, match="Choose another -o"):
        require_place(source, source.parent / target)
    with pytest.raises(OutputError, match="Choose another -o"):
        write_copy("new", source.parent / "none" / "copy.toml")
    assert source.read_text() == CONFIG
