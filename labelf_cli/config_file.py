"""models.toml on disk: read and validated once, here; behind this door settings are frozen."""

import re
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from labelf_cli.config import (
    MODEL_OF_KIND,
    AnyModel,
    Config,
    InputConfig,
    ModelConfig,
    ModelDefaults,
    hub_id,
    keys_of_kind,
)
from labelf_cli.errors import ConfigError, did_you_mean

_HUB_ID = re.compile(r"(?!.*(--|\.\.))\w[\w.-]*/\w[\w.-]*(?<![.-])(?<!\.onnx)", re.ASCII)
"""``owner/name``, by the rule of huggingface_hub's ``validate_repo_id``."""


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


def _resolved(model: AnyModel, folder: Path) -> AnyModel:
    if not isinstance(model, ModelConfig):
        return model
    path = located(model.path, model.revision, folder)
    encoder = model.encoder and located(model.encoder, model.encoder_revision, folder)
    return model.model_copy(update={"path": path, "encoder": encoder})


def located(path: Path, revision: str | None, folder: Path) -> Path:
    """Absolute; a hub id is left as it is.

    What stands in the config's folder is no hub id. Nor is what is missing from a folder there,
    unless a revision is given: a slip of the pen should ask nobody.
    """
    local = folder / path
    is_local = local.exists() or (revision is None and local.parent.is_dir())
    return local if is_local or not _HUB_ID.fullmatch(path.as_posix()) else path


_BELONGS_TO = {"revision": "path", "encoder_revision": "encoder", "provider_options": "providers"}
"""Keys that say more of another. Where both are defaults, a model's own value replaces both."""


def _refuse_idle(models: tuple[AnyModel, ...], raw: dict[str, Any], where: Path) -> None:
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
        if isinstance(model, ModelConfig)
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
    return raw | {"models": [_over(defaults, m) if isinstance(m, dict) else m for m in models]}


def _over(defaults: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """A model's own values over those of the defaults that its kind has."""
    kind = own.get("kind", defaults.get("kind", "classifier"))
    kept = keys_of_kind(kind) | {"kind"}
    kept -= {key for key, of in _BELONGS_TO.items() if of in defaults and of in own}
    return {key: value for key, value in defaults.items() if key in kept} | own


_SECTIONS: dict[str, type[BaseModel]] = {
    **{model.__name__: model for model in MODEL_OF_KIND.values()},
    "input": InputConfig,
    "defaults": ModelDefaults,
}


def _without_echoes(errors: list[dict[str, Any]], raw: dict[str, Any]) -> list[dict[str, Any]]:
    """Leave out what only repeats another error.

    A bad default shows again in every model that takes it, and a list of models whose entries are
    all bad counts as an empty one.
    """

    def is_echo(error: dict[str, Any]) -> bool:
        section, *rest = _location(error) or [""]
        if section != "models":
            return False
        if not rest:
            return bool(error["type"] == "too_short" and raw.get("models"))
        own = raw["models"][rest[0]]
        key = rest[1] if len(rest) > 1 else None
        return key in ModelDefaults.model_fields and isinstance(own, dict) and key not in own

    return [error for error in errors if not is_echo(error)]


def _location(error: dict[str, Any]) -> list[Any]:
    """Where it stands in the file: sections, numbers, keys."""
    marks = {model.__name__ for model in MODEL_OF_KIND.values()}
    return [p for p in error["loc"] if p not in marks and not str(p).startswith("function-")]


def _explain(error: dict[str, Any]) -> str:
    """One line ``path: reason`` for one of pydantic's errors."""
    location = _location(error)
    path = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in location).lstrip(".")
    if error["type"] == "extra_forbidden":
        section = next((_SECTIONS[p] for p in error["loc"] if p in _SECTIONS), Config)
        hint = did_you_mean(str(location[-1]), list(section.model_fields))
        return f"{path}: unknown key. {hint}"
    if error["type"] == "literal_error" and location[-1] == "kind":
        return f"{path}: unknown kind. {did_you_mean(str(error['input']), list(MODEL_OF_KIND))}"
    reason = error["msg"].removeprefix("Value error, ")
    return f"{path}: {reason}" if path else reason
