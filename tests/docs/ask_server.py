"""Start a server, ask it what a user would, and stop it: ask_server.py firstwords serve ...

Prints a line for each answer. Opens the pages in Chromium if it is installed. This is a program of
its own because only a process in the server's network can reach it.
"""

import json
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

TIMEOUT_SECONDS = 300
PAGES = {"chat": "", "training": "/training/", "X-ray": "/xray/", "API": "/api/"}
QUESTION = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 20}


def main() -> int:
    """Return the exit code of the server."""
    command = [*sys.argv[1:], "--port", "0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert server.stderr
    try:
        addresses = [line.split()[1] for line in _until_ready(server.stderr) if "chat: " in line]
        for address in addresses:  # none if the server failed
            _ask(address)
            _open_pages(address)
    finally:
        server.send_signal(signal.SIGINT)
        print(server.stderr.read(), file=sys.stderr)
    return server.wait(TIMEOUT_SECONDS)


def _until_ready(lines: Any) -> Iterator[str]:
    for line in lines:
        print(line, end="", file=sys.stderr)
        yield line
        if "Ctrl-C" in line:
            return


def _ask(address: str) -> None:
    print("health:", json.loads(_get(f"{address}/health"))["status"])
    models = json.loads(_get(f"{address}/v1/models"))["data"]
    print("models:", *[model["id"] for model in models])
    answer = json.loads(_get(f"{address}/v1/chat/completions", QUESTION))
    print("answer:", repr(answer["choices"][0]["message"]["content"]))
    for name, path in PAGES.items():
        assert "<title>" in _get(address + path), path
        print(f"page {name}: served")


def _get(url: str, body: Any = None) -> str:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
        return str(response.read().decode())


def _open_pages(address: str) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as session:
        browser = session.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(TIMEOUT_SECONDS * 1000)
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("response", lambda got: problems.append(got.url) if got.status >= 400 else None)
        for name, path in PAGES.items():
            page.goto(address + path, wait_until="load")
            print(f"page {name}: opened, {page.title()!r}")
        page.goto(address)
        page.get_by_label("Your message").fill("Hello")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Regenerate").wait_for()
        print("page chat: answered", repr(page.locator(".answer .text").last.inner_text()[:60]))
        browser.close()
    assert not problems, problems


if __name__ == "__main__":
    sys.exit(main())
