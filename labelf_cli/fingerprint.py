"""What decides the bytes of a run's output, and nothing else."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from labelf_cli import __version__
from labelf_cli.classifiers.interface import Model
from labelf_cli.labeller import Labeller
from labelf_cli.run_settings import RunSettings
from labelf_cli.storage.names import InputName
from labelf_cli.storage.reading import concurrently, open_object, read_before_the_run, state_of
from labelf_cli.storage.uri import Uri

_ENDS_BYTES = 1 << 20


def of_run(settings: RunSettings, names: Sequence[str], labeller: Labeller) -> dict[str, Any]:
    """What decides the rows of a run, wherever they go.

    Args:
        settings: of the run.
        names: of the inputs.
        labeller: has the models; they need not be loaded.

    Raises:
        InputError: an input is not there.
    """
    return {
        "versions": of_versions(),
        "inputs": list(concurrently(of_input, names)),
        "models": of_models(labeller.models, labeller.digests),
        "text columns": settings.text_columns or settings.config.input.text_column,
        "input format": settings.input_format,
        "delimiter": settings.delimiter,
        "encoding": settings.encoding,
        "header": settings.header,
        "layout": settings.layout,
        "separator": settings.separator,
    }


def of_input(name: str) -> dict[str, Any]:
    """A file or an object by its size, its time, and the hash of its first and its last MiB."""
    known = InputName.of(name)
    folders = {"folders": [list(pair) for pair in known.partitions]} if known.partitions else {}
    return (_of_file(known) if known.uri is None else _of_object(known.uri)) | folders


def _of_object(uri: Uri) -> dict[str, Any]:
    state = state_of(uri)
    digest = hashlib.sha256()
    with read_before_the_run(uri), open_object(uri) as file:
        digest.update(file.read(_ENDS_BYTES))
        file.seek(max(state.size - _ENDS_BYTES, 0))
        digest.update(file.read(_ENDS_BYTES))
    return {
        "name": str(uri),
        "bytes": state.size,
        "modified": _time(state.modified),
        "version": state.etag,
        "sha256 of its ends": digest.hexdigest(),
    }


def _of_file(name: str) -> dict[str, Any]:
    status = Path(name).stat()
    digest = hashlib.sha256()
    with Path(name).open("rb") as file:
        digest.update(file.read(_ENDS_BYTES))
        file.seek(max(status.st_size - _ENDS_BYTES, 0))
        digest.update(file.read(_ENDS_BYTES))
    return {
        "name": str(Path(name).absolute()),
        "bytes": status.st_size,
        "modified": _time(status.st_mtime_ns),
        "sha256 of its ends": digest.hexdigest(),
    }


def of_models(models: Sequence[Model], digests: Sequence[str]) -> dict[str, Any]:
    """Each model by the hash of its files and by what becomes of its logits."""
    return {
        model.name: {
            "files": digest,
            "labels": list(model.labels.value),
            "activation": model.activation.value,
            "calibration temperature": model.temperature,
            "long texts": model.on_long,
            "only where": {name: list(labels) for name, labels in model.only_where.items()},
            "accepts": _plain(vars(model.rules)),
        }
        for model, digest in zip(models, digests, strict=True)
    }


def of_versions() -> dict[str, str]:
    """What else computes: labelf, and the libraries that make scores and bytes."""
    return {"labelf": __version__, "numpy": np.__version__, "pyarrow": pa.__version__}


def _time(nanoseconds: int) -> str:
    """A time in UTC, with all its digits."""
    seconds, rest = divmod(nanoseconds, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{rest:09}"


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """What JSON has: a threshold that nothing is under is null."""
    return {
        name: [None if its == -math.inf else its for its in value.tolist()]
        if isinstance(value, np.ndarray)
        else value
        for name, value in values.items()
    }
