"""Execution providers: which of onnxruntime's back ends run a graph."""

from dataclasses import dataclass
from typing import Self

import onnxruntime as ort

from labelf_cli.classifiers.interface import Because
from labelf_cli.config import ModelConfig
from labelf_cli.errors import ConfigError


@dataclass(frozen=True)
class Providers:
    """Execution providers, the preferred one first.

    Attributes:
        asked: name and options of each; onnxruntime takes options as text.
    """

    asked: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]

    @classmethod
    def of(cls, config: ModelConfig) -> Self:
        """Those that a model asks for."""
        options = {
            name: tuple(sorted((key, str(value)) for key, value in its.items()))
            for name, its in config.provider_options.items()
        }
        return cls(tuple((name, options.get(name, ())) for name in config.providers or CPU.names))

    @property
    def decides(self) -> tuple[object, ...]:
        """What they decide of the bits of an answer; nothing for the default."""
        return () if self == CPU else self.asked

    @property
    def explained(self) -> dict[str, Because[str]]:
        """For people, where they are not the default."""
        return {"providers": Because(str(self), "providers in the config")} if self.decides else {}

    @property
    def names(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(name for name, _ in self.asked)

    def for_session(self) -> list[tuple[str, dict[str, str]]]:
        """As onnxruntime takes them."""
        return [(name, dict(options)) for name, options in self.asked]

    def require(self, model: str) -> None:
        """Refuse those that this onnxruntime is built without; it would tell so on stdout.

        Raises:
            ConfigError: it names those that there are.
        """
        present = ort.get_available_providers()
        absent = ", ".join(name for name in self.names if name not in present)
        if absent:
            raise ConfigError(
                f"onnxruntime has no {absent} here; it has {', '.join(present)}",
                where=f"model '{model}', providers",
                todo="Correct providers in the config, or install the onnxruntime that has it",
            )

    def __str__(self) -> str:
        """For people: names, with options in parentheses."""
        return ", ".join(
            name + (f" ({', '.join(map(' = '.join, options))})" if options else "")
            for name, options in self.asked
        )


CPU = Providers((("CPUExecutionProvider", ()),))
"""What runs a graph where nothing else is asked for."""
