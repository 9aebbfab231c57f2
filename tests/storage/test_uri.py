"""URIs: what they name, and that what it takes to open them is not shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelf_cli.errors import UsageError
from labelf_cli.storage.uri import StoreError, Uri, is_uri, local, split_options, told


@pytest.mark.parametrize(
    ("text", "shown", "kind", "path"),
    [
        ("s3://b/k/x.csv?region=eu-north-1", "s3://b/k/x.csv", "s3", "b/k/x.csv"),
        ("s3://me:pw@b/k?region=eu&scheme=http", "s3://b/k", "s3", "b/k"),
        ("s3://b/a b%2Fc=ö*.csv?region=eu", "s3://b/a b/c=ö*.csv", "s3", "b/a b/c=ö*.csv"),
        ("s3://b/?region=eu", "s3://b/", "s3", "b"),
        ("s3://b/??/s?.csv?region=eu", "s3://b/??/s?.csv", "s3", "b/??/s?.csv"),
        ("gs://anonymous@b/k/", "gs://b/k", "gcs", "b/k"),
        (
            "abfs://box@acme.dfs.core.windows.net/k",
            "abfs://box@acme.dfs.core.windows.net/k",
            "abfs",
            "box/k",
        ),
        (
            "abfss://:a2V5@acme.blob.core.windows.net/box/k",
            "abfss://acme.blob.core.windows.net/box/k",
            "abfs",
            "box/k",
        ),
    ],
)
def test_a_uri_names_a_path_in_a_store(text: str, shown: str, kind: str, path: str) -> None:
    uri = Uri.parse(text)
    assert (str(uri), uri.filesystem.type_name, uri.path) == (shown, kind, path)
    assert uri.at(path) == uri


def test_a_question_mark_without_a_name_and_a_value_is_one_of_the_path() -> None:
    uri = Uri.parse("s3://b/s?.csv")
    assert (uri.key, uri.query) == ("s?.csv", "")
    assert split_options("s3://b/s?/?scheme=http") == ("s3://b/s?/", "?scheme=http")
    assert split_options("a?b=c") == ("a?b=c", "")


def test_uris_of_one_place_have_one_identity() -> None:
    same = ("gs://b/k", "gcs://me:pw@b/k?scheme=http")
    assert {Uri.parse(text).identity for text in same} == {"gs://b/k"}
    opened, *others = map(Uri.parse, ("s3://b/k", "s3://b/l", "s3://c/k", "s3://b/k?scheme=http"))
    assert [opened.is_opened_as(other) for other in others] == [True, False, False]


def test_a_store_without_its_library_is_told_in_a_line() -> None:
    with pytest.raises(StoreError) as error:
        _ = Uri.parse("hdfs://namenode:8020/calls.csv").filesystem
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["calls.csv", "/a/b", "-", "C:\\calls.csv", "file:///a/b", "a:b"])
def test_what_is_no_uri_of_a_store_is_a_path(text: str) -> None:
    assert not is_uri(text)


def test_a_file_uri_is_a_path() -> None:
    assert local("file:///a%20b/c?.csv") == "/a b/c?.csv"
    assert local("a%20b") == "a%20b"


def test_another_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="https:// is none of the stores"):
        is_uri("https://me:hush@example.com/x.csv")


SECRET = st.text("abcdefXYZ0123456789+%", min_size=6)


@given(SECRET, SECRET)
def test_no_secret_is_shown(password: str, secret: str) -> None:
    uri = Uri.parse(f"s3://me:{password}@bucket/k?token={secret}")
    error = told(OSError(f"no luck with s3://me:{password}@bucket/k and {secret}, really"), uri)
    for text in (str(uri), str(error)):
        assert password not in text
        assert secret not in text


def test_what_is_not_there_stays_that() -> None:
    found = told(FileNotFoundError(2, "Path does not exist 'b/k'"), Uri.parse("s3://b/k"))
    assert isinstance(found, FileNotFoundError)
    assert found.strerror == "no such file"
