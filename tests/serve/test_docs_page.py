"""The API page in a real browser: it lists every endpoint, and its examples work."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.slow
Serve = Callable[..., Any]
PageCheck = Callable[[Any], None]


LANGUAGES = ("curl", "Python", "JavaScript")


def test_page_lists_every_endpoint_and_body_and_starts_with_chat(serve: Serve, page: Any) -> None:
    server = serve()
    page.goto(f"{server.url}/api/")
    page.get_by_role("heading", name="POST /v1/chat/completions").wait_for()
    openapi = server.client.get("/openapi.json").json()
    endpoints = [f"{m.upper()} {path}" for path, ms in openapi["paths"].items() for m in ms]
    shown = page.locator("#endpoints h3").all_inner_texts()
    assert shown[0] == "POST /v1/chat/completions"
    assert sorted(shown) == sorted(endpoints)
    assert page.locator("#contents a").all_inner_texts() == shown
    fields = openapi["components"]["schemas"]["ChatRequest"]["properties"]
    rows = page.locator("section", has=page.locator("#ChatRequest")).locator("td:first-child")
    assert rows.all_inner_texts() == list(fields)


def test_examples_in_every_language_work(serve: Serve, page: Any) -> None:
    server = serve()
    page.goto(f"{server.url}/api/")
    page.get_by_role("heading", name="POST /v1/chat/completions").wait_for()
    for path in ("/v1/chat/completions", "/v1/completions"):
        block = page.get_by_label(f"the example of POST {path}", exact=True)
        address, body = re.search(r"curl (\S+).*-d '(.*)'", block.inner_text(), re.DOTALL).groups()
        assert address == f"{server.url}{path}"
        assert server.client.post(path, json=json.loads(body)).status_code == 200
    for language, words in zip(LANGUAGES, ("curl", "from openai", "import OpenAI"), strict=True):
        page.get_by_label(language, exact=True).check()
        assert page.get_by_label("the first example", exact=True).inner_text().startswith(words)
        if language == "Python":
            for block in page.locator("#endpoints pre").all_inner_texts():
                compile(block, "example", "exec")
            python = page.get_by_label("the first example", exact=True).inner_text()
    pytest.importorskip("openai")
    exec(python, {})  # it names the address of this server


def test_copy_and_try_it(serve: Serve, open_page: Callable[..., Any]) -> None:
    server = serve()
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto(f"{server.url}/api/")
    page.get_by_role("button", name="Copy the base URL").click()
    page.get_by_text("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == f"{server.url}/v1"
    page.get_by_role("combobox", name="Model").select_option("toy-sft")
    page.get_by_label("Message", exact=True).fill("The old fox")
    page.get_by_role("button", name="Send").click()
    page.locator("#whole").wait_for()
    page.get_by_text("The whole response").click()
    shown = json.loads(page.locator("#response").inner_text())
    assert shown["model"] == "toy-sft"
    assert page.locator("#answer").inner_text() == shown["choices"][0]["message"]["content"]
    page.get_by_label("Message", exact=True).fill("x" * 200_001)
    page.keyboard.press("Enter")
    page.get_by_text("at most 200,000 may be sent").first.wait_for()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1000), ("dark", 360)])
def test_page_is_accessible(
    url: str,
    check_accessibility: PageCheck,
    open_page: Callable[..., Any],
    scheme: str,
    width: int,
) -> None:
    page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.goto(f"{url}/api/")
    page.locator("#endpoints h3").first.wait_for()
    check_accessibility(page)
