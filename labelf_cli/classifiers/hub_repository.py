"""What is needed of a repository on the Hugging Face hub, fetched into the hub's own cache.

Whatever the environment says to huggingface_hub holds: ``HF_HOME``, ``HF_TOKEN``,
``HF_HUB_OFFLINE``, ``HF_ENDPOINT``, its timeouts. Where the hub can't be reached, its cache has to
do, as for all that uses huggingface_hub.
"""

import logging
import os
import posixpath
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from huggingface_hub import constants, get_cached_repo_tree, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    CachedRepoTreeNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils.tqdm import disable_progress_bars

from labelf_cli.classifiers.external_data import external_locations
from labelf_cli.classifiers.files import read_json
from labelf_cli.classifiers.folder import SETFIT, TOKENIZER, choose_graph
from labelf_cli.classifiers.tuning import TUNING
from labelf_cli.errors import ModelError

_log = logging.getLogger(__name__)

if constants.HF_HUB_DISABLE_PROGRESS_BARS is None:  # the core prints nothing that nobody asked for
    disable_progress_bars()
logging.getLogger("huggingface_hub").handlers.clear()  # the command's own has its form

_COMMIT = re.compile(r"[0-9a-f]{40}")
_A_FOLDER = "name a folder that is there"
_ONCE_ONLINE = f"Run labelf models once with network, or {_A_FOLDER}"

_TEXTS = (
    "config.json",
    "modules.json",
    "sentence_bert_config.json",
    "tokenizer_config.json",
    SETFIT,
    TOKENIZER,
    TUNING,
)
"""What is read of a model beside its graph."""


class Repository:
    """One commit of a repository: its texts are on disk, graphs come when they are asked for."""

    def __init__(self, name: str, revision: str | None) -> None:
        """Resolve the revision and fetch the texts.

        Args:
            name: ``owner/name``.
            revision: commit, tag or branch; None for the branch ``main``.

        Raises:
            ModelError: it can't be had.
        """
        self._name = name
        self._where = f"{name} on the hub" + (f" at {revision}" if revision else "")
        self._folder = self._fetch_texts(revision or constants.DEFAULT_REVISION)
        files = self._listing(self._folder.name)
        # Another program filled the cache and the hub can't be asked: what is there has to do.
        self._files = self._on_disk() if files is None else files

    def fetch_graph(self, file: str | None) -> Path:
        """Folder of the commit's files, among them a graph and all that is read with it.

        Args:
            file: which graph; None for the usual one.

        Raises:
            ModelError: it can't be had, or there is none to choose.
        """
        graph = choose_graph(self._files, self._where) if file is None else file
        if graph not in self._files:
            graphs = ", ".join(sorted(name for name in self._files if name.endswith(".onnx")))
            raise ModelError(
                f"no file '{graph}' in the repository; of .onnx files it has: {graphs or 'none'}",
                where=self._where,
                todo="Correct file in the config",
            )
        self._fetch({graph, *self._module_configs()})
        self._fetch(self._external_data(graph))
        return self._folder

    def _module_configs(self) -> set[str]:
        """Files with the settings of sentence-transformers' modules, as ``modules.json`` names."""
        with suppress(AttributeError, TypeError):  # what it should be is said where it is read
            modules = read_json(self._folder / "modules.json", self._folder)
            return {f"{module.get('path')}/config.json" for module in modules}
        return set()

    def _external_data(self, graph: str) -> set[str]:
        with suppress(ValueError):  # what is no graph is refused where it is read
            locations = map(os.fsdecode, external_locations(self._folder / graph))
            beside = posixpath.dirname(graph)
            return {posixpath.normpath(posixpath.join(beside, place)) for place in locations}
        return set()

    def _fetch_texts(self, revision: str) -> Path:
        """Folder of the commit's files, among them those texts that the repository has.

        A commit whose files are known is looked for in the cache first: the client asks the hub for
        other things beside files.
        """
        fetch = partial(
            snapshot_download, self._name, revision=revision, allow_patterns=list(_TEXTS)
        )
        with _explained(self._where):
            if self._listing(revision) is not None:
                with suppress(LocalEntryNotFoundError):
                    return Path(fetch(local_files_only=True))
            _log.info("%s: asking for it", self._where)
            return Path(fetch())

    def _fetch(self, names: set[str]) -> None:
        """Fetch files, as far as the repository has them and the cache does not.

        One after the other in this thread, which a signal ends; the client's threads go on.
        """
        for name in sorted(names & self._files):
            if not (self._folder / name).is_file():
                _log.info("%s: fetching %s", self._where, name)
                with _explained(self._where):
                    hf_hub_download(self._name, name, revision=self._folder.name)

    def _listing(self, commit: str) -> frozenset[str] | None:
        """Names of a commit's files as the cache knows them; None if it does not."""
        if not _COMMIT.fullmatch(commit):
            return None
        try:
            return frozenset(
                file.path for file in get_cached_repo_tree(self._name, revision=commit)
            )
        except CachedRepoTreeNotFoundError:
            return None

    def _on_disk(self) -> frozenset[str]:
        """Names of the files that there are.

        Raises:
            ModelError: no graph is among them.
        """
        files = (path for path in self._folder.rglob("*") if path.is_file())
        names = frozenset(path.relative_to(self._folder).as_posix() for path in files)
        if not any(name.endswith(".onnx") for name in names):
            raise ModelError(
                f"no .onnx file of it is in the cache, {constants.HF_HUB_CACHE}, "
                "and the hub can't be asked",
                where=self._where,
                todo=_ONCE_ONLINE,
            )
        return names


_REASONS: tuple[tuple[type[BaseException], str, str], ...] = (
    (
        OfflineModeIsEnabled,
        "not all that is needed of it is in the cache, {cache}, and HF_HUB_OFFLINE is set",
        _ONCE_ONLINE,
    ),
    (GatedRepoError, "a gated repository", "Ask for access on its page, and set HF_TOKEN"),
    (
        RepositoryNotFoundError,
        "no such repository, or a private one",
        f"Correct it in the config, or {_A_FOLDER}; for a private one set HF_TOKEN",
    ),
    (RevisionNotFoundError, "no such commit, tag or branch", "Correct the revision in the config"),
    (
        HfHubHTTPError,
        "{endpoint} answers with status {status}",
        "Check the name, and HF_TOKEN, where that is 401 or 403; else try again later",
    ),
    (
        Exception,  # of HTTP, of the file system, of huggingface_hub: they have no other base
        "can't be fetched from {endpoint} into {cache} ({error})",
        f"Check the network and the disk, or {_A_FOLDER}",
    ),
)
"""What is wrong and what to do, by what huggingface_hub raises; the first that fits holds."""


@contextmanager
def _explained(where: str) -> Iterator[None]:
    """Turn what huggingface_hub raises into what a user can act on."""
    try:
        yield
    except Exception as raised:
        error = raised.__cause__ if isinstance(raised, LocalEntryNotFoundError) else None
        error = error or raised
        what, todo = next(its for kind, *its in _REASONS if isinstance(error, kind))
        what = what.format(
            cache=constants.HF_HUB_CACHE,
            endpoint=constants.ENDPOINT,
            status=error.response.status_code if isinstance(error, HfHubHTTPError) else "",
            error=f"{type(error).__name__}: {error}",
        )
        raise ModelError(what, where=where, todo=todo) from None
