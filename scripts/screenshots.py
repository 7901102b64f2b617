#!/usr/bin/env python3
"""Take the pictures of the pages that README and docs show: docs/images/*.png.

    python scripts/screenshots.py --run NAME [--only chat,xray]

Each picture is taken in the light and the dark theme. The run should be finished: the pictures show
what its own model answers. A page that the server does not have is skipped. Needs Playwright, which
is one of the tests' packages, and Chromium.
"""

import argparse
import io
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from PIL import Image
from playwright.sync_api import Error, FloatRect, Page, sync_playwright

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
TIMEOUT_MS = 120_000
SETTLE_MS = 1500  # until what was loaded is drawn
COLOURS = 128  # of a picture's palette: it looks the same and is a third as large
QUESTIONS = ("Hello! Who are you?", "What is the capital of Japan?")
XRAY = {"text": "The old fox saw the hen. The old fox saw the", "chat": "0", "stages": "sft"}


class Picture(NamedTuple):
    """A picture of a page: its path, what to do before, and what of the page to show."""

    path: str
    prepare: Callable[[Page], None] = lambda page: None
    width: int = 1180
    height: int = 760
    selector: str | None = None  # of the element to show; None: what fits the window
    margin: int = 16  # pixels around the element


def ask(page: Page) -> None:
    """Ask the model all questions, and wait for the answers."""
    for question in QUESTIONS:
        page.get_by_label("Your message").fill(question)
        page.keyboard.press("Enter")
        page.get_by_text(question).last.wait_for()
        page.locator("#log[aria-busy=false]").wait_for(state="attached")


def show_curves(page: Page) -> None:
    page.locator("main svg").first.wait_for()


def show_questions(page: Page) -> None:
    page.locator("#questions > li").first.wait_for()


def show_xray(page: Page) -> None:
    page.locator("#xray :is(h2, h3)").first.wait_for()


PICTURES = {
    "chat": Picture("", ask),
    "training": Picture("training/", show_curves),
    "exam": Picture("exam/", show_questions),
    "xray": Picture(f"xray/#{urlencode(XRAY)}", show_xray, height=900),
    "report": Picture("report/"),
    "runs": Picture("runs/"),
    "answer": Picture("", ask, width=620, height=620, selector="#log", margin=0),
    "curve": Picture(
        "training/", show_curves, width=620, height=620, selector="section:has(#loss)"
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--run", required=True, help="name of the run")
    parser.add_argument("--only", default=",".join(PICTURES), help="pictures to take")
    options = parser.parse_args()
    names = options.only.split(",")
    if unknown := [name for name in names if name not in PICTURES]:
        parser.error(f"--only: no picture {unknown[0]!r}; choose from {', '.join(PICTURES)}")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    IMAGES.mkdir(exist_ok=True)
    with server(options.run) as address, sync_playwright() as session:
        browser = session.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name in names:
            for scheme in ("light", "dark"):
                page = browser.new_page(color_scheme=scheme)
                page.set_default_timeout(TIMEOUT_MS)
                take(page, address, f"{name}-{scheme}", PICTURES[name])
                page.close()
        browser.close()


def take(page: Page, address: str, name: str, picture: Picture) -> None:
    """Take a picture, or say why the page is skipped."""
    page.set_viewport_size({"width": picture.width, "height": picture.height})
    response = page.goto(f"{address}/{picture.path}")
    if response is None or not response.ok:
        print(f"{name}: skipped, the server has no /{picture.path}")
        return
    try:
        picture.prepare(page)
        page.wait_for_timeout(SETTLE_MS)
        clip = area(page, picture.selector, picture.margin) if picture.selector else None
        save(IMAGES / f"{name}.png", page.screenshot(clip=clip, full_page=clip is not None))
    except Error as error:
        print(f"{name}: skipped, {error.message.splitlines()[0]}")


def area(page: Page, selector: str, margin: int) -> FloatRect:
    """Return the place of an element, with a margin around it."""
    box = page.locator(selector).first.bounding_box()
    assert box
    x, y = max(0, box["x"] - margin), max(0, box["y"] - margin)
    width, height = box["width"] + 2 * margin, box["height"] + 2 * margin
    return {"x": x, "y": y, "width": width, "height": height}


def save(path: Path, png: bytes) -> None:
    """Save a picture with a palette."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path} ({path.stat().st_size:,} bytes)")


@contextmanager
def server(run: str) -> Iterator[str]:
    """Run `firstwords serve` for a run, and give its address."""
    command = [sys.executable, "-m", "firstwords", "serve", "--run", run, "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    try:
        found = (re.search(r"http://[\w.:\[\]]+", line) for line in process.stderr)
        address = next((match[0] for match in found if match), None)
        if address is None:
            sys.exit("screenshots.py: the server did not start")
        yield address
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


if __name__ == "__main__":
    main()
