"""Models by their hub id: the real client against a small hub on loopback."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import onnx
import pytest
from conftest import Labelf, WriteModel, write_encoder, write_head
from hub_server import Hub, serve

TEXTS = ["config.json", "tokenizer.json", "tokenizer_config.json"]
ENTRY = 'name = "m"\npath = "owner/name"\n'


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve() as hub:
        yield hub


class Classify(Protocol):
    """Classifies three texts; see ``classify``."""

    def __call__(
        self, entry: str, *arguments: str, **env: str
    ) -> subprocess.CompletedProcess[bytes]: ...


@pytest.fixture
def classify(hub: Hub, labelf: Labelf, tmp_path: Path) -> Classify:
    """A function that classifies with one model, in an environment that knows only this hub."""
    config, table = tmp_path / "models.toml", tmp_path / "in.csv"
    table.write_text("text\nmy bill is too high\nno signal\nangry\n")
    clean = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    clean |= {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(tmp_path / "home"),
        "no_proxy": "127.0.0.1,localhost",
    }

    def call(entry: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[bytes]:
        config.write_text(f"[[models]]\n{entry}\n")
        hub.requests.clear()
        return labelf("classify", table, "-c", config, *arguments, env=clean | env)

    return call


def answers(done: subprocess.CompletedProcess[bytes]) -> bytes:
    """Its table, where nothing went wrong and nothing was said but the summary."""
    assert done.returncode == 0, done.stderr.decode()
    assert b"Fetching" not in done.stderr
    return done.stdout


def refusal(done: subprocess.CompletedProcess[bytes]) -> str:
    assert (done.returncode, done.stdout) == (2, b""), done.stderr.decode()
    return done.stderr.decode()


@pytest.fixture
def local(classify: Classify, write_model: WriteModel) -> bytes:
    """What the model on the hub says, from a folder."""
    return answers(classify(f'name = "m"\npath = "{write_model("local")}"'))


@pytest.fixture
def commit(hub: Hub, write_model: WriteModel) -> str:
    """Of a repository with much beside the model."""
    folder = write_model("pushed")
    (folder / "onnx").mkdir()
    for name in (
        "pytorch_model.bin",
        "onnx/model.onnx",
        "onnx/model_quantized.onnx",
        "README.md",
        "special_tokens_map.json",
        "onnx/config.json",
    ):
        shutil.copy(folder / "model.onnx", folder / name)
    return hub.push("owner/name", folder)


class TestOnline:
    @pytest.mark.parametrize("revision", ["", 'revision = "main"'])
    @pytest.mark.usefixtures("commit")
    def test_a_branch_is_fetched_and_answers_as_from_a_folder(
        self, hub: Hub, classify: Classify, local: bytes, revision: str, tmp_path: Path
    ) -> None:
        assert answers(classify(ENTRY + revision, "--quiet")) == local
        assert hub.fetched() == [*TEXTS[:1], "model.onnx", *TEXTS[1:]]
        assert (tmp_path / "home/hub/models--owner--name/refs/main").is_file()

    def test_a_branch_that_moved_is_fetched_anew(
        self, hub: Hub, classify: Classify, write_model: WriteModel, commit: str
    ) -> None:
        before = answers(classify(ENTRY))
        assert hub.push("owner/name", write_model("other", seed=1)) != commit
        assert answers(classify(ENTRY)) != before
        assert answers(classify(f'{ENTRY}revision = "{commit}"')) == before

    def test_a_commit_is_fetched_once_and_never_asked_for_again(
        self, hub: Hub, classify: Classify, local: bytes, commit: str
    ) -> None:
        pinned = f'{ENTRY}revision = "{commit}"'
        assert answers(classify(pinned)) == local
        assert hub.requests
        assert answers(classify(pinned)) == local
        assert hub.requests == []

    def test_another_file_of_a_commit_fetches_that_alone(
        self, hub: Hub, classify: Classify, local: bytes, commit: str
    ) -> None:
        pinned = f'{ENTRY}revision = "{commit}"\n'
        assert answers(classify(pinned)) == local
        quantized = f'{pinned}file = "onnx/model_quantized.onnx"'
        assert answers(classify(quantized)) == local
        assert hub.fetched() == ["onnx/model_quantized.onnx"]
        assert answers(classify(quantized)) == local
        assert hub.requests == []

    @pytest.mark.usefixtures("commit")
    def test_the_token_goes_to_the_hub_alone(self, hub: Hub, classify: Classify) -> None:
        answers(classify(ENTRY, HF_TOKEN="hf_secret"))
        asked = {(request.host, request.token) for request in hub.requests}
        assert {("127.0.0.1", "Bearer hf_secret"), ("localhost", None)} <= asked
        assert ("localhost", "Bearer hf_secret") not in asked

    def test_external_data_comes_with_its_graph(
        self, hub: Hub, classify: Classify, local: bytes, write_model: WriteModel
    ) -> None:
        folder = write_model("external")
        model = onnx.load(folder / "model.onnx")
        (folder / "model.onnx").unlink()
        (folder / "onnx").mkdir()
        onnx.save(
            model,
            folder / "onnx" / "model.onnx",
            save_as_external_data=True,
            location="model.onnx_data",
            size_threshold=100,
        )
        (folder / "onnx" / "other.onnx_data").write_bytes(b"no part of it")
        commit = hub.push("owner/name", folder)
        pinned = f'{ENTRY}revision = "{commit}"'
        assert answers(classify(pinned)) == local
        graph = ["onnx/model.onnx", "onnx/model.onnx_data"]
        assert hub.fetched() == [TEXTS[0], *graph, *TEXTS[1:]]
        assert answers(classify(pinned)) == local
        assert hub.requests == []

    def test_an_encoder_comes_with_its_modules(
        self, hub: Hub, classify: Classify, tmp_path: Path
    ) -> None:
        encoder = write_encoder(tmp_path / "e", pooling={"pooling_mode_max_tokens": True})
        head = f'name = "m"\npath = "{write_head(tmp_path / "head", encoder)}"\n'
        expected = answers(classify(f'{head}encoder = "{encoder}"'))
        commit = hub.push("owner/encoder", encoder)
        pinned = f'{head}encoder = "owner/encoder"\nencoder_revision = "{commit}"'
        assert answers(classify(pinned)) == expected
        fetched = ["1_Pooling/config.json", "model.onnx", "modules.json", *TEXTS[1:]]
        assert hub.fetched() == fetched
        assert answers(classify(pinned)) == expected
        assert hub.requests == []

    @pytest.mark.usefixtures("commit")
    def test_models_of_one_branch_ask_for_it_once(self, hub: Hub, classify: Classify) -> None:
        other = 'name = "n"\npath = "owner/name"\nmax_predictions = 1'
        answers(classify(f"{ENTRY}[[models]]\n{other}"))
        paths = [request.path for request in hub.requests]
        assert paths.count("/api/models/owner/name/revision/main") == 1


class TestOffline:
    @pytest.mark.parametrize("pinned", [True, False])
    def test_what_is_in_the_cache_answers(
        self, hub: Hub, classify: Classify, local: bytes, commit: str, pinned: bool
    ) -> None:
        entry = ENTRY + (f'revision = "{commit}"' if pinned else "")
        answers(classify(entry))
        assert answers(classify(entry, HF_HUB_OFFLINE="1")) == local
        assert hub.requests == []

    @pytest.mark.usefixtures("commit")
    def test_what_is_not_is_refused(self, hub: Hub, classify: Classify, tmp_path: Path) -> None:
        assert refusal(classify(ENTRY, HF_HUB_OFFLINE="1")) == (
            "error: owner/name on the hub: not all that is needed of it is in the cache, "
            f"{tmp_path}/home/hub, and HF_HUB_OFFLINE is set. Run labelf models once with network, "
            "or name a folder that is there\n"
        )
        assert hub.requests == []

    @pytest.mark.usefixtures("commit")
    def test_so_is_another_file_of_what_is_in_the_cache(self, classify: Classify) -> None:
        answers(classify(ENTRY))
        other = f'{ENTRY}file = "onnx/model.onnx"'
        assert "HF_HUB_OFFLINE is set" in refusal(classify(other, HF_HUB_OFFLINE="1"))

    @pytest.mark.parametrize("has_graph", [True, False])
    @pytest.mark.usefixtures("commit")
    def test_a_cache_that_another_program_filled_has_to_do(
        self, classify: Classify, local: bytes, tmp_path: Path, has_graph: bool
    ) -> None:
        """One of an older huggingface_hub, say, which does not know the names of all files."""
        answers(classify(ENTRY))
        repository = tmp_path / "home/hub/models--owner--name"
        shutil.rmtree(repository / "trees")
        if has_graph:
            assert answers(classify(ENTRY, HF_HUB_OFFLINE="1")) == local
        else:
            (graph,) = repository.glob("snapshots/*/model.onnx")
            graph.unlink()
            refused = refusal(classify(ENTRY, HF_HUB_OFFLINE="1"))
            assert "no .onnx file of it is in the cache" in refused

    @pytest.mark.usefixtures("commit")
    def test_a_hub_that_nobody_answers_for_is_as_none(
        self, classify: Classify, local: bytes
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
        refused = refusal(classify(ENTRY, HF_ENDPOINT=nobody))
        assert f"owner/name on the hub: can't be fetched from {nobody} into " in refused
        assert "ConnectError" in refused
        answers(classify(ENTRY))
        assert answers(classify(ENTRY, HF_ENDPOINT=nobody)) == local


class TestRefused:
    def test_is_a_repository_that_is_not_there(self, classify: Classify) -> None:
        assert refusal(classify(ENTRY)) == (
            "error: owner/name on the hub: no such repository, or a private one. Correct it in the "
            "config, or name a folder that is there; for a private one set HF_TOKEN\n"
        )

    @pytest.mark.usefixtures("commit")
    def test_is_a_revision_that_is_not_there(self, classify: Classify) -> None:
        assert refusal(classify(f'{ENTRY}revision = "v2"')) == (
            "error: owner/name on the hub at v2: no such commit, tag or branch. "
            "Correct the revision in the config\n"
        )

    @pytest.mark.parametrize(
        ("status", "code", "reason"),
        [
            (403, "GatedRepo", "a gated repository. Ask for access on its page, and set HF_TOKEN"),
            (404, "RepoNotFound", "no such repository, or a private one. "),
            (401, "", "answers with status 401. Check the name, and HF_TOKEN, "),
            (418, "", "answers with status 418. "),
        ],
    )
    @pytest.mark.usefixtures("commit")
    def test_is_what_the_hub_refuses(
        self, hub: Hub, classify: Classify, status: int, code: str, reason: str
    ) -> None:
        hub.refusals["owner/name"] = (status, code)
        assert reason in refusal(classify(ENTRY))

    @pytest.mark.parametrize(
        ("graphs", "reason"),
        [
            ((), "no .onnx file in the model folder"),
            (("a.onnx", "onnx/b.onnx"), "several .onnx files: a.onnx, onnx/b.onnx"),
            (("v1/a.onnx",), "its .onnx files stand in no usual place: v1/a.onnx"),
        ],
    )
    def test_is_a_repository_without_a_graph_to_choose(
        self, hub: Hub, classify: Classify, write_model: WriteModel, graphs: list[str], reason: str
    ) -> None:
        folder = write_model()
        content = (folder / "model.onnx").read_bytes()
        (folder / "model.onnx").unlink()
        hub.push("owner/name", folder, dict.fromkeys(graphs, content))
        assert f"error: owner/name on the hub: {reason}. " in refusal(classify(ENTRY))
        assert hub.fetched() == TEXTS

    @pytest.mark.usefixtures("commit")
    def test_is_a_file_that_is_not_there(self, classify: Classify) -> None:
        assert (
            "no file 'onnx/int8.onnx' in the repository; of .onnx files it has: "
            "model.onnx, onnx/model.onnx, onnx/model_quantized.onnx"
        ) in refusal(classify(f'{ENTRY}file = "onnx/int8.onnx"'))


def test_a_folder_that_looks_like_a_hub_id_is_a_folder(
    hub: Hub, classify: Classify, local: bytes, write_model: WriteModel
) -> None:
    write_model("name")
    assert answers(classify('name = "m"\npath = "models/name"')) == local
    assert hub.requests == []
