"""Files of a model folder: none leads out of it, none is another."""

import os
from pathlib import Path

import pytest

from labelf_cli.classifiers.files import read_json, refuse_impostors, require_inside
from labelf_cli.errors import ModelError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    return made


def refusal(path: Path, folder: Path) -> str:
    with pytest.raises(ModelError) as refused:
        require_inside(path, folder)
    return str(refused.value)


class TestInside:
    def test_is_what_the_folder_holds(self, folder: Path) -> None:
        (folder / "a").write_text("a")
        (folder / "link").symlink_to("a")
        (folder.parent / "way in").symlink_to(folder)
        for path in (folder / "a", folder / "link", folder.parent / "way in/link"):
            require_inside(path, folder)
            require_inside(path, folder.parent / "way in")

    def test_may_be_absent(self, folder: Path) -> None:
        (folder / "circle").symlink_to("circle")
        require_inside(folder / "absent", folder)
        require_inside(folder / "circle", folder)

    @pytest.mark.parametrize("name", ["../folder2/a", "../a", "/etc/hosts"])
    def test_is_nothing_beside_it(self, folder: Path, name: str) -> None:
        target = os.path.realpath(folder / name)
        assert refusal(folder / name, folder) == (
            f"{folder / name}: leads out of the model folder, to {target}. "
            f"If you trust it, put a copy of it into {folder}"
        )

    def test_is_no_link_that_leads_outside_even_to_nothing(self, folder: Path) -> None:
        (folder / "link").symlink_to("../absent")
        assert refusal(folder / "link", folder).startswith(
            f"{folder}/link: leads out of the model folder, to {folder.parent}/absent."
        )

    def test_is_no_pipe_which_would_never_end(self, folder: Path) -> None:
        os.mkfifo(folder / "pipe")
        message = f"{folder}/pipe: not an ordinary file. Export the model again"
        assert refusal(folder / "pipe", folder) == message

    @pytest.mark.parametrize(
        ("name", "reason"), [("a\0b", "embedded null byte"), ("x" * 300, "File name too long")]
    )
    def test_is_nothing_that_can_not_be(self, folder: Path, name: str, reason: str) -> None:
        message = refusal(folder / name, folder)
        assert message.startswith(f"{folder}: names a file that can't be (")
        assert reason in message

    def test_is_no_other_snapshot_of_the_hubs_cache(self, tmp_path: Path) -> None:
        repository = tmp_path / "models--owner--name"
        for name in ("snapshots/1/onnx", "snapshots/2", "blobs", "refs"):
            (repository / name).mkdir(parents=True)
        one = repository / "snapshots/1"
        for inside in (one / "../../blobs/x", one / "onnx/../../../blobs/x"):
            require_inside(inside, one)
            require_inside(inside, one / "onnx")
        for outside in (one / "../2/x", one / "../../refs/main"):
            assert "leads out of the model folder" in refusal(outside, one)


@pytest.mark.parametrize("head", [b"\xef\xbb\xbf<html>", b"\n\n<!DOCTYPE html>"])
def test_an_html_page_is_known_by_its_head(folder: Path, head: bytes) -> None:
    (folder / "a").write_bytes(head)
    with pytest.raises(ModelError) as refused:
        refuse_impostors(folder / "a", "a map")
    assert str(refused.value) == (f"{folder}/a: an HTML page, not a map. Download the file itself")


def test_json_that_is_nested_without_end_is_refused(folder: Path) -> None:
    (folder / "a.json").write_text("[" * 100_000)
    with pytest.raises(ModelError) as refused:
        read_json(folder / "a.json", folder)
    assert str(refused.value).startswith(f"{folder}/a.json: can't be read as JSON (")
