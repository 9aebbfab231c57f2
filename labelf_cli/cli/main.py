"""The command ``labelf``: its commands, and the one place where errors become messages."""

import inspect
import os
import re
import signal
import sys
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from labelf_cli import __version__
from labelf_cli.cli.bench import bench
from labelf_cli.cli.check import check
from labelf_cli.cli.classify import classify
from labelf_cli.cli.diff import diff
from labelf_cli.cli.evaluate import evaluate
from labelf_cli.cli.logs import say
from labelf_cli.cli.merge import merge
from labelf_cli.cli.models import models
from labelf_cli.cli.optimize import optimize
from labelf_cli.cli.report import report
from labelf_cli.cli.schema import schema
from labelf_cli.cli.serve import serve
from labelf_cli.cli.signals import catch_signals, received
from labelf_cli.cli.train import train
from labelf_cli.cli.tune import tune
from labelf_cli.errors import LabelfError


class _Guarded(TyperGroup):
    """Ends every command with a message and an exit code, never with a traceback."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401  # typer's own signature
        """Run the command."""
        try:
            return super().invoke(ctx)
        except LabelfError as error:
            _end(error.exit_code, str(error))
        except KeyboardInterrupt:
            _end(128 + signal.SIGINT, "interrupted", level="warning")
        except BrokenPipeError:
            # The reader has gone; Python's own flush at exit must not complain of it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:
            if (signum := received()) is not None:  # a library made another error of it
                raise typer.Exit(128 + signum) from None
            if (
                type(error).__module__.startswith(("click", "typer"))
                or "LABELF_DEBUG" in os.environ
            ):
                raise
            _end(1, _unexpected(error))


_BUG = "This is a fault in labelf: please report it with the traceback that LABELF_DEBUG=1 shows"
_MEND = "Mend that and run the same command again"


def _unexpected(error: Exception) -> str:
    """What is said of an error that nothing below has made a message of."""
    if isinstance(error, OSError) and error.strerror:  # of the machine, such as a full disk
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}. {_MEND}"
    return f"{type(error).__name__}: {error}. {_BUG}"


def _end(code: int, message: str, level: str = "error") -> NoReturn:
    say(message, level)
    raise typer.Exit(code) from None


app = typer.Typer(
    cls=_Guarded,
    name="labelf",
    help="Classify every text of a table with several models in one pass.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
_COMMANDS: tuple[Callable[..., None], ...] = (
    classify,
    check,
    bench,
    diff,
    evaluate,
    merge,
    models,
    optimize,
    report,
    schema,
    serve,
    train,
    tune,
)
for _command in _COMMANDS:  # lines are broken by the terminal's width, not by the source's
    _told = re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(_command.__doc__ or ""))
    app.command(help=_told)(_command)


def _show_version(asked: bool) -> None:
    if asked:
        print(f"labelf {__version__}")
        raise typer.Exit


@app.callback()
def _labelf(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point of the command."""
    catch_signals()
    app()
