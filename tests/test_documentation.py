"""The README and the pages are true: commands run, configs load, links lead somewhere.

Examples are the lines that begin with four spaces and ``labelf``. They run in this process, beside
the sample data with the labelled tables cut short.
"""

import csv
import html
import re
import shlex
import tomllib
from itertools import islice, takewhile
from pathlib import Path

import duckdb
import pytest
from conftest import ROOT
from typer.main import get_command
from typer.testing import CliRunner

from docs import reference, runs
from labelf_cli.cli.main import app
from labelf_cli.config import Config, LabelfApiConfig, LlmConfig, ModelConfig

PAGES = {
    str(path.relative_to(ROOT)): path.read_text("utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
}
EXAMPLES = {
    name: found
    for name, page in PAGES.items()
    if (found := re.findall(r"^ {4,}((?:[A-Z_]+=\S+ )?labelf .*)$", page, re.MULTILINE))
}
COMMANDS = set(get_command(app).commands)  # type: ignore[attr-defined]
QUICKLY = {
    "bench": ("--seconds", "0.1"),
    "optimize": ("--seconds", "0.05"),
    "evaluate": ("--resamples", "20"),
    "train": ("--folds", "2"),
    "report": ("--shown", "5"),
}
"""Options that an example does without, so that it takes no longer than it has to."""


# Examples ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample data, its labelled tables cut short."""
    folder = tmp_path_factory.mktemp("samples")
    for path in (ROOT / "sample_data").iterdir():
        if not path.name.endswith("labelled.csv"):
            (folder / path.name).symlink_to(path)
            continue
        with (
            path.open(encoding="utf-8", newline="") as table,
            (folder / path.name).open("w", encoding="utf-8", newline="") as short,
        ):
            csv.writer(short).writerows(islice(csv.reader(table), 201))
    return folder


@pytest.fixture
def place(samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work where a checkout might be; what an example writes under sample_data/ goes elsewhere."""
    (tmp_path / "sample_data").mkdir()
    for path in samples.iterdir():
        (tmp_path / "sample_data" / path.name).symlink_to(path)
    for name in ("configs", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)


def run_example(line: str) -> None:
    """What a shell would do with it."""
    for part in line.split(" && "):
        words = shlex.split(part)
        env = dict(word.split("=", 1) for word in takewhile(lambda word: "=" in word, words))
        del words[: len(env)]
        stdin = b""
        if "<" in words:
            at = words.index("<")
            stdin = Path(words[at + 1]).read_bytes()
            del words[at : at + 2]
        if words[-2] == "-o":  # the sample models that are there stay as they are
            words[-1] = words[-1].replace("sample_data/", "made/")
        arguments = [*words[1:], *QUICKLY.get(words[1], ())]
        done = CliRunner().invoke(app, arguments, input=stdin, env=env)
        assert done.exit_code == 0, f"{part}\n{done.output}"


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_of_a_page_run_one_after_the_other(name: str) -> None:
    for line in EXAMPLES[name]:
        run_example(line)
    for query in re.findall(r"```sql\n(.*?)```", PAGES[name], re.DOTALL):
        assert duckdb.execute(query).fetchall()
    for page in Path().glob("*.html"):
        assert page.read_text("utf-8").endswith("</html>\n")


def test_there_are_examples_of_every_command() -> None:
    lines = [line for found in EXAMPLES.values() for line in found]
    shown = {name for line in lines for name in re.findall(r"\blabelf (\w+)", line)}
    assert COMMANDS - {"serve", "schema"} <= shown


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", PAGES["docs/extend.md"], re.S))
def test_the_code_for_the_kernel_runs(code: str) -> None:
    names: dict[str, object] = {}
    exec(code, names)
    assert names.get("best", "Mobile Broadband") in {"Mobile Broadband", "Fibre Broadband"}
    assert names.get("tones", ["shouting", "calm"]) == ["shouting", "calm"]


@pytest.mark.parametrize(
    "example",
    [code for page in PAGES.values() for code in re.findall(r"```toml\n(.*?)```", page, re.S)],
)
def test_a_config_example_is_valid(example: str) -> None:
    assert len(Config.model_validate(tomllib.loads(example)).models) == 2


# Links ------------------------------------------------------------------------------------------


def anchors(page: str) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", PAGES[name]):
        path, _, anchor = target.partition("#")
        at = (ROOT / name).parent / path if path else ROOT / name
        assert at.exists(), target
        if anchor:
            assert anchor in anchors(at.read_text("utf-8")), target


def test_every_page_is_linked_from_the_readme() -> None:
    linked = set(re.findall(r"\]\((docs/[\w-]+\.md)\)", PAGES["README.md"]))
    assert linked == {name for name in PAGES if name.startswith("docs/")}


# What is made from the code ---------------------------------------------------------------------


@pytest.mark.parametrize("name", reference.PAGES)
def test_a_page_that_is_made_is_as_the_code_makes_it(name: str) -> None:
    assert PAGES[f"docs/{name}"] == reference.PAGES[name](), "run python docs/reference.py"


def test_every_command_and_option_is_told() -> None:
    page = PAGES["docs/commands.md"]
    assert set(re.findall(r"^## labelf (\w+)$", page, re.MULTILINE)) == COMMANDS
    for info in app.registered_commands:
        assert info.callback is not None
        assert info.callback.__doc__
        for parameter in reference.parameters(info.callback):
            assert parameter.meaning, f"{info.callback.__name__} {parameter.names}"


def test_every_key_is_told() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \|$", PAGES["docs/config.md"], re.MULTILINE)
    kinds = (ModelConfig, LabelfApiConfig, LlmConfig)
    assert {key for key, _, _ in rows} == {"text_column"}.union(*(k.model_fields for k in kinds))


# What real runs give ----------------------------------------------------------------------------


def words_of(svg: str) -> list[str]:
    """The texts of a picture, without figures: speed is never the same, nor is a last digit."""
    texts = " ".join(re.findall(r"<text[^>]*>(.*?)</text>", svg))
    return re.sub(r"[\d.,]+|[━╸╺]+", "#", html.unescape(texts)).split()


@pytest.mark.parametrize("name", runs.SCREENS)
def test_a_picture_shows_what_the_command_says(name: str) -> None:
    path = ROOT / "docs" / "screens" / f"{name}.svg"
    shown = path.read_text("utf-8")
    assert words_of(shown) == words_of(runs.picture(name)), "run python docs/runs.py"
    assert "http" not in re.sub(r'xmlns="[^"]*"|<!--.*?-->', "", shown, flags=re.DOTALL)


@pytest.mark.parametrize("name", [name for name, page in PAGES.items() if "<!-- end -->" in page])
def test_the_tables_of_a_page_are_those_of_a_run(name: str) -> None:
    assert len(re.findall("<!-- (?:answers|figures) ", PAGES[name])) == PAGES[name].count(
        "<!-- end"
    )
    shown, found = (
        re.sub(r"\d\.\d\d", "#", page) for page in (PAGES[name], runs.with_tables(PAGES[name]))
    )
    assert shown == found, "run python docs/runs.py"
