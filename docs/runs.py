"""Write what the pages show of real runs: pictures of the terminal, and tables of answers and figures.

    python docs/runs.py

A table stands between ``<!-- answers ... -->`` or ``<!-- figures ... -->`` and ``<!-- end -->``.
"""

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from pathlib import Path

import pyarrow.parquet as pq
from rich.console import Console
from rich.text import Text
from typer.testing import CliRunner

from labelf_cli.cli.main import app
from labelf_cli.config_file import load_config
from labelf_cli.evaluation.labelled import LabelledTable
from labelf_cli.gold import parse_gold
from labelf_cli.jobs.evaluate import EvaluateSettings, evaluate
from labelf_cli.run import run
from labelf_cli.run_settings import RunSettings

DOCS = Path(__file__).parent
ROOT = DOCS.parent
WIDTH = 96
SCREENS = {
    "classify": "classify sample_data/calls.csv --config configs/models.toml -o {folder}/labelled.csv",
    "check": "check --config configs/contact_centre.toml sample_data/calls.csv",
    "models": "models --config configs/models.toml --model product",
    "evaluate": "evaluate sample_data/tickets.csv --config configs/triage.toml --gold urgency=urgency",
    "tune": "tune tests/data/unseen_sentences.csv --config configs/contact_centre.toml "
    "--gold churn_risk=churn_risk --precision 0.9 -o {folder}/tuned.toml",
}
_SHOWN_CHARACTERS = 110


def main() -> None:
    """Write all pictures, and the tables of all pages."""
    for name in SCREENS:
        (DOCS / "screens" / f"{name}.svg").write_text(picture(name), "utf-8")
    for page in sorted(DOCS.glob("*.md")):
        page.write_text(with_tables(page.read_text("utf-8")), "utf-8")


# Pictures ---------------------------------------------------------------------------------------


def picture(name: str) -> str:
    """What a command says on a terminal, as an SVG that asks no server for a font."""
    console = Console(record=True, width=WIDTH, file=StringIO())
    console.print(Text.from_ansi(said(SCREENS[name])), soft_wrap=False)
    svg = console.export_svg(title=f"labelf {name}", unique_id=name)
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL) + "\n"


def said(command: str) -> str:
    """All that a command says, with the colours of a terminal and without its progress bar."""
    env = {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": str(WIDTH)}
    with tempfile.TemporaryDirectory() as folder:
        arguments = [part.replace("{folder}", folder) for part in command.split()]
        for i, part in enumerate(arguments):
            if part.startswith(("sample_data/", "configs/", "tests/")):
                arguments[i] = str(ROOT / part)
        done = CliRunner().invoke(app, arguments, env=env)
        text = done.output.replace(f"{folder}/", "").replace(f"{ROOT}/", "")
    assert done.exit_code == 0, text
    return re.split(r"\x1b\[\?25h|\x1b\[2K", text)[-1].strip("\n\r")


# Tables -----------------------------------------------------------------------------------------


def with_tables(page: str) -> str:
    """A page with its tables made anew."""
    return re.sub(
        r"(<!-- (answers|figures) (.*?) -->\n).*?(<!-- end -->)",
        lambda found: f"{found[1]}\n{_TABLES[found[2]](found[3].split())}\n\n{found[4]}",
        page,
        flags=re.DOTALL,
    )


def _answers(arguments: Sequence[str]) -> str:
    """Labels and scores of some rows: config, table, ids, columns of texts, models."""
    config, table, ids, texts, models = arguments
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "answers.parquet"
        loaded = load_config(ROOT / config)
        run(RunSettings(loaded, (str(ROOT / table),), threads=1, output=output), lambda _: None)
        rows = {row["id"]: row for row in pq.read_table(output).to_pylist()}
    names = models.split(",")
    lines = [f"| | text | {' | '.join(names)} |", f"|---|---|{'---|' * len(names)}"]
    for key in ids.split(","):
        row = rows[key]
        text = " / ".join(row[column] for column in texts.split(",") if row[column])
        cells = [key, _shortened(text), *(_cell(row, name) for name in names)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _shortened(text: str) -> str:
    flat = " ".join(text.split()).replace("|", "/")
    return flat if len(flat) <= _SHOWN_CHARACTERS else flat[:_SHOWN_CHARACTERS].rstrip() + " …"


def _cell(row: Mapping[str, object], name: str) -> str:
    label, score = row[f"{name}.label"], row[f"{name}.score"]
    if f"{name}.labels" in row:
        accepted = row[f"{name}.labels"]
        assert isinstance(accepted, list)
        return ", ".join(accepted) or str(label or "")
    return "" if label is None else f"{label} {score:.2f}" if score is not None else str(label)


def _figures(arguments: Sequence[str]) -> str:
    """How good models are: config, table, and MODEL=COLUMN for each."""
    config, table, *gold = arguments
    labelled = LabelledTable((str(ROOT / table),), parse_gold(gold), (), None)
    settings = EvaluateSettings(labelled, load_config(ROOT / config), threads=1, resamples=0)
    lines = ["| model | rows | accuracy | coverage | accuracy where covered |"]
    lines.append("|---|---:|---:|---:|---:|")
    for one in evaluate(settings, lambda _: None):
        its = one.figures
        shown = (its.accuracy, its.coverage, its.covered_accuracy)
        figures = " | ".join("-" if value is None else f"{value:.2f}" for value in shown)
        lines.append(f"| {one.name} | {its.rows} | {figures} |")
    return "\n".join(lines)


_TABLES: Mapping[str, Callable[[Sequence[str]], str]] = {"answers": _answers, "figures": _figures}

if __name__ == "__main__":
    main()
