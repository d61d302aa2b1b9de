"""The page in a real browser: what a person types, sees and hears. Needs Chromium and playwright: `make browser`."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from api.keys import KeyStore
from api.settings import Settings
from tests.api.fakes import FakeTranslator
from tests.api.live import listening
from tests.api.test_markup import backwards
from translator.translation import SentenceScore, Translation

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make browser")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here: apt-get install chromium"),
]

TEXT = "where is the station 😀 now"


def answer(text: str, *, confidence: float) -> Translation:
    """A translation that turns the words round, of one sentence."""
    found = backwards(text)
    sentence = SentenceScore(0, len(text), 0, len(found.text), -0.1, None, confidence)
    return replace(found, sentences=(sentence,), alternatives=("another one", "a third"))


@pytest.fixture(scope="module")
def translator() -> FakeTranslator:
    """Turns the words round."""
    known = {
        TEXT: answer(TEXT, confidence=0.9),
        "a doubtful one": answer("a doubtful one", confidence=0.1),
        "<b>bold</b> & more": answer("<b>bold</b> & more", confidence=0.9),
    }
    return FakeTranslator({"this breaks": RuntimeError("broken on purpose")}, answers=known)


@pytest.fixture(scope="module")
def address(translator: FakeTranslator) -> Iterator[str]:
    """Where the service answers."""
    with listening(translator) as found:
        yield found + "/"


@pytest.fixture
def page(address: str) -> Iterator["Page"]:
    with playwright.sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened: Page = browser.new_page(locale="de-DE", viewport={"width": 1100, "height": 640})
        faults: list[str] = []
        opened.on("pageerror", lambda error: faults.append(str(error)))
        opened.goto(address)
        opened.locator("#source option").first.wait_for(state="attached")
        yield opened
        browser.close()
    assert not faults


def expect_answer(page: "Page", text: str) -> None:
    playwright.expect(page.locator("#answer")).to_have_text(text)


def test_it_translates_as_one_types(page: "Page") -> None:
    page.fill("#text", TEXT)
    expect_answer(page, "now 😀 station the is where")
    playwright.expect(page.locator("#status")).to_have_text("From English")
    page.fill("#text", "")
    expect_answer(page, "")


def test_what_is_certain_is_shown_while_the_rest_is_found(page: "Page", translator: FakeTranslator) -> None:
    translator.hold()
    translator.told = ["now", "now 😀 station"]
    page.fill("#text", TEXT)
    expect_answer(page, "now 😀 station")
    playwright.expect(page.locator("#answer-pane")).to_have_attribute("aria-busy", "true")
    playwright.expect(page.locator(".word")).to_have_count(0)
    translator.release()
    expect_answer(page, "now 😀 station the is where")
    playwright.expect(page.locator("#answer-pane")).to_have_attribute("aria-busy", "false")
    playwright.expect(page.locator(".word")).to_have_count(6)
    translator.told = []


def test_a_word_shows_where_it_came_from(page: "Page") -> None:
    page.fill("#text", TEXT)
    expect_answer(page, "now 😀 station the is where")
    page.locator(".word", has_text="station").hover()
    playwright.expect(page.locator("#echo mark")).to_have_text("station")
    playwright.expect(page.locator(".word.lit")).to_have_text("station")
    page.locator("h1").hover()
    playwright.expect(page.locator("#echo mark")).to_have_count(0)


def test_the_keyboard_goes_through_the_words(page: "Page") -> None:
    page.fill("#text", TEXT)
    expect_answer(page, "now 😀 station the is where")
    page.focus("#answer")
    page.keyboard.press("ArrowRight")
    playwright.expect(page.locator("#status")).to_have_text("now ← now")
    page.keyboard.press("ArrowLeft")
    playwright.expect(page.locator("#status")).to_have_text("where ← where")


def test_alternatives_can_be_taken(page: "Page") -> None:
    page.fill("#text", TEXT)
    page.locator("#others button", has_text="another one").click()
    expect_answer(page, "another one")
    playwright.expect(page.locator("#others button").first).to_have_text("now 😀 station the is where")


def test_what_the_model_doubts_is_dotted(page: "Page") -> None:
    page.fill("#text", "a doubtful one")
    playwright.expect(page.locator(".word.unsure")).to_have_count(3)
    page.fill("#text", TEXT)
    expect_answer(page, "now 😀 station the is where")
    playwright.expect(page.locator(".word.unsure")).to_have_count(0)


def test_text_never_becomes_markup(page: "Page") -> None:
    page.fill("#text", "<b>bold</b> & more")
    expect_answer(page, "more & <b>bold</b>")
    playwright.expect(page.locator("#answer b")).to_have_count(0)


def test_the_readers_own_language_is_not_the_target(page: "Page") -> None:
    assert page.input_value("#target") == "de"
    page.fill("#text", "Wo ist hier der Bahnhof?")
    expect_answer(page, "<en>Wo ist hier der Bahnhof?")
    assert page.input_value("#target") == "en"


def test_swapping_turns_text_and_languages_round(page: "Page") -> None:
    page.select_option("#source", "en")
    page.fill("#text", TEXT)
    expect_answer(page, "now 😀 station the is where")
    page.click("#swap")
    assert page.input_value("#source") == "de" and page.input_value("#target") == "en"
    assert page.input_value("#text") == "now 😀 station the is where"
    expect_answer(page, "<en>now 😀 station the is where")


def test_faults_are_told_and_forgotten(page: "Page") -> None:
    page.select_option("#source", "en")
    page.fill("#text", "this breaks")
    playwright.expect(page.locator("#error")).to_have_text("The translation failed; the server's log says why.")
    page.fill("#text", TEXT)
    expect_answer(page, "now 😀 station the is where")
    playwright.expect(page.locator("#error")).to_be_empty()


@pytest.mark.parametrize("width", [390, 1100])
def test_nothing_is_wider_than_the_window(page: "Page", width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.fill("#text", "x" * 300)
    expect_answer(page, "<de>" + "x" * 300)
    box = page.locator("#form").bounding_box()
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= width


def test_the_map_shows_which_words_belong_together(page: "Page") -> None:
    toggle = page.locator("#map-toggle")
    playwright.expect(toggle).to_be_disabled()
    page.fill("#text", TEXT)
    expect_answer(page, "now 😀 station the is where")
    toggle.click()
    playwright.expect(page.locator("#map th[scope=col]")).to_have_text(TEXT.split())
    playwright.expect(page.locator("#map th[scope=row]")).to_have_text(["now", "😀", "station", "the", "is", "where"])
    playwright.expect(page.locator("#map td span")).to_have_count(6)
    playwright.expect(page.locator("#map tr").nth(3).locator("td").nth(3)).to_have_attribute(
        "title", re.compile("^station ← station, ")
    )
    playwright.expect(toggle).to_have_attribute("aria-expanded", "true")
    page.fill("#text", "")
    playwright.expect(page.locator("#map")).to_be_hidden()


def test_the_map_leaves_no_word_out(page: "Page", translator: FakeTranslator) -> None:
    known = backwards("one two three")
    translator.answers["one two three"] = replace(known, alignment=known.alignment[:1])
    page.fill("#text", "one two three")
    expect_answer(page, "three two one")
    page.locator("#map-toggle").click()
    playwright.expect(page.locator("#map th[scope=col]")).to_have_text(["one", "two", "three"])
    playwright.expect(page.locator("#map th[scope=row]")).to_have_text(["three", "two", "one"])
    playwright.expect(page.locator("#map td span")).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(page: "Page", scheme: Literal["light", "dark"]) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed: make browser")
    page.emulate_media(color_scheme=scheme)
    page.fill("#text", "a doubtful one")
    playwright.expect(page.locator(".word.unsure")).to_have_count(3)
    page.fill("#text", TEXT)
    expect_answer(page, "now 😀 station the is where")
    page.locator("#map-toggle").click()
    page.locator("#history summary").click()
    for address in (None, "docs"):
        if address:
            page.goto(page.url + address)
            page.locator("h2").first.wait_for()
        found = axe.Axe().run(page).response["violations"]
        assert [each for each in found if each["impact"] in ("serious", "critical")] == []


def test_what_was_translated_is_remembered_here_and_can_be_forgotten(page: "Page") -> None:
    playwright.expect(page.locator("#history")).to_be_hidden()
    answers = {"where is": "<de>where is", "where is it": "<de>where is it", TEXT: "now 😀 station the is where"}
    for typed, answered in answers.items():
        page.fill("#text", typed)
        expect_answer(page, answered)
        playwright.expect(page.locator("#past li").first).to_contain_text(answered)
    page.locator("#history summary").click()
    past = page.locator("#past li")
    playwright.expect(past).to_have_count(2)  # what was still being typed gave way
    playwright.expect(past.first).to_contain_text("now 😀 station the is where")
    past.nth(1).locator("button").click()
    playwright.expect(page.locator("#text")).to_have_value("where is it")
    page.reload()
    playwright.expect(page.locator("#past li")).to_have_count(2)
    page.locator("#history summary").click()
    page.locator("#forget").click()
    playwright.expect(page.locator("#history")).to_be_hidden()


def test_a_service_with_keys_asks_for_one_and_the_browser_keeps_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'keys.db'}"
    secret = KeyStore(url).create("phone")
    with listening(FakeTranslator(), Settings(keys=url)) as address, playwright.sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(address)
        page.fill("#text", "where is it")
        playwright.expect(page.locator("#error")).to_contain_text("to get an API key")
        page.fill("#key", secret)
        page.keyboard.press("Tab")
        expect_answer(page, "<de>where is it")
        page.reload()
        playwright.expect(page.locator("#key")).to_have_value(secret)
        browser.close()


def test_a_service_without_keys_asks_for_none(page: "Page") -> None:
    playwright.expect(page.locator("#source option").first).to_be_attached()
    playwright.expect(page.locator("#key-field")).to_be_hidden()
