"""The summary that ``labelf classify --report`` has written, read back."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from labelf_cli.errors import InputError

_STRICT = ConfigDict(frozen=True)


class SpentReport(BaseModel):
    """What the answers cost, see ``Spent``."""

    model_config = _STRICT
    distinct_texts: int
    recalled_texts: int
    cached_answers: int
    model_calls: int
    tokens: int
    padding: int
    requests: int
    prompt_tokens: int
    completion_tokens: int
    processor_seconds: dict[str, float]


class RunReport(BaseModel):
    """What happened in a run, see ``Summary``."""

    model_config = _STRICT
    rows: int
    rejected: int
    seconds: float
    loading_seconds: float
    spent: SpentReport

    @property
    def rate(self) -> float:
        """Rows a second, loading included."""
        return self.rows / self.seconds if self.seconds else 0.0


def read_run_report(path: Path) -> RunReport:
    """Read it.

    Raises:
        InputError: it can't be read, or is something else.
    """
    try:
        return RunReport.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"can't be read ({error.strerror})", where=path) from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "all of it"
        raise InputError(
            f"no summary of a run ({place}: {first['msg']})",
            where=path,
            todo="Give the file that labelf classify --report wrote",
        ) from None
