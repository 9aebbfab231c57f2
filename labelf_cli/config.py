"""What a models.toml may say: which models classify the texts, and how; validated and frozen."""

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    model_validator,
)

from labelf_cli.errors import ConfigError, did_you_mean

Activation = Literal["softmax", "sigmoid", "none"]
OnLong = Literal["truncate", "window", "error"]
Pooling = Literal["mean", "max", "first"]
Kind = Literal["classifier", "zero-shot"]

Name = Annotated[str, Field(min_length=1, pattern=r"^[^\x00-\x1f]+$")]
Int = Annotated[int, Strict()]
Bool = Annotated[bool, Strict()]
Float = Annotated[float, Strict()]
Labels = Annotated[tuple[Name, ...], Field(min_length=1)]
Options = dict[Name, str | Annotated[bool, Strict()] | Int | Float]


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class Settings(BaseModel):
    """Base of the sections: frozen, and strict about its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class InputConfig(Settings):
    """``[input]``: where the texts stand in the table."""

    text_column: Annotated[
        tuple[Name, ...],
        BeforeValidator(_as_tuple, json_schema_input_type=str | list[str]),
        Field(min_length=1, description="Column or columns; several are joined by a newline."),
    ] = ("text",)


class ModelDefaults(Settings):
    """``[defaults]``: every model key but name, display_name, id and path; its own value wins."""

    kind: Kind = Field(
        "classifier",
        description="zero-shot: the labels are the config's own; the model is an NLI export or a "
        "GLiClass uni-encoder.",
    )
    file: str | None = Field(None, description="The .onnx file, relative to the model's path.")
    encoder: Path | None = Field(
        None,
        description="Folder, .onnx file or hub id of the frozen encoder that the model is a head "
        "of, relative to the config file. It runs once a text for all its heads.",
    )
    revision: Name | None = Field(
        None,
        description="Commit, tag or branch where path is a hub id; omitted: main. "
        "A full commit hash that is in the cache makes no network call.",
    )
    encoder_revision: Name | None = Field(
        None, description="Commit, tag or branch where encoder is a hub id; omitted: main."
    )
    max_predictions: Int | None = Field(
        None, ge=1, description="Cap on labels per text; omitted: all labels, with their scores."
    )
    label_filter: Labels | None = Field(
        None, description="Only these labels (exact); scores are not rescaled."
    )
    threshold: Float | None = Field(
        None,
        description="Predictions under it are dropped. Multi-label models default to 0.5, "
        "others to none.",
    )
    thresholds: dict[Name, Float] = Field({}, description="Exceptions to threshold, by label.")
    none_label: Name | None = Field(None, description="The answer when no prediction passes.")
    activation: Activation | None = Field(
        None, description="From logits to scores; omitted: what the export says."
    )
    labels: Labels | None = Field(
        None, description="Overrides id2label of the export; what a zero-shot model chooses from."
    )
    hypothesis_template: str = Field(
        "This example is {}.",
        description="Of a zero-shot NLI model: what a text may entail; {} stands for the label.",
    )
    multi_label: Bool = Field(
        False,
        description="Of a zero-shot model: whether several labels may hold for one text, so that "
        "each is scored by itself.",
    )
    on_long: OnLong = Field(
        "truncate",
        description="A text over max_length: cut it, answer it by overlapping windows, "
        "or fail its row.",
    )
    stride: Int | None = Field(
        None,
        ge=0,
        description="Tokens that a window shares with the one before it; omitted: 64, or a "
        "quarter of a window if that is less.",
    )
    pooling: Pooling = Field(
        "mean", description="How the scores of a text's windows become its score."
    )
    only_where: dict[Name, Labels] = Field(
        {},
        description="Classify only the texts to which each of these models, by name, gives one of "
        "these labels.",
    )
    max_length: Int | None = Field(
        None, ge=1, description="In tokens, special ones included; the model's own limit caps it."
    )
    token_budget: Int | None = Field(
        None,
        ge=1,
        description="Tokens in one call, padding included. It changes the speed and no score; "
        "omitted: what labelf optimize found, or 512.",
    )
    providers: Labels | None = Field(
        None,
        description="Execution providers of onnxruntime, the preferred one first; omitted: "
        "CPUExecutionProvider. One that is not there is an error.",
    )
    provider_options: dict[Name, Options] = Field(
        {}, description="Options of execution providers, by their names."
    )


_ZERO_SHOT_KEYS = ("hypothesis_template", "multi_label")


class ModelConfig(ModelDefaults):
    """One ``[[models]]`` entry."""

    name: Name = Field(description="Prefix of the model's output columns.")
    id: Int | None = Field(None, description="The model_id of the HTTP API.")
    display_name: Name | None = Field(
        None, description="The model_name of the HTTP API; omitted: the name."
    )
    path: Path = Field(
        description="Model folder or .onnx file, relative to the config file; or a hub id, "
        "owner/name, where there is no such folder."
    )

    @model_validator(mode="after")
    def _keys_of_its_kind(self) -> Self:
        if self.kind == "zero-shot":
            reasons = list(self._zero_shot_reasons())
        else:
            keys = [key for key in _ZERO_SHOT_KEYS if key in self.model_fields_set]
            reasons = [f'{key} needs kind = "zero-shot"' for key in keys]
        if reasons:
            raise ValueError("; ".join(reasons))
        return self

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


class Config(Settings):
    """A whole models.toml."""

    input: InputConfig = InputConfig()
    defaults: ModelDefaults = ModelDefaults()
    models: Annotated[tuple[ModelConfig, ...], Field(min_length=1)]

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
