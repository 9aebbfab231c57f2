"""Which files an argument names: on the local disk and in an object store the same ones."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from s3_server import S3Server

from labelf_cli.errors import InputError
from labelf_cli.sources.listing import found

FILES = (
    "one.csv",
    "calls/b.csv",
    "calls/a.csv",
    "calls/_SUCCESS",
    "calls/.hidden.csv",
    "calls/_temporary/x.csv",
    "year=2026/month=11/a b.csv",
    "year=2026/month=11/c.jsonl",
    "year=2026/month=__HIVE_DEFAULT_PARTITION__/d.csv",
    "year=20%3A27/month=1/e.csv",
)
Find = Callable[[str], list[tuple[str, tuple[tuple[str, str | None], ...]]]]


@pytest.fixture(scope="module")
def bucket(s3: S3Server) -> str:
    name = s3.bucket()
    for key in FILES:
        s3.put(f"{name}/{key}", b"")
    return name


@pytest.fixture(params=["local", "file://", "s3://"])
def find(request: pytest.FixtureRequest, s3: S3Server, bucket: str, tmp_path: Path) -> Find:
    """A function that finds files, each by its path below the root and its partitions."""
    for key in FILES:
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).touch()

    def find(pattern: str) -> list[tuple[str, tuple[tuple[str, str | None], ...]]]:
        root = {"local": str(tmp_path), "file://": f"file://{tmp_path}"}.get(request.param)
        quoted = pattern.replace("%", "%25")
        text = s3.uri(f"{bucket}/{quoted}") if root is None else f"{root}/{pattern}"
        text = text.replace("%", "%25") if request.param == "file://" else text
        base = f"s3://{bucket}/" if root is None else f"{tmp_path}/"
        return [(name.removeprefix(base), name.partitions) for name in found(text)]

    return find


NOVEMBER = (("year", "2026"), ("month", "11"))


def test_a_file_is_itself_and_its_folders_say_nothing(find: Find) -> None:
    assert find("year=2026/month=11/a b.csv") == [("year=2026/month=11/a b.csv", ())]


def test_a_folder_is_what_is_in_it_but_for_what_is_hidden(find: Find) -> None:
    assert find("calls") == find("calls/") == [("calls/a.csv", ()), ("calls/b.csv", ())]


def test_the_folders_on_the_way_say_values(find: Find) -> None:
    assert find("year=2026") == [
        ("year=2026/month=11/a b.csv", NOVEMBER[1:]),
        ("year=2026/month=11/c.jsonl", NOVEMBER[1:]),
        ("year=2026/month=__HIVE_DEFAULT_PARTITION__/d.csv", (("month", None),)),
    ]


@pytest.mark.parametrize("pattern", ["year=*/*/*.csv", "**/month*/*.csv", "year=*/**/*.csv"])
def test_a_glob_gives_what_it_matches_and_the_folders_from_its_first_wildcard_on(
    find: Find, pattern: str
) -> None:
    assert find(pattern) == [
        ("year=20%3A27/month=1/e.csv", (("year", "20:27"), ("month", "1"))),
        ("year=2026/month=11/a b.csv", NOVEMBER),
        ("year=2026/month=__HIVE_DEFAULT_PARTITION__/d.csv", (("year", "2026"), ("month", None))),
    ]


def test_a_glob_of_folders_is_what_is_in_them(find: Find) -> None:
    assert find("year=202[5-7]/month=1*") == [
        ("year=2026/month=11/a b.csv", NOVEMBER),
        ("year=2026/month=11/c.jsonl", NOVEMBER),
    ]


def test_two_stars_are_any_folders_and_none(find: Find) -> None:
    assert [name for name, _ in find("**/[a-d].csv")] == [
        "calls/a.csv",
        "calls/b.csv",
        "year=2026/month=__HIVE_DEFAULT_PARTITION__/d.csv",
    ]


@pytest.mark.parametrize("pattern", ["none.csv", "none/", "*.parquet", "one.csv/*"])
def test_what_matches_nothing_is_refused(find: Find, pattern: str) -> None:
    with pytest.raises(InputError, match="no such file"):
        find(pattern)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    (tmp_path / "closed").mkdir(mode=0)
    for pattern in (tmp_path, tmp_path / "closed", tmp_path / "closed" / "b.csv"):
        with pytest.raises(InputError, match=r"closed.*: can't be read \(Permission denied\)"):
            found(str(pattern))
