"""From the hub ids of a config to folders on disk."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from labelf_cli.config import ModelConfig, hub_id
from labelf_cli.errors import extra


def on_disk(models: Sequence[ModelConfig]) -> tuple[ModelConfig, ...]:
    """The models with folders of the hub's cache in the place of hub ids.

    A revision is resolved once, so that all models of a branch are of one commit.

    Raises:
        ModelError: a repository can't be had, or has no graph to choose.
        UsageError: the extra ``hub`` is missing.
    """
    paths = {path for model in models for path in (model.path, model.encoder) if path is not None}
    on_hub = sorted(name for name in map(hub_id, paths) if name is not None)
    if not on_hub:
        return tuple(models)
    with extra("hub", f"{on_hub[0]}, which is no folder here but may be on the hub,"):
        # Not everybody has it, and it is heavy.
        from labelf_cli.classifiers.hub_repository import Repository  # noqa: PLC0415
    repository = cache(Repository)

    def local(path: Path, revision: str | None, file: str | None) -> Path:
        name = hub_id(path)
        return path if name is None else repository(name, revision).fetch_graph(file)

    def located(model: ModelConfig) -> ModelConfig:
        path = local(model.path, model.revision, model.file)
        encoder = model.encoder and local(model.encoder, model.encoder_revision, None)
        return model.model_copy(update={"path": path, "encoder": encoder})

    return tuple(map(located, models))
