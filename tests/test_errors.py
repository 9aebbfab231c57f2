"""The tree of errors, their exit codes and the shape of their messages."""

import inspect
import re
from pathlib import Path

import pytest

from labelf_cli import errors
from labelf_cli.errors import LabelfError, OutputError, WriteError, did_you_mean, write_errors

Node = tuple[str, str, int]
"""Name, parent's name and exit code of an error."""


def drawn_tree() -> list[Node]:
    """What the docstring draws, line by line; four characters of indent are one level."""
    nodes: list[Node] = []
    path = ["Exception"]
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"([│├└─ ]*)(\w+) +(\d) +\S", line):
            indent, name, code = match.groups()
            del path[len(indent) // 4 + 1 :]
            nodes.append((name, path[-1], int(code)))
            path.append(name)
    return nodes


def test_the_docstring_draws_the_classes_as_they_are() -> None:
    classes = [found for _, found in inspect.getmembers(errors, inspect.isclass)]
    assert sorted(drawn_tree()) == sorted(
        (found.__name__, found.__bases__[0].__name__, found.exit_code)
        for found in classes
        if issubclass(found, LabelfError)
    )


@pytest.mark.parametrize(
    ("where", "todo", "message"),
    [
        ("", "", "it broke"),
        ("row 7", "", "row 7: it broke"),
        ("", "Mend it", "it broke. Mend it"),
        (Path("in.csv"), "Mend it", "in.csv: it broke. Mend it"),
    ],
)
def test_a_message_says_where_what_and_what_to_do(where: object, todo: str, message: str) -> None:
    error = LabelfError("it broke", where=where, todo=todo)
    assert str(error) == message
    assert (error.what, error.where, error.todo) == ("it broke", str(where), todo)


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [("treshold", "Did you mean 'threshold'?"), ("zzz", "There are: label, threshold, path")],
)
def test_a_wrong_name_gets_the_nearest_valid_one_or_all(wrong: str, hint: str) -> None:
    assert did_you_mean(wrong, ["label", "threshold", "path"]) == hint


def test_what_can_not_be_written_is_named() -> None:
    with pytest.raises(WriteError) as caught, write_errors(Path("out.csv")):
        raise OSError(28, "No space left on device")
    assert str(caught.value) == (
        "out.csv: can't be written (No space left on device). "
        "Mend that and run the same command again"
    )
    for passes in (BrokenPipeError(), OutputError("a folder")):
        with pytest.raises(type(passes)), write_errors("stdout"):
            raise passes
