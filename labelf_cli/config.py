"""What a models.toml may say: which models classify the texts, and how; validated and frozen."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from labelf_cli.errors import ConfigError, did_you_mean
from labelf_cli.model_keys import (
    CommonKeys,
    Int,
    Kind,
    LabelfApiKeys,
    LlmKeys,
    LocalKeys,
    LocalKind,
    Name,
    ServiceKeys,
    Settings,
)


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class InputConfig(Settings):
    """``[input]``: where the texts stand in the table."""

    text_column: Annotated[
        tuple[Name, ...],
        BeforeValidator(_as_tuple, json_schema_input_type=str | list[str]),
        Field(min_length=1, description="Column or columns; several are joined by a newline."),
    ] = ("text",)


class ModelDefaults(LocalKeys, LabelfApiKeys, LlmKeys):
    """``[defaults]``: every key of every kind but name, display_name, id and path.

    A model's own value wins.

    A model takes those that its kind has.
    """

    kind: Kind = Field("classifier", description="Of the models; see there.")


class AnyModel(CommonKeys):
    """One ``[[models]]`` entry, of whatever kind."""

    name: Name = Field(description="Prefix of the model's output columns.")
    id: Int | None = Field(None, description="The model_id of the HTTP API.")
    display_name: Name | None = Field(
        None, description="The model_name of the HTTP API; omitted: the name."
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if reasons := list(self.reasons()):
            raise ValueError("; ".join(reasons))
        return self

    @abstractmethod
    def reasons(self) -> Iterator[str]:
        """Why the keys can't be used together."""

    @property
    def gives_scores(self) -> bool:
        """Whether its answers have scores."""
        return True


_ZERO_SHOT_KEYS = ("hypothesis_template", "multi_label")


class ModelConfig(AnyModel, LocalKeys):
    """A model that runs here."""

    kind: LocalKind = Field(
        "classifier",
        description="zero-shot: the labels are the config's own; the model is an NLI export or a "
        "GLiClass uni-encoder.",
    )
    path: Path = Field(
        description="Model folder or .onnx file, relative to the config file; or a hub id, "
        "owner/name, where there is no such folder."
    )

    def reasons(self) -> Iterator[str]:
        """See ``AnyModel.reasons``."""
        if self.text_pair is not None and (self.encoder is not None or self.kind == "zero-shot"):
            yield "text_pair is for a model that reads both texts, as a cross-encoder does"
        if self.kind == "zero-shot":
            yield from self._zero_shot_reasons()
            return
        for key in _ZERO_SHOT_KEYS:
            if key in self.model_fields_set:
                yield f'{key} needs kind = "zero-shot"'

    def _zero_shot_reasons(self) -> Iterator[str]:
        """What a zero-shot model can't be asked."""
        if self.labels is None:
            yield 'kind = "zero-shot" needs labels'
        if self.encoder is not None:
            yield 'encoder is not for kind = "zero-shot"'
        if "{}" not in self.hypothesis_template:
            yield "hypothesis_template has no {} for the label"
            return
        try:
            self.hypothesis_template.format("")
        except (AttributeError, LookupError, ValueError) as error:
            yield f"hypothesis_template can't be filled in ({error}); write braces as {{{{ and }}}}"


class ServiceModel(AnyModel, ServiceKeys):
    """A model that a service answers for."""

    def reasons(self) -> Iterator[str]:
        """See ``AnyModel.reasons``."""
        if self.base_url is None:
            yield "base_url is missing"
        for key, labels in (("labels", self.labels), ("label_filter", self.label_filter)):
            twice = sorted({label for label in labels or () if (labels or ()).count(label) > 1})
            if twice:
                yield f"{key} has {', '.join(twice)} twice"

    @property
    def url(self) -> str:
        """``base_url``, without a slash at its end."""
        assert self.base_url is not None
        return self.base_url.rstrip("/")


_OAUTH2_KEYS = ("token_url", "client_id_env", "client_secret_env")


class LabelfApiConfig(ServiceModel, LabelfApiKeys):
    """A model of a multi-model inference API, as ``labelf serve`` speaks it."""

    kind: Literal["labelf-api"] = Field("labelf-api", description="A multi-model inference API.")

    def reasons(self) -> Iterator[str]:
        """See ``AnyModel.reasons``."""
        yield from super().reasons()
        if self.model_id is None:
            yield "model_id is missing"
        if not (self.labels or self.label_filter or self.max_predictions):
            yield "labels, label_filter or max_predictions is missing: they name the columns"
        given = [key for key in _OAUTH2_KEYS if getattr(self, key) is not None]
        if given and len(given) < len(_OAUTH2_KEYS):
            yield f"{', '.join(_OAUTH2_KEYS)} belong together"
        if given and self.token_env is not None:
            yield "token_env and token_url exclude each other"
        if self.on_long == "window" and self.max_length is not None:
            yield 'on_long = "window" has the service read all of a text; max_length is not for it'


class LlmConfig(ServiceModel, LlmKeys):
    """A question that a language model behind an OpenAI-compatible endpoint answers."""

    kind: Literal["llm"] = Field(
        "llm", description="A language model behind an OpenAI-compatible endpoint."
    )

    def reasons(self) -> Iterator[str]:
        """See ``AnyModel.reasons``."""
        yield from super().reasons()
        if self.model is None:
            yield "model is missing"
        if self.labels is None:
            yield 'kind = "llm" needs labels'
        if self.on_long == "window":
            yield 'on_long = "window" is not for kind = "llm"; truncate or error are'
        if not self.log_probabilities and (self.threshold is not None or self.thresholds):
            yield "a threshold needs scores, which only log_probabilities = true gives"

    @property
    def gives_scores(self) -> bool:
        """See ``AnyModel.gives_scores``."""
        return self.log_probabilities


MODEL_OF_KIND: Mapping[str, type[AnyModel]] = {
    "classifier": ModelConfig,
    "zero-shot": ModelConfig,
    "labelf-api": LabelfApiConfig,
    "llm": LlmConfig,
}


def keys_of_kind(kind: object) -> set[str]:
    """The keys that a model of a kind takes from ``[defaults]``; of no kind, a classifier's."""
    model = MODEL_OF_KIND.get(str(kind), ModelConfig)
    idle = set(_ZERO_SHOT_KEYS) if model is ModelConfig and kind != "zero-shot" else set()
    return set(model.model_fields) & set(ModelDefaults.model_fields) - idle


def _class_name(value: Any) -> str:  # noqa: ANN401  # whatever a config holds
    """Of what an entry of ``[[models]]`` is, by its kind."""
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return MODEL_OF_KIND.get(str(kind), ModelConfig).__name__


_Model = Annotated[
    Annotated[ModelConfig, Tag("ModelConfig")]
    | Annotated[LabelfApiConfig, Tag("LabelfApiConfig")]
    | Annotated[LlmConfig, Tag("LlmConfig")],
    Discriminator(_class_name),
]


class Config(Settings):
    """A whole models.toml."""

    input: InputConfig = InputConfig()
    defaults: ModelDefaults = ModelDefaults()
    models: Annotated[tuple[_Model, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        reasons = []
        for key in ("name", "id"):
            values = [value for m in self.models if (value := getattr(m, key)) is not None]
            twice = sorted({str(v) for v in values if values.count(v) > 1})
            if twice:
                reasons.append(f"two models have the {key} {', '.join(twice)}")
        if reasons:
            raise ValueError("; ".join(reasons))
        return self

    @model_validator(mode="after")
    def _acyclic(self) -> Self:
        parents = {model.name: tuple(model.only_where) for model in self.models}
        for name, its in parents.items():
            for parent in its:
                if parent not in parents:
                    hint = did_you_mean(parent, [other for other in parents if other != name])
                    raise ValueError(
                        f"model '{name}' is asked only where '{parent}' says so. {hint}"
                    )
        try:
            tuple(TopologicalSorter(parents).static_order())
        except CycleError as error:
            circle = " → ".join(reversed(error.args[1]))
            raise ValueError(f"only_where goes in a circle: {circle}") from None
        return self

    @property
    def local_models(self) -> tuple[ModelConfig, ...]:
        """Those that run here."""
        return tuple(model for model in self.models if isinstance(model, ModelConfig))

    def only(self, names: tuple[str, ...]) -> "Config":
        """Keep the named models, in the config's order; all of them where none is named."""
        known = [model.name for model in self.models]
        for name in names:
            if name not in known:
                raise ConfigError(f"no model is named '{name}'", todo=did_you_mean(name, known))
        if not names:
            return self
        kept = tuple(model for model in self.models if model.name in names)
        for model in kept:
            for parent in model.only_where:
                if parent not in names:
                    raise ConfigError(
                        f"model '{model.name}' is asked only where '{parent}' says so",
                        todo=f"Add --model {parent}",
                    )
        return self.model_copy(update={"models": kept})


def hub_id(path: Path) -> str | None:
    """The hub id that a path of a loaded config stands for, None for a path of a file system."""
    return None if path.is_absolute() else path.as_posix()
