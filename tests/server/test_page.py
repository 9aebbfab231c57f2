"""The page in Chromium: it classifies a conversation and shows the answers as bars."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx2
import pytest
from chromium import Scheme, chromium_browser, contrast, lightness, needs_chromium
from conftest import ROOT
from playwright.sync_api import Browser, Page, expect
from served import Served, served

CONFIG = ROOT / "configs" / "models.toml"
TEXT = "Hej, min räkning är fel igen! The bill is wrong for the third month."
TOKEN = "a-token-of-the-tests"

pytestmark = needs_chromium
browser = chromium_browser

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served(CONFIG) as running:
        yield running


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """A function that opens the page; in the end it has asked no other host, nor complained."""
    asked: list[str] = []
    complaints: list[str] = []
    hosts: set[str] = set()
    with ExitStack() as contexts:

        def open_(server: Served, scheme: Scheme = "light", width: int = 1200) -> Page:
            context = browser.new_context(
                color_scheme=scheme,
                viewport={"width": width, "height": 800},
                reduced_motion="reduce",
            )
            contexts.callback(context.close)
            context.set_default_timeout(15_000)
            page = context.new_page()
            page.on("request", lambda request: asked.append(request.url))
            page.on("console", lambda message: complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(server.url)
            hosts.add(server.url)
            return page

        yield open_
    strangers = [url for url in asked if not url.startswith((*hosts, "data:"))]
    assert not strangers
    # Chromium notes there what a server refuses, too.
    assert not [c for c in complaints if not c.startswith("Failed to load resource: ")]


def shown(page: Page) -> dict[str, list[tuple[str, str]]]:
    """Labels and scores that can be seen, by model."""
    found = {}
    for card in page.locator(".model").all():
        rows = card.locator("li:visible").all()
        found[card.locator("h3").inner_text()] = [
            (row.locator(".label").inner_text(), row.locator(".score").inner_text()) for row in rows
        ]
    return found


def expected(server: Served, text: str) -> dict[str, list[tuple[str, str]]]:
    """What the API answers, as the page is to show it."""
    ids = [model["id"] for model in httpx2.get(f"{server.url}/v2/models").json()]
    request = {"texts": [text], "model_settings": [{"model_id": its} for its in ids]}
    reply = httpx2.post(f"{server.url}/v2/models/inference", json=request).json()
    return {
        result["model_name"]: [
            (its["label"], f"{its['score'] * 100:.1f}%") for its in result["predictions"][0]
        ]
        for result in reply["results"]
    }


def cut(answers: dict[str, list[tuple[str, str]]]) -> dict[str, list[tuple[str, str]]]:
    """Without what stands behind a button."""
    return {name: its if len(its) <= 6 else its[:5] for name, its in answers.items()}


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 390)])
def test_a_conversation_is_classified(
    server: Served, open_page: Open, scheme: Scheme, width: int
) -> None:
    page = open_page(server, scheme, width)
    page.get_by_label("Conversation").fill(TEXT)
    page.get_by_role("button", name="Classify").click()
    page.wait_for_selector("li.best")
    answers = expected(server, TEXT)
    assert shown(page) == cut(answers)
    for card in page.locator(".model").all():
        for row in card.locator("li:visible").all():
            bar, filled = (row.locator(which).bounding_box() for which in (".bar", ".bar i"))
            assert bar is not None
            assert filled is not None
            share = float(row.locator(".score").inner_text().rstrip("%")) / 100
            assert abs(filled["width"] - max(share * bar["width"], 2)) < 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert (lightness(page, "background-color") < 0.5) is (scheme == "dark")
    assert contrast(page) > 7


def test_the_keyboard_is_enough(server: Served, open_page: Open) -> None:
    page = open_page(server)
    page.wait_for_selector(".model")

    def focused() -> str:
        return str(page.evaluate("document.activeElement.id || document.activeElement.textContent"))

    page.keyboard.press("Tab")
    assert focused() == "Skip to the answers"
    page.keyboard.press("Tab")
    assert focused() == "text"
    page.keyboard.type(TEXT)
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("li.best")
    answers = expected(server, TEXT)
    expect(page.locator("#said")).to_contain_text(f"Product: {answers['Product'][0][0]}.")
    order = []
    for _ in range(4):
        page.keyboard.press("Tab")
        order.append(focused())
    assert order == ["go", "example", "clear", "5 more"]
    page.keyboard.press("Enter")
    assert shown(page)["Root cause"] == answers["Root cause"]
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    assert (focused(), page.locator("li").count()) == ("text", 0)


def test_an_example_shows_what_it_does(server: Served, open_page: Open) -> None:
    page = open_page(server)
    texts = []
    for _ in range(3):
        page.get_by_role("button", name="Example").click()
        texts.append(page.get_by_label("Conversation").input_value())
        answers = expected(server, texts[-1])
        expect(page.locator("#said")).to_contain_text(f"Product: {answers['Product'][0][0]}.")
        assert shown(page) == cut(answers)
    assert len(set(texts)) == 3


def test_what_goes_wrong_is_said_in_words(open_page: Open) -> None:
    with served(CONFIG, "--max-characters", "20") as server:
        page = open_page(server)
        page.wait_for_selector(".model")
        says = page.get_by_role("alert")
        page.get_by_role("button", name="Classify").click()
        expect(says).to_have_text(
            "There is no text yet. Paste a conversation, or take the example."
        )
        server.end()
        page.get_by_label("Conversation").fill("bill")
        page.get_by_role("button", name="Classify").click()
        expect(says).to_have_text("The server can't be reached. Is it running?")
        page.close()


def test_a_token_is_asked_for(open_page: Open) -> None:
    with served(CONFIG, token=TOKEN) as server:
        page = open_page(server)
        field = page.get_by_label("Token")
        expect(field).to_be_focused()
        field.fill("another")
        field.press("Tab")
        expect(page.get_by_role("alert")).to_have_text("The server doesn't know this token.")
        field.fill(TOKEN)
        field.press("Tab")
        page.wait_for_selector(".model")
        page.get_by_label("Conversation").fill(TEXT)
        page.get_by_role("button", name="Classify").click()
        page.wait_for_selector("li.best")
        assert page.evaluate("localStorage.length + sessionStorage.length") == 0
        assert page.context.cookies() == []
