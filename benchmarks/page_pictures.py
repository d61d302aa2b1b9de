"""Pictures of the page as people see it: a translation, a word with the one it came from, the map of all words.

In light and dark, for a desk and for a phone.

    carousel serve --port 8123 &
    python benchmarks/page_pictures.py http://127.0.0.1:8123/ --output docs

Needs Chromium on this machine and playwright (the extra `browser`).
"""

import argparse
import shutil
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, expect, sync_playwright

TEXT = "My daughter is ill and has to stay at home today."
WORD = "krank"
SIZES = {"desktop": (1100, 1010), "phone": (390, 1180)}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def main() -> None:
    """Writes page-desktop-light.png and its like."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", help="where the service answers, with a model for English to German")
    parser.add_argument("--output", type=Path, default=Path("docs"), help="folder of the pictures (docs)")
    options = parser.parse_args()
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        raise SystemExit("There is no Chromium here: install it, on Debian by apt-get install chromium.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for size in SIZES:
            for scheme in SCHEMES:
                _draw(browser, options.address, size, scheme, options.output / f"page-{size}-{scheme}.png")
        browser.close()


def _draw(browser: Browser, address: str, size: str, scheme: Literal["light", "dark"], path: Path) -> None:
    width, height = SIZES[size]
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme, locale="de-DE")
    page.goto(address)
    page.fill("#text", TEXT)
    word = page.locator(".word", has_text=WORD)
    expect(word).to_be_visible()
    page.locator("#map-toggle").click()
    word.hover()
    page.wait_for_timeout(300)  # until the colour is all there
    page.screenshot(path=path)
    page.close()
    print(path)


if __name__ == "__main__":
    main()
