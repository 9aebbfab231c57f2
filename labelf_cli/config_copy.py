"""A copy of a models.toml with other values, its comments and its order kept."""

import os
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import tomlkit
from tomlkit.items import InlineTable

from labelf_cli.config import ModelConfig, hub_id
from labelf_cli.config_file import located
from labelf_cli.errors import OutputError

_PATHS = [
    name
    for name, its in ModelConfig.model_fields.items()
    if Path in (its.annotation, *get_args(its.annotation))
]
_REVISIONS = {"path": "revision", "encoder": "encoder_revision"}


@dataclass(frozen=True)
class Changes:
    """New values of one model's keys.

    Attributes:
        temperature: calibration_temperature; None to leave it.
        thresholds: by label, beside those that are there.
    """

    temperature: float | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)


def changed_copy(source: Path, target: Path, changes: Mapping[str, Changes]) -> str:
    """The text of the copy; relative paths are right from the folder of the target.

    Args:
        source: a config that is valid.
        target: where the copy will stand.
        changes: by model.
    """
    document = tomlkit.parse(source.read_text("utf-8"))
    folders = source.resolve().parent, target.resolve().parent
    for section in _sections(document):
        if folders[0] != folders[1]:
            _move_paths(section, *folders)
        if (its := changes.get(str(section.get("name", "")))) is not None:
            _change(section, its)
    return tomlkit.dumps(document)


def write_copy(text: str, target: Path) -> None:
    """Write the copy; it appears whole.

    Raises:
        OutputError: it can't be written.
    """
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        draft.write_text(text, "utf-8")
        draft.replace(target)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise OutputError(
            f"can't be written ({error.strerror})", where=target, todo="Choose another -o"
        ) from None


def require_place(source: Path, target: Path) -> None:
    """Refuse a place where the copy can't stand, before anything is computed.

    Raises:
        OutputError: it is the config itself, or its folder is absent or can't be written to.
    """
    if target.resolve() == source.resolve():
        raise OutputError("is the config itself", where=target, todo="Choose another -o")
    if target.is_dir() or not os.access(target.resolve().parent, os.W_OK):
        raise OutputError("can't be written", where=target, todo="Choose another -o")


def _sections(document: MutableMapping[str, Any]) -> Iterator[MutableMapping[str, Any]]:
    if "defaults" in document:
        yield document["defaults"]
    yield from document["models"]


def _move_paths(section: MutableMapping[str, Any], old: Path, new: Path) -> None:
    for key in _PATHS:
        if key not in section or Path(section[key]).is_absolute():
            continue
        path = located(Path(section[key]), section.get(_REVISIONS.get(key, "")), old)
        if hub_id(path) is None:
            section[key] = Path(os.path.relpath(path, new)).as_posix()


def _change(section: MutableMapping[str, Any], changes: Changes) -> None:
    if changes.temperature is not None:
        section["calibration_temperature"] = changes.temperature
    if changes.thresholds and "thresholds" not in section:
        inline = isinstance(section, InlineTable)
        section["thresholds"] = tomlkit.inline_table() if inline else tomlkit.table()
    for label, threshold in changes.thresholds.items():
        section["thresholds"][label] = threshold
