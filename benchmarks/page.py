#!/usr/bin/env python3
"""Measure how fast an exported page answers, in headless Chromium.

    firstwords export --format html --out chat.html
    python benchmarks/page.py chat.html

Prints the median over the answers of tokens per second, and of tokens per second of processor time,
which hardly depends on what else the machine does. The first answer, during which the browser
compiles the engine, does not count.
"""

import argparse
import json
import shutil
import statistics
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import sync_playwright

QUESTION = "Tell me a short story about a fox."


def measure_answer(page: Any) -> tuple[int, float, float]:
    """Ask once; return the tokens of the answer, its seconds and its seconds of processor time."""
    before = processor_seconds()
    page.locator("#message").fill(QUESTION)
    page.keyboard.press("Enter")
    page.locator("#send:not([hidden])").wait_for()
    turn = last_turn(page)
    return turn["tokens"], turn["seconds"], processor_seconds() - before


def last_turn(page: Any) -> dict[str, Any]:
    """Return the newest turn as the page stores it."""
    find = "() => Object.entries(localStorage).find(([name]) => name.endsWith('.chats'))[1]"
    turns: list[dict[str, Any]] = json.loads(page.evaluate(find))[0]["turns"]
    return turns[-1]


def processor_seconds() -> float:
    """Return the processor time so far of the browser's processes that run pages."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        if "--type=renderer" in process.cmdline():
            times = process.cpu_times()
            total += times.user + times.system
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("file", type=Path, help="the exported page")
    parser.add_argument("--answers", type=int, default=10, help="answers to measure")
    options = parser.parse_args()
    with sync_playwright() as session:
        browser = session.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page()
        page.set_default_timeout(600_000)
        page.goto(options.file.absolute().as_uri())
        page.locator("body[data-ready]").wait_for()
        measured = []
        for _ in range(options.answers + 1):
            measured.append(measure_answer(page))
            page.get_by_role("button", name="Chats").click()
            page.get_by_role("button", name="New chat").click()
        browser.close()
    answers = measured[1:]
    print(f"tokens of an answer           {statistics.median(n for n, _, _ in answers):6.0f}")
    print(f"tokens/s                      {statistics.median(n / s for n, s, _ in answers):6.0f}")
    print(f"tokens/s of processor time    {statistics.median(n / c for n, _, c in answers):6.0f}")


if __name__ == "__main__":
    main()
