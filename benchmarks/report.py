"""From what was measured to ratios, a Markdown table and a plot.

    python -m benchmarks.report

writes ``results.md`` and ``results.svg`` anew from ``results.json``.
"""

import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results.json"
BASE = "labelf fp32"

RATIOS = (
    (BASE, "Optimum, batch 32"),
    (BASE, "Optimum"),
    (BASE, "transformers fp32, batch 32"),
    (BASE, "transformers fp32"),
    (BASE, "transformers bf16"),
    (BASE, "CTranslate2 fp32"),
    (BASE, "onnxruntime fp32 loop"),
    (BASE, "onnxruntime fp32 loop, labelf's sessions"),
    ("labelf int8", BASE),
    ("labelf int8", "CTranslate2 int8"),
    ("labelf int8", "PyTorch bf16 loop"),
)
"""Whose speed is put in proportion to whose; the latter may be a family, by how names begin."""

SHAPES = {"minilm": "6 layers, 384 wide", "distilbert": "6 layers, 768 wide"}
GREY, OURS, OTHERS = "#767d87", "#3b82f6", "#a3a9b3"
"""Legible on white and on black."""


@dataclass(frozen=True)
class Measured:
    """One contender in one case.

    Attributes:
        seconds: by round; None for a round in which it was left out.
        largest_difference: between its scores and those of labelf fp32; None without scores.
        equal_labels: share of the best labels that are those of labelf fp32.
    """

    seconds: tuple[float | None, ...]
    largest_difference: float | None
    equal_labels: float | None

    @property
    def rounds(self) -> list[float]:
        """Seconds of the rounds in which it was measured."""
        return [seconds for seconds in self.seconds if seconds is not None]


@dataclass(frozen=True)
class Case:
    """What all contenders did with one table and the models of one shape.

    Attributes:
        shape: of the models.
        table: name of the texts.
        texts, tokens: how many.
        contenders: by name.
    """

    shape: str
    table: str
    texts: int
    tokens: int
    contenders: dict[str, Measured]

    @classmethod
    def of(cls, raw: dict[str, Any]) -> "Case":
        """A case as ``results.json`` has it."""
        contenders = {
            name: Measured(tuple(m["seconds"]), m["largest_difference"], m["equal_labels"])
            for name, m in raw["contenders"].items()
        }
        return cls(raw["shape"], raw["table"], raw["texts"], raw["tokens"], contenders)

    @property
    def title(self) -> str:
        """One line."""
        per_text = round(self.tokens / self.texts)
        return f"{SHAPES[self.shape]}: {self.texts} texts of {per_text} tokens in the mean"

    def speed(self, name: str) -> float:
        """Median of texts a second."""
        return self.texts / statistics.median(self.contenders[name].rounds)

    def ratio(self, name: str, other: str) -> float:
        """How many times as fast as another a contender is.

        The median over the rounds in which both were measured.
        """
        pairs = zip(self.contenders[name].seconds, self.contenders[other].seconds, strict=True)
        return statistics.median(its / one for one, its in pairs if one and its)

    def fastest(self, prefix: str) -> str | None:
        """The contender of this name, else the fastest whose name begins so."""
        if prefix in self.contenders:
            return prefix
        names = [name for name in self.contenders if name.startswith(prefix)]
        return max(names, key=self.speed, default=None)

    def ratios(self) -> Iterator[tuple[str, str, float]]:
        """The ratios that are asked for and can be given."""
        for name, prefix in RATIOS:
            other = self.fastest(prefix)
            if name in self.contenders and other:
                yield name, other, self.ratio(name, other)


def markdown(cases: Sequence[Case]) -> str:
    """A table for each case, and the ratios under it."""
    return "\n".join(line for case in cases for line in _section(case))


def _section(case: Case) -> Iterator[str]:
    yield f"### {case.title}\n"
    yield f"| | texts a second | {BASE} to it | labels as {BASE} | scores within | rounds |"
    yield "|---|---:|---:|---:|---:|---:|"
    for name, measured in case.contenders.items():
        speed, times = case.speed(name), case.ratio(BASE, name)
        equal, within = measured.equal_labels, measured.largest_difference
        cells = (
            name,
            f"{speed:.1f}",
            f"{times:.2f}",
            "" if equal is None else f"{equal:.2%}",
            "" if within is None else f"{within:.0e}",
            str(len(measured.rounds)),
        )
        yield f"| {' | '.join(cells)} |"
    yield ""
    for name, other, ratio in case.ratios():
        yield f"- {name} to {other}: {ratio:.2f}"
    yield ""


def plot(cases: Sequence[Case], path: Path) -> None:
    """Bars of texts a second, one panel for each case, as SVG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    colours: dict[Any, str] = dict.fromkeys(
        ("text.color", "xtick.color", "ytick.color", "axes.edgecolor"), GREY
    )
    with mpl.rc_context({"svg.hashsalt": "labelf", "font.size": 9, **colours}):
        figure = Figure(figsize=(8, 0.6 + sum(0.5 + 0.2 * len(c.contenders) for c in cases)))
        heights = [len(case.contenders) for case in cases]
        panels = figure.subplots(len(cases), 1, squeeze=False, height_ratios=heights)[:, 0]
        for panel, case in zip(panels, cases, strict=True):
            names = list(case.contenders)
            bars = panel.barh(
                names,
                [case.speed(name) for name in names],
                color=[OURS if name.startswith("labelf") else OTHERS for name in names],
            )
            panel.bar_label(bars, fmt="%.1f", padding=3)
            panel.set_title(f"texts a second, four models, {case.title}", loc="left", fontsize=9)
            panel.invert_yaxis()
            panel.spines[["top", "right", "bottom"]].set_visible(False)
            panel.tick_params(bottom=False, left=False, labelbottom=False)
        figure.tight_layout()
        figure.savefig(
            path, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None}
        )


def write(raw: dict[str, Any], path: Path = RESULTS) -> None:
    """Write the results as JSON, as Markdown and as a plot."""
    cases = [Case.of(case) for case in raw["cases"]]
    path.write_text(json.dumps(raw, indent=1) + "\n", "utf-8")
    versions = ", ".join(f"{name} {version}" for name, version in raw["versions"].items())
    head = f"{raw['date']}, {raw['cores']} cores of {raw['cpu']}; {versions}.\n\n{raw['how']}\n"
    path.with_suffix(".md").write_text(f"{head}\n{markdown(cases)}", "utf-8")
    plot(cases, path.with_suffix(".svg"))


if __name__ == "__main__":
    write(json.loads(RESULTS.read_text("utf-8")))
