"""The pages in Chromium: they ask for nothing, show what the tables hold, and can be filtered."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chromium import Scheme, chromium_browser, contrast, lightness, needs_chromium
from playwright.sync_api import Browser, Page, expect

from benchmarks import report_page as report_page_benchmark
from labelf_cli.evaluation.labelled import LabelledTable
from labelf_cli.jobs.evaluate import EvaluateSettings, evaluate
from labelf_cli.jobs.report import ReportSettings, report
from labelf_cli.outputs.rows import OutputTable
from labelf_cli.pages.evaluation import evaluation_page
from labelf_cli.pages.report import report_page

pytestmark = needs_chromium
browser = chromium_browser

SCRIPT = "<script>document.title = 'taken'</script>"
LABELS = ("TV", SCRIPT, "</style></script><b>'\"&", "خدمة سيئة", "👩‍👩‍👧 家族")
TEXTS = (
    "plain words",
    f"{SCRIPT}<img src=http://example.com/x onerror=\"document.title='taken'\">",
    "</p></ol></style></script>-->]]>",
    "الفاتورة مرتفعة جدا",
    "👩‍👩‍👧 " * 50,
    "long " * 20_000,
    "",
)
STATUSES = ("ok", "truncated", "failed")

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Rows whose texts and labels try to be more than text."""
    path = tmp_path_factory.mktemp("pages") / "now.jsonl"
    with path.open("w") as file:
        for number in range(35):
            status = STATUSES[number % 3]
            label = None if status == "failed" else LABELS[number % 5]
            row = {
                "id": f"<i>{number}",
                "text": TEXTS[number % 7],
                f"{SCRIPT}.label": label,
                f"{SCRIPT}.score": None if label is None else number / 70,
                "mood.label": "calm",
                "mood.score": 0.25 + number / 70,
                "mood.score.calm": 0.25 + number / 70,
                "mood.score.angry": 0.75 - number / 70,
                "gold": "angry" if number % 4 == 0 else "calm",
                "labelf.status": status,
                "labelf.error": f"mood: {SCRIPT}" if status == "failed" else None,
            }
            file.write(json.dumps(row) + "\n")
    return str(path)


@pytest.fixture(scope="module")
def page_file(table: str) -> Path:
    output = OutputTable((table,))
    settings = ReportSettings(output, output, gold={"mood": "gold"}, keys=("id",), shown=20)
    path = Path(table).with_name("report.html")
    path.write_bytes(report_page(report(settings, lambda _: None), SCRIPT).encode())
    return path


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """A function that opens a page; in the end it has asked for nothing, nor complained."""
    asked: list[str] = []
    complaints: list[str] = []

    def open_(
        path: Path, scheme: Scheme = "light", width: int = 1200, *, script: bool = True
    ) -> Page:
        context = browser.new_context(
            color_scheme=scheme,
            viewport={"width": width, "height": 800},
            java_script_enabled=script,
        )
        context.set_default_timeout(15_000)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.goto(path.as_uri())
        return page

    yield open_
    assert len(asked) == len([url for url in asked if url.startswith(("file:", "data:"))])
    assert len({url for url in asked if url.startswith("file:")}) == 1
    assert not complaints
    for context in browser.contexts:
        context.close()


def rows(page: Page) -> list[str]:
    """The rows that can be seen."""
    texts = page.locator("ol.rows > li:visible").all_text_contents()
    return [" ".join(text.split()) for text in texts]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 375)])
def test_what_users_wrote_is_text_and_the_page_is_legible(
    scheme: Scheme, width: int, page_file: Path, open_page: Open
) -> None:
    page = open_page(page_file, scheme, width)
    assert page.title() == SCRIPT
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert (lightness(page, "background-color") < 0.5) is (scheme == "dark")
    assert contrast(page) > 7
    assert page.locator("script, style").count() == 2
    assert page.locator("ol.rows img, b i").count() == 0
    names = page.locator("#models tbody th").all_inner_texts()
    assert set(LABELS) <= set(names)
    images = page.locator("picture img").all()
    assert images
    for image in images:
        assert image.evaluate("its => its.complete && its.naturalWidth > 0")
        source = image.evaluate("its => its.currentSrc === its.getAttribute('src')")
        assert source is (scheme == "light")


def test_rows_are_filtered(page_file: Path, open_page: Open) -> None:
    page = open_page(page_file)
    form, told = page.get_by_role("form", name="Filter the rows"), page.locator("#told")
    every = rows(page)
    expect(told).to_have_text(f"All {len(every)} rows are shown.")
    form.get_by_label("Why").select_option("not as gold")
    wrong = rows(page)
    assert len(wrong) == 9
    assert all("gold angry" in row for row in wrong)
    expect(told).to_have_text(f"9 of {len(every)} rows are shown.")
    assert page.locator(".list:visible").count() == 1
    form.get_by_label("Status").select_option("truncated")
    assert len(rows(page)) == sum(number % 4 == 0 and number % 3 == 1 for number in range(35))
    form.get_by_role("button", name="Clear").click()
    expect(told).to_have_text(f"All {len(every)} rows are shown.")
    form.get_by_label("Model").select_option(SCRIPT)
    form.get_by_label("Label").select_option(SCRIPT)
    assert rows(page)
    assert all(row.startswith(SCRIPT) for row in rows(page))
    form.get_by_role("button", name="Clear").click()
    form.get_by_label("Text").fill("ONERROR=")
    assert len(rows(page)) == sum("onerror=" in row for row in every)
    form.get_by_label("Text").fill("no such words")
    assert (rows(page), page.locator(".list:visible").count()) == ([], 0)
    expect(told).to_have_text(f"0 of {len(every)} rows are shown.")


def test_a_long_text_is_cut_and_that_is_told(page_file: Path, open_page: Open) -> None:
    page = open_page(page_file)
    row = page.locator("ol.rows > li").filter(has_text="long long").first
    row.locator("summary").click()
    expect(row).to_contain_text("Cut here: 97,000 more characters stand in the file.")
    shown = "".join(text.strip("… ") for text in row.locator(".text").all_inner_texts())
    assert len(re.findall("long", shown)) == 600


def test_the_keyboard_is_enough(page_file: Path, open_page: Open) -> None:
    page = open_page(page_file)

    def focused() -> str:
        return str(
            page.evaluate("document.activeElement.name || document.activeElement.textContent")
        )

    page.keyboard.press("Tab")
    assert focused() == "Skip to the rows to look at"
    page.keyboard.press("Enter")
    order = []
    for _ in range(6):
        page.keyboard.press("Tab")
        order.append(focused())
    assert order == ["why", "model", "label", "status", "text", "Clear"]
    page.keyboard.press("Shift+Tab")
    page.keyboard.type("onerror=")
    assert 0 < len(rows(page)) < page.locator("ol.rows > li").count()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#told")).to_contain_text("All ")
    page.keyboard.press("Tab")
    assert "more characters" in focused()


def test_without_a_script_all_rows_are_there(page_file: Path, open_page: Open) -> None:
    page = open_page(page_file, script=False)
    assert len(rows(page)) == page.locator("ol.rows > li").count() > 0
    expect(page.locator("#filter")).to_be_hidden()


def test_it_prints_on_paper_of_any_scheme(page_file: Path, open_page: Open) -> None:
    page = open_page(page_file)
    page.emulate_media(media="print")
    expect(page.locator("#filter")).to_be_hidden()
    assert page.locator("#models h3").first.is_visible()


@pytest.mark.parametrize(
    "count", [pytest.param(20_000, id="short"), pytest.param(1_000_000, marks=pytest.mark.long)]
)
def test_a_large_output_is_bounded_in_time_and_memory(
    count: int, open_page: Open, tmp_path: Path
) -> None:
    output, path = tmp_path / "now.parquet", tmp_path / "page.html"
    report_page_benchmark.write(output, count, seed=1)
    seconds, megabytes = report_page_benchmark.measure(output, path, [])
    assert (seconds < 60, megabytes < 500) == (True, True)
    page = open_page(path)
    tiles = page.locator("#overview .tiles dd").first
    expect(tiles).to_have_text(f"{count:,}")
    assert len(rows(page)) == 500


def test_the_figures_of_evaluate_are_a_page(table: str, open_page: Open) -> None:
    settings = EvaluateSettings(LabelledTable((table,), {"mood": "gold"}), None, 1, resamples=20)
    found = evaluate(settings, lambda _: None)
    path = Path(table).with_name("evaluation.html")
    path.write_text(evaluation_page(found, SCRIPT))
    page = open_page(path)
    figures = found[0].figures
    tiles = {
        tile.locator("dt").inner_text(): tile.locator("dd").inner_text().split("\n")
        for tile in page.locator(".tiles div").all()
    }
    low, high = figures.intervals["accuracy"]
    assert tiles["Accuracy"] == [f"{figures.accuracy:.3f}", f"{low:.3f} to {high:.3f}"]
    assert tiles["Log loss"] == [f"{figures.log_loss:.3f}"]
    labels = [row.inner_text().split("\t") for row in page.locator(".bars tbody tr").all()]
    assert [[cell.strip() for cell in row if cell.strip()] for row in labels] == [
        [
            its.label,
            *(f"{n:.3f}" for n in (its.f1, its.precision, its.recall)),
            *(f"{n:,}" for n in (its.support, its.answered)),
        ]
        for its in figures.per_label
    ]
    assert page.locator("picture").count() == 1
