"""labelf: classify every text of a table with several models in one pass."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labelf_cli.batch_labeller import label_batches as label_batches

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:  # noqa: ANN401  # as the module says
    """What others import from here; loaded when it is asked for, since that takes a while."""
    if name == "label_batches":
        return import_module("labelf_cli.batch_labeller").label_batches
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
