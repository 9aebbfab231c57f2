"""What options let a user choose between, where it costs no heavy import."""

from enum import StrEnum


class Part(StrEnum):
    """What ``labelf tune`` tunes."""

    THRESHOLDS = "thresholds"
    TEMPERATURE = "temperature"


class ClassWeight(StrEnum):
    """How much a text counts for ``labelf train``, by its label."""

    NONE = "none"
    BALANCED = "balanced"
