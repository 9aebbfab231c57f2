"""From the models of a config that services answer for to groups: what can share requests does."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from labelf_cli.classifiers.interface import Service
from labelf_cli.classifiers.remote.budget import Budget
from labelf_cli.classifiers.remote.endpoint import Endpoint
from labelf_cli.config import LabelfApiConfig, LlmConfig, ServiceModel
from labelf_cli.errors import extra

M = TypeVar("M")


def open_services(models: Sequence[ServiceModel], budget: Budget) -> tuple[Service, ...]:
    """Make the groups of models that services answer for; each service has one client.

    Raises:
        ConfigError: a service can't be asked, or the environment lacks a secret.
        ServiceError: a service refuses to tell the labels of a model.
        UsageError: the extra ``remote`` is missing.
    """
    if not models:
        return ()
    with extra("remote", f"model '{models[0].name}'"):
        # Not everybody asks services.
        from labelf_cli.classifiers.remote.client import Client  # noqa: PLC0415
        from labelf_cli.classifiers.remote.labelf_api import LabelfApi  # noqa: PLC0415
        from labelf_cli.classifiers.remote.llm import LanguageModel, chat_settings  # noqa: PLC0415
    clients: dict[Endpoint, Client] = {}
    for model in sorted(models, key=lambda model: -model.timeout):
        endpoint = Endpoint.of(model)
        if endpoint not in clients:
            clients[endpoint] = Client(endpoint, budget, f"model '{model.name}'")
    apis = _grouped(
        [model for model in models if isinstance(model, LabelfApiConfig)],
        lambda model: (Endpoint.of(model), model.max_length),
    )
    language_models = _grouped(
        [model for model in models if isinstance(model, LlmConfig)],
        lambda model: (Endpoint.of(model), model.max_length, chat_settings(model)),
    )
    return (
        *(LabelfApi(its, clients[Endpoint.of(its[0])]) for its in apis),
        *(LanguageModel(its, clients[Endpoint.of(its[0])]) for its in language_models),
    )


def _grouped(models: Sequence[M], key: Callable[[M], object]) -> list[list[M]]:
    """The models with equal keys together, in the order of the first of each."""
    members: dict[object, list[M]] = {}
    for model in models:
        members.setdefault(key(model), []).append(model)
    return list(members.values())
