"""The page that describes the API, in a real browser: complete, and its examples work."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.slow
Serve = Callable[..., Any]
Look = Callable[[Any], None]


def test_every_call_and_body_of_the_server_is_described(serve: Serve, page: Any) -> None:
    server = serve()
    page.goto(f"{server.url}/docs.html")
    page.get_by_role("heading", name="POST /v1/chat/completions").wait_for()
    described = server.client.get("/openapi.json").json()
    calls = [f"{m.upper()} {path}" for path, ms in described["paths"].items() for m in ms]
    assert page.locator("#calls h3").all_inner_texts() == calls
    fields = described["components"]["schemas"]["ChatRequest"]["properties"]
    shown = page.locator("section", has=page.locator("#ChatRequest")).locator("td:first-child")
    assert shown.all_inner_texts() == list(fields)


def test_its_examples_are_answered(serve: Serve, page: Any) -> None:
    server = serve()
    page.goto(f"{server.url}/docs.html")
    page.get_by_role("heading", name="POST /v1/chat/completions").wait_for()
    for path in ("/v1/chat/completions", "/v1/completions"):
        example = page.locator("section", has_text=f"POST {path}").locator("pre").inner_text()
        address, body = re.search(r"curl (\S+).*-d '(.*)'", example, re.DOTALL).groups()
        assert address == f"{server.url}{path}"
        assert server.client.post(path, json=json.loads(body)).status_code == 200


@pytest.mark.parametrize(("scheme", "width"), [("light", 1000), ("dark", 360)])
def test_axe_finds_nothing_serious(
    serve: Serve, nothing_serious: Look, browser: Any, scheme: str, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    url = serve().url
    page.goto(f"{url}/docs.html")
    page.locator("#calls h3").first.wait_for()
    nothing_serious(page)
    assert all(address.startswith(url) for address in asked)
    context.close()
