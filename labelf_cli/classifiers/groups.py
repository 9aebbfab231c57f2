"""From the models of a config to the groups that answer: what is equal is loaded once."""

from collections.abc import Sequence
from pathlib import Path

from labelf_cli.classifiers.encoder import EncoderHeads
from labelf_cli.classifiers.folder import ModelFolder
from labelf_cli.classifiers.gliclass import GliClass, is_gliclass
from labelf_cli.classifiers.graph_file import takes_texts
from labelf_cli.classifiers.hub import on_disk
from labelf_cli.classifiers.interface import Group
from labelf_cli.classifiers.onnx import OnnxClassifier
from labelf_cli.classifiers.providers import Providers
from labelf_cli.classifiers.remote.budget import Budget
from labelf_cli.classifiers.remote.services import open_services
from labelf_cli.classifiers.text_graph import TextGraph
from labelf_cli.classifiers.text_pipeline import TextPipeline
from labelf_cli.classifiers.zero_shot import NliClassifier
from labelf_cli.config import AnyModel, ModelConfig, ServiceModel
from labelf_cli.tokens import Tokenizer


def open_groups(models: Sequence[AnyModel], budget: Budget | None = None) -> tuple[Group, ...]:
    """Read the files of all models but their graphs.

    Heads over one encoder make a group, and so do models with the same graph; zero-shot models if
    they have the same labels, too. Those that differ in them share the loaded graph. Of models that
    a service answers for, those make a group that can share its requests.

    Args:
        models: of a config.
        budget: of requests to services; None for no bound.

    Raises:
        ModelError: a file is missing or broken.
        ConfigError: a model is asked for what it, or onnxruntime, does not have; or a service
            can't be asked.
        ServiceError: a service refuses to tell the labels of a model.
        UsageError: the extra for a hub id or for services is missing.
    """
    local = [model for model in models if isinstance(model, ModelConfig)]
    for model in local:
        Providers.of(model).require(model.name)
    tokenizers: dict[str, Tokenizer] = {}
    graphs: dict[tuple[object, ...], TextGraph] = {}
    members: dict[tuple[object, ...], list[ModelConfig]] = {}
    for model in on_disk(local):
        members.setdefault(_runs_as(model), []).append(model)
    remote = [model for model in models if isinstance(model, ServiceModel)]
    return (
        *(_open(configs, tokenizers, graphs) for configs in members.values()),
        *open_services(remote, budget or Budget()),
    )


def _open(
    configs: Sequence[ModelConfig],
    tokenizers: dict[str, Tokenizer],
    graphs: dict[tuple[object, ...], TextGraph],
) -> Group:
    first = configs[0]
    if first.encoder:
        return EncoderHeads(configs, tokenizers)
    folder = ModelFolder.find(first.path, first.file)
    if first.kind == "classifier":
        if not folder.tokenizer.exists() and folder.graph_files and takes_texts(folder.onnx):
            return TextPipeline(configs)
        return OnnxClassifier(configs, tokenizers)
    providers = Providers.of(first)
    key = (*_files(folder), first.max_length, providers)
    if key not in graphs:
        graphs[key] = TextGraph(folder, ("logits",), first.max_length, tokenizers, providers)
    return (GliClass if is_gliclass(folder) else NliClassifier)(configs, graphs[key])


def _files(folder: ModelFolder) -> tuple[Path, Path]:
    """Graph and folder: the same graph may stand beside another tokenizer, be it by a link."""
    return folder.onnx.resolve(), folder.path.resolve()


def _runs_as(model: ModelConfig) -> tuple[object, ...]:
    """What two models have in common that one run of a graph answers."""
    folder = ModelFolder.find(model.encoder or model.path, None if model.encoder else model.file)
    asked: tuple[object, ...] = (model.text_pair,)
    if model.kind == "zero-shot":
        asked = (model.labels, model.hypothesis_template)
    return (
        bool(model.encoder),
        *_files(folder),
        model.max_length,
        model.token_budget,
        (model.on_long == "window", model.stride),
        asked,
        Providers.of(model),
    )
