"""Write commands.md and config.md: every command's help and every key, as the code has them.

python docs/reference.py
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel
from typer.models import ArgumentInfo, OptionInfo

from labelf_cli.cli.main import app
from labelf_cli.config import (
    AnyModel,
    InputConfig,
    LabelfApiConfig,
    LlmConfig,
    ModelConfig,
    ServiceModel,
)

DOCS = Path(__file__).parent
_MADE = "<!-- Made by docs/reference.py from the code; what is changed here is lost. -->"


def main() -> None:
    """Write both pages."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), "utf-8")


# commands.md ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parameter:
    """An argument or an option of a command.

    Attributes:
        info: what typer is told of it.
        names: as they are given, ``--config`` and ``-c``, or the metavar of an argument.
        kind: its type.
        default: what it is where it is not given; ``inspect.Parameter.empty`` if it has to be.
    """

    info: OptionInfo | ArgumentInfo
    names: tuple[str, ...]
    kind: Any
    default: Any

    @property
    def required(self) -> bool:
        """Whether the command can't do without it."""
        return self.default is inspect.Parameter.empty

    @property
    def shown(self) -> str:
        """How it is given, in the first column."""
        if isinstance(self.info, ArgumentInfo):
            return f"`{self.names[0]}`"
        value = _value(self.info, self.kind)
        return f"`{', '.join(self.names)}{' ' + value if value else ''}`"

    @property
    def meaning(self) -> str:
        """Its help, and what holds where it is not given."""
        told = self.info.help or ""
        default = getattr(self.default, "value", self.default)
        if isinstance(self.info, OptionInfo) and self.required:
            return f"{told} Required."
        if self.required or default in (None, False, ()):
            return told
        return f"{told} Default: `{default}`."


def commands_page() -> str:
    """All commands with their help, arguments and options."""
    callbacks = [info.callback for info in app.registered_commands]
    parts = ["# Commands", _MADE, "`labelf COMMAND --help` tells the same on the terminal."]
    parts.append("\n".join(f"- [`labelf {_name(one)}`](#labelf-{_name(one)})" for one in callbacks))
    parts += (_section(callback) for callback in callbacks)
    parts.append(
        "What the exit codes mean stands in [classify.md](classify.md#exit-codes); they hold for "
        "all commands."
    )
    return "\n\n".join(parts) + "\n"


def _name(callback: Callable[..., Any] | None) -> str:
    assert callback is not None
    return callback.__name__


def _section(callback: Callable[..., Any] | None) -> str:
    assert callback is not None
    found = list(parameters(callback))
    arguments = [one for one in found if isinstance(one.info, ArgumentInfo)]
    options = [one for one in found if isinstance(one.info, OptionInfo)]
    needed = [f"{one.names[0]} {_value(one.info, one.kind)}" for one in options if one.required]
    usage = ["labelf", _name(callback), *needed, *(one.names[0] for one in arguments)]
    if len(options) > len(needed):
        usage.insert(2, "[OPTIONS]")
    told = inspect.getdoc(callback) or ""
    told = re.sub(r"^Example: (.*)$", r"```sh\n\1\n```", told, flags=re.MULTILINE)
    lines = [f"| {one.shown} | {one.meaning} |" for one in (*arguments, *options)]
    table = "\n".join(["| | |", "|---|---|", *(line.replace("N|P%", r"N\|P%") for line in lines)])
    parts = [f"## labelf {_name(callback)}", f"`{' '.join(usage)}`", told]
    return "\n\n".join([*parts, table] if lines else parts)


def parameters(callback: Callable[..., Any]) -> Iterator[Parameter]:
    """What a command takes, as its signature says."""
    hints = get_type_hints(callback, include_extras=True)
    for name, parameter in inspect.signature(callback).parameters.items():
        kind, info = get_args(hints[name])[:2]
        assert isinstance(info, (ArgumentInfo, OptionInfo))
        yield Parameter(info, _names(info, name), kind, parameter.default)


def _names(info: OptionInfo | ArgumentInfo, name: str) -> tuple[str, ...]:
    if isinstance(info, ArgumentInfo):
        return (info.metavar or name.upper(),)
    # In an annotation the first of them stands where a default would.
    first = (info.default,) if isinstance(info.default, str) else ()
    names = (*first, *(info.param_decls or ()))
    return names or (f"--{name.replace('_', '-')}",)


def _value(info: OptionInfo | ArgumentInfo, kind: Any) -> str:  # noqa: ANN401  # any annotation
    """What stands behind an option's name."""
    kind = next((one for one in get_args(kind) if one is not NoneType), kind)
    if kind is bool:
        return ""
    if info.metavar:
        return info.metavar
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return "|".join(kind).replace("|", r"\|")
    return {int: "N", float: "NUMBER", str: "TEXT", Path: "PATH"}[kind]


# config.md --------------------------------------------------------------------------------------


_REFUSED = (
    "A key that is unknown or wrong is refused, by name, before anything runs. `labelf schema` "
    "prints the same as a JSON Schema, for completion in editors. Paths are relative to the file."
)
_DEFAULTS = (
    "`[defaults]` takes every key of `[[models]]` but `name`, `display_name`, `id` and `path`; a "
    "model takes those that its kind has, and its own value wins."
)


def config_page() -> str:
    """All keys of a models.toml, by the section and the kinds of model that have them."""
    common = set(AnyModel.model_fields)
    service = set(ServiceModel.model_fields)
    sections: dict[str, tuple[str, type[BaseModel], set[str]]] = {
        "[input]": ("", InputConfig, set()),
        "[[models]]: every kind": ("", AnyModel, set()),
        "[[models]]: those that run here": (
            '`kind = "classifier"`, the default, or `"zero-shot"`; see [models.md](models.md).',
            ModelConfig,
            common,
        ),
        "[[models]]: those that a service answers for": (
            '`kind = "labelf-api"` or `"llm"`; see [services.md](services.md).',
            ServiceModel,
            common,
        ),
        '[[models]]: kind = "labelf-api"': ("", LabelfApiConfig, service),
        '[[models]]: kind = "llm"': ("", LlmConfig, service),
    }
    parts = [
        "# Keys of a models.toml",
        _MADE,
        _REFUSED,
        _DEFAULTS,
    ]
    for title, (told, model, known) in sections.items():
        parts += [f"## {title}", *([told] if told else []), _keys(model, known)]
    return "\n\n".join(parts) + "\n"


_FIRST = ("name", "kind", "path", "base_url", "model_id", "model")


def _keys(model: type[BaseModel], known: set[str]) -> str:
    schema = model.model_json_schema()
    needed = schema.get("required", [])
    lines = ["| key | value | meaning |", "|---|---|---|"]
    leading = [key for key in _FIRST if key in schema["properties"]]
    for key in dict.fromkeys([*leading, *schema["properties"]]):
        its = schema["properties"][key]
        if key not in known:
            told = [its["description"], *_default(its, key in needed)]
            lines.append(f"| `{key}` | {_type(its)} | {' '.join(told)} |")
    return "\n".join(lines)


def _default(its: Mapping[str, Any], needed: bool) -> Iterator[str]:
    value = its.get("default")
    if needed:
        yield "Required."
    elif value not in (None, {}, "", False) and "omitted" not in its["description"]:
        shown = value[0] if isinstance(value, list) else value
        yield f"Default: `{shown}`."


def _type(its: Mapping[str, Any]) -> str:
    """What may stand there, in words."""
    if "const" in its:
        return f"`{its['const']}`"
    if "enum" in its:
        return " or ".join(f"`{value}`" for value in its["enum"])
    if "anyOf" in its:
        return " or ".join(_type(one) for one in its["anyOf"] if one.get("type") != "null")
    if its["type"] == "array":
        return f"array of {_type(its['items'])}s"
    return str({"object": "table", "boolean": "true or false"}.get(its["type"], its["type"]))


PAGES: Mapping[str, Callable[[], str]] = {"commands.md": commands_page, "config.md": config_page}

if __name__ == "__main__":
    main()
