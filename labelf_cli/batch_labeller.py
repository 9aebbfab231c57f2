"""The kernel for other engines: a function from record batches to record batches."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from threading import Lock

import pyarrow as pa

from labelf_cli.chunk import chunks, with_text
from labelf_cli.classifiers.folder import ModelFolder
from labelf_cli.classifiers.labels import labels_of
from labelf_cli.columns import ColumnGroup, Columns
from labelf_cli.config import Config, ModelConfig, hub_id
from labelf_cli.config_file import load_config
from labelf_cli.errors import ConfigError, InputError, did_you_mean
from labelf_cli.formats import Layout
from labelf_cli.labeller import Labeller

_CHUNK_ROWS, _CHUNK_BYTES = 4096, 4 << 20


@dataclass(frozen=True)
class BatchLabeller:
    """Record batches in, the same rows with the columns of ``labelf classify`` out.

    It holds plain settings, so it can be pickled; the models are loaded by the first call in each
    process, once for equal settings, and are shared by its threads.

    Attributes:
        config: the models.
        text_columns: what is classified; several are joined by a newline.
        layout: how answers stand beside the columns that come in. In the long layout ``row``
            counts the rows of one call.
        separator: between the parts of a column name.
        threads: size of the pool in each process.
        cache: file that keeps what models say across runs; None for none.
    """

    config: Config
    text_columns: tuple[str, ...]
    layout: Layout
    separator: str
    threads: int
    cache: Path | None

    def schema(self, rows: pa.Schema) -> pa.Schema:
        """The schema of what comes out, from that of what goes in; no graph is loaded.

        Labels are plain strings, since few engines take dictionaries.

        Raises:
            ConfigError: the labels of a model stand only inside its graph.
            InputError: a text column is missing, or a column of the output would stand there twice.
            UsageError: the models can't be used.
        """
        self._require_texts(rows)
        for model in self.config.models:
            if isinstance(model, ModelConfig):
                _require_labels(model)
        with Labeller.open(self.config, 1) as labeller:
            return self._schema(rows, self._columns(labeller))

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Classify rows as they come; those that come out are in the same order.

        Raises:
            LabelfError: see ``schema``; or a model can't be loaded, or breaks.
        """
        batches = iter(batches)
        first = next(batches, None)
        if first is None:
            return
        self._require_texts(first.schema)
        labeller = _LABELLERS.get(self)
        columns = self._columns(labeller)
        schema = self._schema(first.schema, columns)
        texts = (with_text(batch, self.text_columns) for batch in chain([first], batches))
        for chunk, answers in labeller.label(chunks(texts, _CHUNK_ROWS, _CHUNK_BYTES)):
            yield columns.build(chunk.first_row, chunk.rows, answers).cast(schema)
        labeller.flush()  # engines end their processes as they like

    def _columns(self, labeller: Labeller) -> Columns:
        groups = tuple(ColumnGroup(model.name, model.rules) for model in labeller.models)
        return Columns(groups, self.layout, self.separator)

    @staticmethod
    def _schema(rows: pa.Schema, columns: Columns) -> pa.Schema:
        schema = columns.schema(rows, rows.names)
        for position in range(len(rows), len(schema)):
            field = schema.field(position)
            schema = schema.set(position, field.with_type(_plain(field.type)))
        return schema

    def _require_texts(self, rows: pa.Schema) -> None:
        for name in self.text_columns:
            if name not in rows.names:
                raise InputError(f"no column '{name}'", todo=did_you_mean(name, list(rows.names)))


def _plain(kind: pa.DataType) -> pa.DataType:
    """A type without dictionaries."""
    if pa.types.is_dictionary(kind):
        return kind.value_type
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_plain(field.type)) for field in kind])
    return kind


def _require_labels(model: ModelConfig) -> None:
    """Refuse a model that has to be loaded to know its labels."""
    if model.labels is not None or hub_id(model.path) is not None:
        return
    folder = ModelFolder.find(model.path, model.file)
    is_pipeline = model.encoder is None and not folder.tokenizer.exists()  # its graph is read
    if not is_pipeline and labels_of(folder, None) is None:
        raise ConfigError(
            "its labels stand only inside its graph",
            where=f"model '{model.name}'",
            todo="Give labels in the config, so that the columns are known beforehand",
        )


class _Labellers:
    """Those of this process, loaded, one for each settings."""

    def __init__(self) -> None:
        self._loaded: dict[tuple[object, ...], Labeller] = {}
        self._lock = Lock()

    def get(self, settings: BatchLabeller) -> Labeller:
        """The one for some settings; the first caller loads it."""
        # Threads do not survive a fork, so a labeller does not.
        key = (os.getpid(), settings.config.model_dump_json(), settings.threads, settings.cache)
        with self._lock:
            if key not in self._loaded:
                opened = Labeller.open(settings.config, settings.threads, settings.cache)
                self._loaded[key] = opened.load()
            return self._loaded[key]


_LABELLERS = _Labellers()


def label_batches(  # noqa: PLR0913  # options, by name
    config: str | Path | Config,
    *,
    text_columns: Iterable[str] = (),
    layout: str = Layout.WIDE,
    separator: str = ".",
    threads: int = 1,
    cache: str | Path | None = None,
) -> BatchLabeller:
    """A function that classifies record batches, for engines that hand such to Python.

    Args:
        config: a ``models.toml``, or what is read from one.
        text_columns: what is classified; none for what the config says.
        layout: wide, nested or long.
        separator: between the parts of a column name.
        threads: size of the pool in each process; 1, since engines start a process a core.
        cache: file that keeps what models say across runs.

    Raises:
        ConfigError: the config can't be used.
    """
    if isinstance(text_columns, str):
        text_columns = (text_columns,)
    if not isinstance(config, Config):
        config = load_config(Path(config))
    return BatchLabeller(
        config,
        tuple(text_columns) or config.input.text_column,
        Layout(layout),
        separator,
        threads,
        None if cache is None else Path(cache).absolute(),
    )
