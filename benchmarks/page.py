#!/usr/bin/env python3
"""Measure in headless Chromium how fast an exported page answers, and how often as the engine does.

    firstwords export --format html --run default --out chat.html
    python benchmarks/page.py chat.html --run default

Prints the median over the answers of tokens per second, and of tokens per second of processor time,
which hardly depends on what else the machine does. The first answer, during which the browser
compiles the engine, does not count. With `--run`, the page also answers questions of the exam with
the most likely tokens, and its answers are compared with those that the run's evaluation recorded.
"""

import argparse
import json
import shutil
import statistics
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import sync_playwright

from firstwords.runs import registry

QUESTION = "Tell me a short story about a fox."
# Settings of the page for which its answers are those of the exam.
GREEDY = {"temperature": 0, "repetition_penalty": 1, "max_tokens": 96}


def measure_answer(page: Any) -> tuple[int, float, float]:
    """Ask once; return the tokens of the answer, its seconds and its seconds of processor time."""
    before = processor_seconds()
    page.locator("#message").fill(QUESTION)
    page.keyboard.press("Enter")
    page.locator("#send:not([hidden])").wait_for()
    turn = last_turn(page)
    return turn["tokens"], turn["seconds"], processor_seconds() - before


def count_equal_answers(page: Any, name: str, n_questions: int) -> int:
    """Ask questions spread over the exam; return how many answers are those that the finetuned
    model of the run `name` gave, word for word."""
    records = [one for one in registry.open_run(name).answers("sft", "exam") if is_short(one)]
    chosen = records[:: max(1, len(records) // n_questions)][:n_questions]
    page.evaluate(
        """settings => {
            const test = Object.keys(localStorage).find((name) => name.endsWith(".test"));
            const name = test.replace(/test$/, "settings");
            localStorage.setItem(name, JSON.stringify(settings));
        }""",
        GREEDY,
    )
    page.reload()
    equal = 0
    for record in chosen:
        page.locator("body[data-ready]").wait_for()
        start_chat(page)
        page.locator("#message").fill(record["prompt"][0]["content"])
        page.keyboard.press("Enter")
        page.locator("#send:not([hidden])").wait_for()
        answer = "".join(map(text_of, last_turn(page)["pieces"]))
        equal += answer == record["answer"]
        if answer != record["answer"]:
            print(f"{record['prompt'][0]['content']}\n  run:  {record['answer']}\n  page: {answer}")
    return equal


def is_short(record: dict[str, Any]) -> bool:
    """Return whether a question is one message, and its answer ended before the exam's limit."""
    return len(record["prompt"]) == 1 and not record["broken_call"] and len(record["answer"]) < 150


def text_of(piece: dict[str, Any]) -> str:
    """Return a piece of an answer as the run records it: words, or a call with its result."""
    if "call" not in piece:
        return str(piece["text"])
    result = f"<tool_response>{piece['result']}</tool_response>"
    return f"<tool_call>{piece['call']}</tool_call>{result}"


def start_chat(page: Any) -> None:
    page.get_by_role("button", name="Chats").click()
    page.get_by_role("button", name="New chat").click()


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
    parser.add_argument("--run", help="run whose exam the answers are compared with")
    parser.add_argument("--questions", type=int, default=100, help="questions of the exam to ask")
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
            start_chat(page)
        equal = count_equal_answers(page, options.run, options.questions) if options.run else 0
        browser.close()
    answers = measured[1:]
    print(f"tokens of an answer           {statistics.median(n for n, _, _ in answers):6.0f}")
    print(f"tokens/s                      {statistics.median(n / s for n, s, _ in answers):6.0f}")
    print(f"tokens/s of processor time    {statistics.median(n / c for n, _, c in answers):6.0f}")
    if options.run:
        print(f"answers equal to the engine's {equal:6} of {options.questions}")


if __name__ == "__main__":
    main()
