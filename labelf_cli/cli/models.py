"""``labelf models``."""

from collections import Counter
from typing import TYPE_CHECKING

from labelf_cli.cli.options import ConfigFile, ModelNames

if TYPE_CHECKING:
    from rich.table import Table

    from labelf_cli.classifiers.interface import Batching, Because, Group, Model
    from labelf_cli.labeller import Labeller


def models(config: ConfigFile, model: ModelNames = None) -> None:
    """Load each model of the config and show what labelf understood of it, and why.

    Example: labelf models --config models.toml
    """
    from labelf_cli.config_file import load_config
    from labelf_cli.labeller import Labeller

    with Labeller.open(load_config(config).only(tuple(model or ())), threads=1) as labeller:
        _show(labeller.load())


def _show(labeller: "Labeller") -> None:
    from labelf_cli.cli.console import StdoutConsole

    console = StdoutConsole()
    users = Counter(group.tokenizer.digest for group in labeller.groups)
    for group, batching in zip(labeller.groups, labeller.batching, strict=True):
        for model in group.models:
            console.print(_table(group, model, batching, users[group.tokenizer.digest]))


def _shared(group: "Group") -> str:
    """Which models one run answers, where it is more than one."""
    names = ", ".join(model.name for model in group.models)
    return f"one run answers {names}" if len(group.models) > 1 else ""


def _long_texts(group: "Group", model: "Model") -> str:
    """What becomes of a text over the maximum length."""
    if group.stride is None:
        return {"error": "fail their row"}.get(model.on_long, "are cut")
    return f"windows that share {group.stride} tokens, pooled by {model.pooling}"


def _temperature(model: "Model") -> tuple[str, str]:
    """What divides the logits, and why."""
    return f"{model.temperature:g}", "calibration_temperature in the config"


def _asked(model: "Model") -> str:
    """For which texts a model is asked."""
    its = (f"{name} is {' or '.join(labels)}" for name, labels in model.only_where.items())
    return f"where {' and '.join(its)}"


def _table(group: "Group", model: "Model", batching: "Because[Batching]", users: int) -> "Table":
    from rich.text import Text

    from labelf_cli.cli.tables import facts_table

    shared = f"shared by {users} models" if users > 1 else "shared with none"
    rows = {
        "id": ("-" if model.id is None else str(model.id), ""),
        f"{len(model.labels.value)} labels": (", ".join(model.labels.value), model.labels.rule),
        "activation": model.activation,
        **({"temperature": _temperature(model)} if model.temperature != 1 else {}),
        **group.explained,
        "runs in": (batching.value.value, batching.rule),
        "max length": (str(group.max_length.value or "none"), group.max_length.rule),
        **({"long texts": (_long_texts(group, model), "")} if group.max_length.value else {}),
        **({"asked": (_asked(model), "only_where in the config")} if model.only_where else {}),
        "tokenizer": (group.tokenizer.digest[:12], shared),
        "size": (f"{group.num_bytes / 1e6:.1f} MB", _shared(group)),
    }
    facts = {
        name: Text.assemble(value, (f" ({rule})" if rule else "", "dim"))
        for name, (value, rule) in rows.items()
    }
    return facts_table(model.name, facts)
