#!/usr/bin/env python3
"""Draw the icons of the installed app, and favicon.ico, from icon.svg.

    python scripts/icons.py

Needs Playwright, which is one of the tests' packages, and Chromium.
"""

import shutil
import struct
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

STATIC = Path(__file__).resolve().parent.parent / "src" / "firstwords" / "serve" / "static"
PAGE = "<style>body{{margin:0}} svg{{display:block; width:{size}px}}</style>{svg}"


def main() -> None:
    svg = (STATIC / "shared" / "icon.svg").read_text(encoding="utf-8")
    square = svg.replace(' rx="7"', "")  # launchers cut their own shape out of a maskable icon
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as session:
        browser = session.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        for size in (192, 512):
            save(STATIC / "shared" / f"icon-{size}.png", draw(page, svg, size))
        save(STATIC / "shared" / "icon-maskable.png", draw(page, square, 512))
        save(STATIC / "favicon.ico", as_ico(draw(page, svg, 32), 32))
        browser.close()


def draw(page: Page, svg: str, size: int) -> bytes:
    """Return the drawing as a PNG of `size` by `size` pixels."""
    page.set_viewport_size({"width": size, "height": size})
    page.set_content(PAGE.format(size=size, svg=svg))
    return page.screenshot(omit_background=True)


def as_ico(png: bytes, size: int) -> bytes:
    """Return an ICO file with one picture: a header, a directory entry, and the PNG."""
    header = struct.pack("<HHH", 0, 1, 1)
    entry = struct.pack("<BBBBHHII", size, size, 0, 0, 1, 32, len(png), len(header) + 16)
    return header + entry + png


def save(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    print(f"{path} ({len(data):,} bytes)")


if __name__ == "__main__":
    main()
