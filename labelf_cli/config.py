"""models.toml: the one file that says which models classify the texts, and how.

The file is validated once, here; everything behind this door gets frozen settings.
"""

import re
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
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

_HUB_ID = re.compile(r"(?!.*(--|\.\.))\w[\w.-]*/\w[\w.-]*(?<![.-])(?<!\.onnx)", re.ASCII)
"""``owner/name``, by the rule of huggingface_hub's ``validate_repo_id``."""


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
    """``[defaults]``: every model key but name, id and path; a model's own value wins."""

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


def load_config(path: Path) -> Config:
    """Read and validate a config file; relative model paths are resolved against its folder.

    What is relative after that is a hub id (see ``hub_id``).

    Raises:
        ConfigError: the file is absent, not TOML, or has bad fields; all of them are named.
    """
    try:
        with path.open("rb") as file:
            raw = tomllib.load(file)
    except OSError as error:
        raise ConfigError(
            f"can't be read ({error.strerror})", where=path, todo="Name a TOML file with --config"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"not valid TOML: {error}", where=path) from None
    try:
        config = Config.model_validate(_with_defaults(raw))
    except ValidationError as error:
        errors = _without_echoes([dict(item) for item in error.errors()], raw)
        lines = "".join(f"\n  {_explain(item)}" for item in errors)
        raise ConfigError(f"the config can't be used:{lines}", where=path) from None
    folder = path.resolve().parent
    models = tuple(_resolved(model, folder) for model in config.models)
    _refuse_idle(models, raw, path)
    return config.model_copy(update={"models": models})


def hub_id(path: Path) -> str | None:
    """The hub id that a path of a loaded config stands for, None for a path of a file system."""
    return None if path.is_absolute() else path.as_posix()


def _resolved(model: ModelConfig, folder: Path) -> ModelConfig:
    path = _located(model.path, model.revision, folder)
    encoder = model.encoder and _located(model.encoder, model.encoder_revision, folder)
    return model.model_copy(update={"path": path, "encoder": encoder})


def _located(path: Path, revision: str | None, folder: Path) -> Path:
    """Absolute; a hub id is left as it is.

    What stands in the config's folder is no hub id. Nor is what is missing from a folder there,
    unless a revision is given: a slip of the pen should ask nobody.
    """
    local = folder / path
    is_local = local.exists() or (revision is None and local.parent.is_dir())
    return local if is_local or not _HUB_ID.fullmatch(path.as_posix()) else path


_BELONGS_TO = {"revision": "path", "encoder_revision": "encoder", "provider_options": "providers"}
"""Keys that say more of another. Where both are defaults, a model's own value replaces both."""


def _refuse_idle(models: tuple[ModelConfig, ...], raw: dict[str, Any], where: Path) -> None:
    """Refuse what is said and would do nothing: a model that is pinned would not be what runs.

    A default that stands alone may be idle in some models.
    """
    defaults = raw.get("defaults", {})

    def counts(key: str, own: dict[str, Any]) -> bool:
        of = _BELONGS_TO[key]
        return key in own or (key in defaults and of in defaults and of not in own)

    idle = [
        f"\n  models[{number}].{key}: {reason}"
        for number, (model, own) in enumerate(zip(models, raw["models"], strict=True))
        for key in _BELONGS_TO
        if counts(key, own) and (reason := _idle(model, key))
    ]
    if idle:
        raise ConfigError(f"the config can't be used:{''.join(idle)}", where=where)


def _idle(model: ModelConfig, key: str) -> str:
    """Why a key that a model has does nothing; empty if it does."""
    if key == "provider_options":
        strangers = sorted(set(model.provider_options) - set(model.providers or ()))
        return f"{', '.join(strangers)} is not among the providers" if strangers else ""
    path = model.path if key == "revision" else model.encoder
    if path is None:
        return "there is no encoder"
    return "" if hub_id(path) else f"{path} is no hub id, which alone has revisions"


def _with_defaults(raw: dict[str, Any]) -> dict[str, Any]:
    """Put the values of ``[defaults]`` under those of each model."""
    defaults, models = raw.get("defaults", {}), raw.get("models", [])
    if not (isinstance(defaults, dict) and isinstance(models, list)):
        return raw
    known = {key: value for key, value in defaults.items() if key in ModelDefaults.model_fields}
    return raw | {"models": [_over(known, m) if isinstance(m, dict) else m for m in models]}


def _over(known: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """A model's own values over those of the defaults."""
    replaced = {key for key, of in _BELONGS_TO.items() if of in known and of in own}
    return {key: value for key, value in known.items() if key not in replaced} | own


_SECTIONS: dict[str, type[BaseModel]] = {
    "input": InputConfig,
    "defaults": ModelDefaults,
    "models": ModelConfig,
}


def _without_echoes(errors: list[dict[str, Any]], raw: dict[str, Any]) -> list[dict[str, Any]]:
    """Leave out what only repeats another error.

    A bad default shows again in every model that takes it, and a list of models whose entries are
    all bad counts as an empty one.
    """

    def is_echo(error: dict[str, Any]) -> bool:
        section, *rest = error["loc"] or ("",)
        if section != "models":
            return False
        if not rest:
            return bool(error["type"] == "too_short" and raw.get("models"))
        own = raw["models"][rest[0]]
        key = rest[1] if len(rest) > 1 else None
        return key in ModelDefaults.model_fields and isinstance(own, dict) and key not in own

    return [error for error in errors if not is_echo(error)]


def _explain(error: dict[str, Any]) -> str:
    """One line ``path: reason`` for one of pydantic's errors."""
    location = [part for part in error["loc"] if not str(part).startswith("function-")]
    path = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in location).lstrip(".")
    if error["type"] == "extra_forbidden":
        section = _SECTIONS[str(location[0])] if len(location) > 1 else Config
        hint = did_you_mean(str(location[-1]), list(section.model_fields))
        return f"{path}: unknown key. {hint}"
    reason = error["msg"].removeprefix("Value error, ")
    return f"{path}: {reason}" if path else reason
