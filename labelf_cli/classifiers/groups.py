"""From the models of a config to the groups that answer: what is equal is loaded once."""

from collections.abc import Sequence

from labelf_cli.classifiers.encoder import EncoderHeads
from labelf_cli.classifiers.folder import ModelFolder
from labelf_cli.classifiers.hub import on_disk
from labelf_cli.classifiers.interface import Group
from labelf_cli.classifiers.onnx import OnnxClassifier
from labelf_cli.classifiers.providers import Providers
from labelf_cli.config import ModelConfig
from labelf_cli.tokens import Tokenizer


def open_groups(models: Sequence[ModelConfig]) -> tuple[Group, ...]:
    """Read the files of all models but their graphs.

    Heads over one encoder make a group, and so do models with the same graph.

    Raises:
        ModelError: a file is missing or broken.
        ConfigError: a model is asked for what it, or onnxruntime, does not have.
        UsageError: the extra for a hub id is missing.
    """
    for model in models:
        Providers.of(model).require(model.name)
    tokenizers: dict[str, Tokenizer] = {}
    members: dict[tuple[object, ...], list[ModelConfig]] = {}
    for model in on_disk(models):
        members.setdefault(_runs_as(model), []).append(model)
    return tuple(
        (EncoderHeads if configs[0].encoder else OnnxClassifier)(configs, tokenizers)
        for configs in members.values()
    )


def _runs_as(model: ModelConfig) -> tuple[object, ...]:
    """What two models have in common that one run of a graph answers.

    Their folder is part of it: the same graph may stand beside another tokenizer, be it by a link.
    """
    folder = ModelFolder.find(model.encoder or model.path, None if model.encoder else model.file)
    return (
        bool(model.encoder),
        folder.onnx.resolve(),
        folder.path.resolve(),
        model.max_length,
        model.token_budget,
        (model.on_long == "window", model.stride),
        Providers.of(model),
    )
