"""Chromium, driven by Playwright, for tests of pages."""

import os
import shutil
from collections.abc import Iterator
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium")
Scheme = Literal["light", "dark"]

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no chromium to show the page"
)


@pytest.fixture(scope="module", name="browser")
def chromium_browser() -> Iterator[Browser]:
    """A browser; a module that wants it names this function."""
    # Chromium refuses to be root inside its sandbox.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


def lightness(page: Page, which: str) -> float:
    """Relative luminance of a colour of the body, by WCAG 2."""
    css = page.evaluate(f"getComputedStyle(document.body).getPropertyValue('{which}')")
    parts = [int(part) / 255 for part in css.removeprefix("rgb(").rstrip(")").split(",")]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(page: Page) -> float:
    """Of text and background, by WCAG 2."""
    dark, light = sorted(lightness(page, which) for which in ("color", "background-color"))
    return (light + 0.05) / (dark + 0.05)
