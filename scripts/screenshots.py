#!/usr/bin/env python3
"""Take the pictures of the pages that README and docs show: docs/images/*.png.

    python scripts/screenshots.py --run NAME

The run should be finished. Needs Playwright, which is one of the tests' packages, and Chromium.
The pictures show what the run's own model answers.
"""

import argparse
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
SIZE = {"width": 1180, "height": 760}
QUESTIONS = ("Hello! Who are you?", "What is the capital of Japan?")
TIMEOUT_MS = 120_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--run", required=True, help="name of the run")
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    IMAGES.mkdir(exist_ok=True)
    with server(options.run) as address, sync_playwright() as session:
        browser = session.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.set_default_timeout(TIMEOUT_MS)
        chat(page, address)
        training(page, address)
        browser.close()


def chat(page: Page, address: str) -> None:
    """The chat, after two questions."""
    page.goto(address)
    for question in QUESTIONS:
        page.get_by_label("Your message").fill(question)
        page.keyboard.press("Enter")
        page.get_by_text(question).last.wait_for()
        page.locator("#log[aria-busy=false]").wait_for(state="attached")
    save(page, "chat")


def training(page: Page, address: str) -> None:
    """The training page, with its curves."""
    page.goto(f"{address}/training/")
    page.locator("svg polyline").first.wait_for(state="attached")
    save(page, "training")


def save(page: Page, name: str) -> None:
    path = IMAGES / f"{name}.png"
    page.screenshot(path=path)
    print(path)


@contextmanager
def server(run: str) -> Iterator[str]:
    """Run `firstwords serve` for a run, and give its address."""
    command = [sys.executable, "-m", "firstwords", "serve", "--run", run, "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    try:
        found = (re.search(r"http://\S+", line) for line in process.stderr)
        address = next((match[0] for match in found if match), None)
        if address is None:
            sys.exit("screenshots.py: the server did not start")
        yield address
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


if __name__ == "__main__":
    main()
