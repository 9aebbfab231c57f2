"""Take the pictures of the pages that stand in serve.md and report.md.

    python docs/page.py

It needs Chromium, as Debian's package chromium has it, and the extra dev.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page, sync_playwright

DOCS = Path(__file__).parent
CONFIG = DOCS.parent / "configs" / "models.toml"
TABLE = DOCS.parent / "sample_data" / "labelled.csv"
LABELF = (sys.executable, "-m", "labelf_cli")


def main() -> None:
    """Serve the sample models and make a report of what they say."""
    command = [*LABELF, "serve", "--config", str(CONFIG), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        lines = (re.search(r"serving at (\S+)", line) for line in server.stderr)
        take_page(next(found[1] for found in lines if found), DOCS / "page.png")
        server.terminate()
    with TemporaryDirectory() as folder:
        take_report(Path(folder), DOCS / "report.png")


def take_page(url: str, path: Path) -> None:
    """Picture of the page with its example classified."""
    with shown(url, 750) as page:
        page.get_by_role("button", name="Example").click()
        page.locator("li.best").first.wait_for()
        page.mouse.move(0, 0)
        page.screenshot(path=path)


def take_report(folder: Path, path: Path) -> None:
    """Picture of the beginning of a report."""
    output, run, report = (folder / name for name in ("calls.parquet", "run.json", "report.html"))
    classify = ["classify", str(TABLE), "-c", str(CONFIG), "-q", "--report", str(run)]
    subprocess.run([*LABELF, *classify, "-o", str(output)], check=True)
    options = ["--run", str(run), "--title", "What 6,000 sample calls are about"]
    subprocess.run([*LABELF, "report", output.name, *options, "-o", report], check=True, cwd=folder)
    with shown(report.as_uri(), 1000) as page:
        page.screenshot(path=path)


@contextmanager
def shown(url: str, height: int) -> Iterator[Page]:
    """A page in Chromium."""
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=options)
        page = browser.new_page(viewport={"width": 1200, "height": height}, reduced_motion="reduce")
        page.goto(url)
        yield page
        browser.close()


if __name__ == "__main__":
    main()
