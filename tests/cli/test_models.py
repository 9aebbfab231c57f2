"""``labelf models``: what labelf understood of each model, and why."""

import os
import re
from pathlib import Path

from conftest import ROOT, Labelf, WriteModel, write_encoder, write_head

CONFIG = ROOT / "configs" / "models.toml"


def shown(labelf: Labelf, config: Path, *arguments: str) -> dict[str, dict[str, str]]:
    """For each model its lines, on a terminal that is wide enough."""
    wide = {**os.environ, "COLUMNS": "200"}
    done = labelf("models", "--config", config, *arguments, env=wide)
    assert (done.returncode, done.stderr) == (0, b"")
    found: dict[str, dict[str, str]] = {}
    for line in done.stdout.decode().splitlines():
        if line.startswith("  "):
            key, *value = re.split(r"\s{2,}", line.strip(), maxsplit=1)
            if key:
                found[list(found)[-1]][key] = "".join(value)
        elif line.strip():
            found[line.strip()] = {}
    return found


def write_config(folder: Path, *entries: str) -> Path:
    path = folder / "tiny.toml"
    path.write_text("".join(f"[[models]]\n{entry}\n" for entry in entries))
    return path


def test_the_sample_models_are_shown(labelf: Labelf) -> None:
    found = shown(labelf, CONFIG)
    assert list(found) == ["product", "issue_type", "root_cause", "sentiment"]
    assert [model["id"] for model in found.values()] == ["42", "87", "156", "201"]
    product = found["product"]
    assert product["6 labels"] == (
        "Device, Fibre Broadband, Fixed Line, Mobile Broadband, Mobile Subscription, TV "
        "(id2label of config.json)"
    )
    assert product["activation"] == "softmax (problem_type is single_label_classification)"
    assert product["runs in"].startswith("padded batches (")
    assert product["max length"] == "none (no limit known)"
    assert product["tokenizer"].endswith("(shared by 4 models)")
    size = (ROOT / "sample_data/models/product/model.onnx").stat().st_size
    assert product["size"] == f"{size / 1e6:.1f} MB"


def test_every_figure_has_its_rule(labelf: Labelf, write_model: WriteModel, tmp_path: Path) -> None:
    write_model("moved", moves="padding", config={"problem_type": "multi_label_classification"})
    write_model("alone", moves="batch", config={"max_position_embeddings": 40})
    # Another vocabulary is another tokenizer.
    write_model("other", words=("[PAD]", "[UNK]", "[CLS]", "[SEP]", "no", "signal"))
    config = write_config(
        tmp_path,
        'name = "moved"\npath = "models/moved"\nmax_length = 32\nlabels = ["a", "b", "c"]',
        'name = "alone"\npath = "models/alone"\nactivation = "none"',
        'name = "other"\npath = "models/other"\ncalibration_temperature = 1.5',
    )
    moved, alone, other = shown(labelf, config).values()
    assert moved["3 labels"] == "a, b, c (labels in the config)"
    assert moved["activation"] == "sigmoid (problem_type is multi_label_classification)"
    assert moved["runs in"].startswith("equal-length batches (padded texts moved logits by up to ")
    assert moved["max length"] == "32 (max_length in the config)"
    assert moved["tokenizer"] == alone["tokenizer"]
    assert moved["tokenizer"].endswith("(shared by 2 models)")
    assert alone["activation"] == "none (activation in the config)"
    assert alone["runs in"].startswith("one text a call (texts that share a call moved logits by ")
    assert alone["max length"] == "40 (max_position_embeddings)"
    assert other["max length"] == "64 (model_max_length of the tokenizer)"
    assert other["tokenizer"].endswith("(shared with none)")
    assert other["id"] == "-"
    assert other["temperature"] == "1.5 (calibration_temperature in the config)"
    assert "temperature" not in moved


def test_one_model_may_be_chosen(labelf: Labelf) -> None:
    assert list(shown(labelf, CONFIG, "--model", "sentiment")) == ["sentiment"]


def test_labels_with_brackets_are_shown_as_they_are(
    labelf: Labelf, write_model: WriteModel, tmp_path: Path
) -> None:
    write_model("m", ["[red]", "[/other]"])
    found = shown(labelf, write_config(tmp_path, 'name = "mood[v2]"\npath = "models/m"'))
    assert found["mood[v2]"]["2 labels"] == "[red], [/other] (id2label of config.json)"


def test_a_model_that_cant_be_loaded_is_named(
    labelf: Labelf, write_model: WriteModel, tmp_path: Path
) -> None:
    onnx = write_model("m") / "model.onnx"
    onnx.write_bytes(b"\x0a\x02no")
    done = labelf("models", "--config", write_config(tmp_path, 'name = "m"\npath = "models/m"'))
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().startswith(f"error: {onnx}: onnxruntime can't load it (")
    assert done.stderr.count(b"\n") == 1


def test_heads_name_their_encoder_and_each_other(labelf: Labelf, tmp_path: Path) -> None:
    encoder = write_encoder(tmp_path / "encoder", normalizes=True)
    entries = []
    for seed, name in enumerate(("mood", "topic")):
        head = write_head(tmp_path / name, encoder, seed=seed)
        entries.append(f'name = "{name}"\npath = "{head}"\nencoder = "encoder"')
    found = shown(labelf, write_config(tmp_path, *entries))
    assert found["mood"]["encoder"] == f"{encoder} (mean pooling, unit length)"
    assert found["topic"]["size"].endswith("MB (one run answers mood, topic)")


def test_zero_shot_models_say_how_their_labels_are_asked_for(
    labelf: Labelf, tmp_path: Path
) -> None:
    data = ROOT / "tests" / "data"
    asked = 'kind = "zero-shot"\nlabels = ["billing", "other things"]'
    config = write_config(
        tmp_path,
        f'name = "a"\npath = "{data}/zero_shot/bert"\n{asked}',
        f'name = "b"\npath = "{data}/zero_shot/roberta"\n{asked}\nmulti_label = true\n'
        'hypothesis_template = "About {}."',
        f'name = "c"\npath = "{data}/gliclass_uni/deberta"\n{asked}',
    )
    a, b, c = shown(labelf, config).values()
    assert a["2 labels"] == "billing, other things (labels in the config)"
    assert a["zero-shot"] == "one pass for each label (NLI, since model_type is not GLiClass)"
    assert a["hypothesis"] == "This example is {}. (transformers' default)"
    assert a["entailment"] == "logit 0, entailment (label2id of config.json)"
    assert a["activation"] == "softmax (the labels compete, unless multi_label is set)"
    assert b["hypothesis"] == "About {}. (hypothesis_template in the config)"
    assert b["entailment"] == "logit 2, ENTAILMENT (label2id of config.json)"
    assert b["activation"] == "sigmoid (multi_label)"
    assert c["zero-shot"] == "one pass for all labels (model_type is GLiClass)"
    assert c["prompt"] == "the labels stand before the text (prompt_first of config.json)"
    assert c["max length"] == "1024 (default of GLiClass's pipeline)"
