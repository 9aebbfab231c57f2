"""Take the picture of the page that stands in the README.

    python docs/page.py

It needs Chromium, as Debian's package chromium has it, and the extra dev.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

DOCS = Path(__file__).parent
CONFIG = DOCS.parent / "configs" / "models.toml"


def main() -> None:
    """Serve the sample models, classify the page's example, take the picture."""
    command = [sys.executable, "-m", "labelf_cli", "serve", "--config", str(CONFIG), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        lines = (re.search(r"serving at (\S+)", line) for line in server.stderr)
        take(next(found[1] for found in lines if found), DOCS / "page.png")
        server.terminate()


def take(url: str, path: Path) -> None:
    """Picture of the page with its example classified."""
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=options)
        page = browser.new_page(viewport={"width": 1200, "height": 750}, reduced_motion="reduce")
        page.goto(url)
        page.get_by_role("button", name="Example").click()
        page.locator("li.best").first.wait_for()
        page.mouse.move(0, 0)
        page.screenshot(path=path)
        browser.close()


if __name__ == "__main__":
    main()
