"""An object store as a run uses it, over a folder of the local disk."""

from pathlib import Path, PurePosixPath

import pytest
from pyarrow import fs
from test_stores import HandledUri, Handler

from labelf_cli.storage.objects import ObjectStore
from labelf_cli.storage.uri import StoreError

FINAL, DRAFT = PurePosixPath("bucket/out.csv.gz"), PurePosixPath("bucket/work/out.csv.gz.tmp")


class Hdfs(Handler):
    """A store that calls itself one, whose rename replaces nothing, and that has no copy."""

    def get_type_name(self) -> str:
        return "hdfs"

    def move(self, src: str, dest: str) -> None:
        assert self._inner.get_file_info(dest).type == fs.FileType.NotFound
        super().move(src, dest)

    def copy_file(self, src: str, dest: str) -> None:
        raise NotImplementedError


class S3(Handler):
    """A store that calls itself one."""

    copies = 0

    def get_type_name(self) -> str:
        return "s3"

    def copy_file(self, src: str, dest: str) -> None:
        self.copies += 1
        super().copy_file(src, dest)


class Lossy(Handler):
    """A store whose copies are cut short."""

    def copy_file(self, src: str, dest: str) -> None:  # noqa: ARG002
        with self._inner.open_output_stream(dest) as stream:
            stream.write(b"sh")


class SmallCopies(ObjectStore):
    """What is larger than three bytes can't be copied."""

    copy_bytes = 3


def handler_of(kind: type[Handler], folder: Path) -> Handler:
    (folder / "bucket" / "work").mkdir(parents=True, exist_ok=True)
    return kind(fs.SubTreeFileSystem(str(folder), fs.LocalFileSystem()))


def draft(store: ObjectStore, content: bytes) -> None:
    with store.create(DRAFT) as file:
        file.write(content)
    store.sync(DRAFT)


def keys(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("kind", [Handler, Hdfs, S3])
@pytest.mark.parametrize("content", [b"", b"new", b"x" * 40_000_000])
def test_what_is_published_has_its_bytes_and_no_draft_is_left(
    tmp_path: Path, kind: type[Handler], content: bytes
) -> None:
    store = ObjectStore(HandledUri("gs", "bucket", "out", "", handler_of(kind, tmp_path)))
    (tmp_path / FINAL).write_bytes(b"old")
    draft(store, content)
    assert keys(tmp_path) == [str(FINAL)]
    store.publish(DRAFT, FINAL)
    assert (tmp_path / FINAL).read_bytes() == content
    assert keys(tmp_path) == [str(FINAL)]


def test_what_s3_can_not_copy_is_uploaded_under_its_name(tmp_path: Path) -> None:
    handler = handler_of(S3, tmp_path)
    assert isinstance(handler, S3)
    store = SmallCopies(HandledUri("gs", "bucket", "out", "", handler))
    for content, copies in ((b"new", 1), (b"newer", 1)):
        draft(store, content)
        store.publish(DRAFT, FINAL)
        assert ((tmp_path / FINAL).read_bytes(), handler.copies) == (content, copies)


def test_a_copy_that_is_short_is_an_error(tmp_path: Path) -> None:
    store = ObjectStore(HandledUri("gs", "bucket", "out", "", handler_of(Lossy, tmp_path)))
    draft(store, b"whole")
    with pytest.raises(StoreError, match="2 bytes of 5 have arrived at gs://bucket/"):
        store.publish(DRAFT, FINAL)


def test_a_draft_that_is_removed_leaves_nothing(tmp_path: Path) -> None:
    store = ObjectStore(HandledUri("gs", "bucket", "out", "", handler_of(Handler, tmp_path)))
    draft(store, b"new")
    store.remove(DRAFT)
    store.remove(DRAFT)
    store.remove(FINAL)
    assert keys(tmp_path) == []


def test_names_and_content_are_those_that_were_written(tmp_path: Path) -> None:
    store = ObjectStore(HandledUri("gs", "bucket", "out", "", handler_of(Handler, tmp_path)))
    for name in ("b.gz", "a"):
        store.write(PurePosixPath("bucket/work") / name, name.encode())
    assert store.names(PurePosixPath("bucket/work")) == ["a", "b.gz"]
    assert store.names(PurePosixPath("bucket/none")) == []
    with store.open(PurePosixPath("bucket/work/b.gz")) as file:
        assert file.read() == b"b.gz"
    with pytest.raises(FileNotFoundError):
        store.open(PurePosixPath("bucket/work/c"))
    store.remove_folder(PurePosixPath("bucket/work"))
    assert keys(tmp_path) == []
