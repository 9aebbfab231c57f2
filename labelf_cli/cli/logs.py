"""Log lines on stderr, for people or for programs."""

import json
import logging
import sys
from datetime import UTC, datetime
from enum import StrEnum


class LogFormat(StrEnum):
    """How messages on stderr look."""

    TEXT = "text"
    JSON = "json"


def log_line(level: str, message: str, **more: object) -> str:
    """One JSON object with the time in UTC."""
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    return json.dumps({"time": time, "level": level, "message": message, **more})


def say(message: str, level: str = "error") -> None:
    """Say how the command ended; as text, an error is named as such."""
    if any(isinstance(handler, _JsonHandler) for handler in logging.getLogger().handlers):
        message = log_line(level, message)
    elif level == "error":
        message = f"error: {message}"
    print(message, file=sys.stderr)


def log_to_stderr(log_format: LogFormat, verbose: bool) -> None:
    """Send the log to stderr: warnings, and with ``verbose`` what is done."""
    level = "INFO" if verbose else "WARNING"
    logging.basicConfig(level=level, format="%(message)s", handlers=[_handler(log_format)])


def log_requests(log_format: LogFormat, *, quiet: bool) -> None:
    """Send the log of a server to stderr, one line a request; ``quiet`` leaves it to warnings."""
    handler = logging.StreamHandler() if log_format is LogFormat.TEXT else _handler(log_format)
    logging.basicConfig(
        level="WARNING" if quiet else "INFO",
        format="%(asctime)s %(levelname)s %(message)s",
        handlers=[handler],
    )


def _handler(log_format: LogFormat) -> logging.Handler:
    if log_format is LogFormat.JSON:
        return _JsonHandler(sys.stderr)
    from rich.console import Console
    from rich.logging import RichHandler

    return RichHandler(console=Console(stderr=True), show_path=False)


class _JsonHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes ``log_line`` for each record, with its ``fields`` where it has any."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        fields: dict[str, object] = getattr(record, "fields", {})
        return log_line(record.levelname.lower(), record.getMessage(), **fields)
