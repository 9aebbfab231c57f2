"""Which execution providers run a graph, and what is said of those that can't."""

from collections.abc import Callable
from pathlib import Path

import onnxruntime as ort
import pytest
from conftest import Labelf, WriteModel, write_encoder, write_head

from labelf_cli.classifiers.groups import open_groups
from labelf_cli.classifiers.providers import CPU, Providers
from labelf_cli.config import Config, ModelConfig
from labelf_cli.errors import ConfigError

MakeConfig = Callable[..., Config]

EXPLICIT = {"providers": ["CPUExecutionProvider"]}
OTHER = {"providers": ["AzureExecutionProvider", "CPUExecutionProvider"]}
"""A provider that onnxruntime's usual wheel has, too; it leaves all of a graph to the CPU."""

needs_azure = pytest.mark.skipif(
    "AzureExecutionProvider" not in ort.get_available_providers(),
    reason="this onnxruntime has but one provider",
)


@pytest.fixture
def digest(make_config: MakeConfig, write_model: WriteModel) -> Callable[..., str]:
    """A function that gives the digest of one model with more keys."""
    path = write_model()

    def of(**keys: object) -> str:
        (group,) = open_groups(make_config({"name": "m", "path": path, **keys}).models)
        return group.digests[0]

    return of


class TestDigest:
    def test_is_that_of_the_cpu_however_that_is_said(self, digest: Callable[..., str]) -> None:
        empty: dict[str, object] = {"provider_options": {"CPUExecutionProvider": {}}}
        assert digest() == digest(**EXPLICIT) == digest(**EXPLICIT, **empty)

    @needs_azure
    def test_tells_other_providers_and_their_options_apart(
        self, digest: Callable[..., str]
    ) -> None:
        options = {"provider_options": {"AzureExecutionProvider": {"a": 1}}}
        assert len({digest(), digest(**OTHER), digest(**OTHER, **options)}) == 3

    @needs_azure
    def test_of_a_head_does_so_too(self, make_config: MakeConfig, tmp_path: Path) -> None:
        encoder = write_encoder(tmp_path / "encoder")
        head = {"name": "a", "path": write_head(tmp_path / "head", encoder), "encoder": encoder}
        models = make_config(head, head | {"name": "b"} | OTHER).models
        cpu, other = open_groups(models)
        assert cpu.digests != other.digests
        assert cpu.load() == other.load()

    @needs_azure
    def test_of_a_zero_shot_model_does_so_too(
        self, make_config: MakeConfig, write_model: WriteModel
    ) -> None:
        nli = {"label2id": {"contradiction": 0, "neutral": 1, "entailment": 2}}
        entry = {
            "name": "a",
            "path": write_model(config=nli),
            "kind": "zero-shot",
            "labels": ["bill", "tv"],
        }
        cpu, other = open_groups(make_config(entry, entry | {"name": "b"} | OTHER).models)
        assert cpu.digests != other.digests
        assert cpu.load() == other.load()


def test_options_are_text_in_the_order_of_their_names() -> None:
    config = ModelConfig(
        name="m",
        path=Path("/m"),
        providers=("CUDAExecutionProvider", "CPUExecutionProvider"),
        provider_options={"CUDAExecutionProvider": {"device_id": 1, "a": True, "b": "x"}},
    )
    providers = Providers.of(config)
    assert providers.for_session() == [
        ("CUDAExecutionProvider", {"a": "True", "b": "x", "device_id": "1"}),
        ("CPUExecutionProvider", {}),
    ]
    assert str(providers) == (
        "CUDAExecutionProvider (a = True, b = x, device_id = 1), CPUExecutionProvider"
    )


def test_the_cpu_is_what_runs_where_nothing_is_said() -> None:
    assert Providers.of(ModelConfig(name="m", path=Path("/m"))) == CPU


def test_an_absent_one_is_refused_before_anything_is_read(make_config: MakeConfig) -> None:
    entry = {"name": "m", "path": Path("/nowhere"), "providers": ["QNNExecutionProvider"]}
    with pytest.raises(ConfigError, match=r"^model 'm', providers: onnxruntime has no QNN"):
        open_groups(make_config(entry).models)


class TestCommand:
    @pytest.fixture
    def classify(
        self, labelf: Labelf, write_model: WriteModel, tmp_path: Path
    ) -> Callable[..., tuple[int, bytes, str]]:
        """A function that classifies a text by one model with more lines in its entry."""
        entry = f'[[models]]\nname = "m"\npath = "{write_model()}"\n'

        def call(lines: str = "", command: str = "classify") -> tuple[int, bytes, str]:
            (tmp_path / "models.toml").write_text(entry + lines)
            (tmp_path / "in.csv").write_text("text\nmy bill is too high\n")
            inputs = (tmp_path / "in.csv", "--quiet") if command == "classify" else ()
            done = labelf(command, *inputs, "-c", tmp_path / "models.toml")
            return done.returncode, done.stdout, done.stderr.decode()

        return call

    def test_ends_where_one_is_absent_and_names_those_present(
        self, classify: Callable[..., tuple[int, bytes, str]]
    ) -> None:
        present = ", ".join(ort.get_available_providers())
        asked = 'providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]'
        code, table, said = classify(asked)
        assert (code, table) == (2, b"")
        assert said == (
            "error: model 'm', providers: onnxruntime has no CUDAExecutionProvider here; it has "
            f"{present}. Correct providers in the config, or install the onnxruntime that has it\n"
        )

    def test_gives_the_same_bytes_where_the_cpu_is_named(
        self, classify: Callable[..., tuple[int, bytes, str]]
    ) -> None:
        code, table, said = classify()
        assert (code, said) == (0, "")
        assert classify('providers = ["CPUExecutionProvider"]') == (0, table, "")

    @needs_azure
    def test_shows_what_is_not_the_default(
        self, classify: Callable[..., tuple[int, bytes, str]]
    ) -> None:
        assert b"providers" not in classify("", "models")[1]
        other = 'providers = ["AzureExecutionProvider", "CPUExecutionProvider"]'
        code, shown, said = classify(other, "models")
        assert (code, said) == (0, "")
        assert b"AzureExecutionProvider, CPUExecutionProvider" in shown
