"""What ``labelf tune`` tunes."""

from enum import StrEnum


class Part(StrEnum):
    """A part of what a config says of a model."""

    THRESHOLDS = "thresholds"
    TEMPERATURE = "temperature"
