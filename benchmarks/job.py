"""What a contender is given, and what it gives back."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from labelf_cli.config import Config

WORK = Path(__file__).parent / "work"
"""Where ``make_models`` puts models and tables."""

MAX_LENGTH = 512
"""Tokens of a text that are looked at."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Job:
    """What is to be scored by what.

    Attributes:
        shape: of the models.
        table: name of the texts.
    """

    shape: str
    table: str

    @property
    def csv(self) -> Path:
        """The table."""
        return WORK / f"{self.table}.csv"

    def folders(self, form: str) -> list[Path]:
        """The folders of the models, in the order of their names."""
        return sorted((WORK / self.shape / form).iterdir())

    def config(self, form: str) -> Config:
        """The models for labelf, all labels of each."""
        models = [{"name": folder.name, "path": folder} for folder in self.folders(form)]
        return Config.model_validate({"models": models})


@dataclass(frozen=True)
class Outcome:
    """What a contender did.

    Attributes:
        seconds: loading aside.
        scores: of each model, [texts × labels]; none where a contender ends at the encoder.
    """

    seconds: float
    scores: list[Floats]
