"""The errors that a user may see, each with the exit code that it ends the run with.

LabelfError                   1   the run failed; what is done is kept
├── AgreementError            1   what was made, or found, is not as good as was asked for
├── RunError                  1   something broke while rows were on their way
│   ├── BadRowError           1   a row of the input can't be read
│   ├── ServiceError          1   a remote service refuses to go on, or is not to be asked again
│   ├── TooManyRejectsError   1   more rows can't be read than --max-rejects allows
│   └── WriteError            1   the output can't be written to its end
└── UsageError                2   nothing was started
    ├── ConfigError           2   the config file
    ├── ModelError            2   a model's files
    ├── InputError            2   an input that can't be used at all
    └── OutputError           2   an output that can't be used at all

A message says what is wrong, where (file, row or line, key) and what to do now.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import ClassVar


class LabelfError(Exception):
    """Base of all errors that end a run with a message instead of a traceback."""

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, where: object = "", todo: str = "") -> None:
        """Build the message ``where: what. todo``."""
        self.what, self.where, self.todo = what, str(where), todo
        message = f"{self.where}: {what}" if self.where else what
        super().__init__(f"{message}. {todo}" if todo else message)


class AgreementError(LabelfError):
    """What was made is not as good as was asked for, and thrown away; or too much has changed."""


class RunError(LabelfError):
    """Something broke while rows were on their way."""


class BadRowError(RunError):
    """A row of the input can't be read."""


class ServiceError(RunError):
    """A remote service refuses to go on, or is not to be asked again."""


class TooManyRejectsError(RunError):
    """More rows can't be read than the user allows."""


class WriteError(RunError):
    """The output can't be written to its end."""


class UsageError(LabelfError):
    """The command can't be carried out as it was given; nothing was started."""

    exit_code = 2


class ConfigError(UsageError):
    """The config file can't be used."""


class ModelError(UsageError):
    """A model's files can't be used."""


class InputError(UsageError):
    """An input can't be used at all."""


class OutputError(UsageError):
    """An output can't be used at all."""


def did_you_mean(wrong: str, valid: list[str]) -> str:
    """Name the nearest valid name, or list them all where none is near."""
    near = get_close_matches(wrong, valid, n=1)
    return f"Did you mean '{near[0]}'?" if near else f"There are: {', '.join(valid)}"


@contextmanager
def write_errors(where: object) -> Iterator[None]:
    """What a block can't write is an error of the output that it writes.

    A reader that has gone is none: it ends the command quietly.

    Args:
        where: names the output.

    Raises:
        WriteError: the block could not write.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise WriteError(
            f"can't be written ({error.strerror or error})",
            where=where,
            todo="Mend that and run the same command again",
        ) from error


@contextmanager
def extra(name: str, who: str = "this command") -> Iterator[None]:
    """Imports inside the block come with an extra of the distribution.

    Args:
        name: of the extra.
        who: needs it.

    Raises:
        UsageError: one is missing; it names the line that installs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{who} needs {error.name}", todo=f"Run: pip install 'labelf-cli[{name}]'"
        ) from None
