"""The API page in a real browser: it lists every endpoint, and its examples work."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.slow
Serve = Callable[..., Any]
PageCheck = Callable[[Any], None]


def test_page_lists_every_endpoint_and_body(serve: Serve, page: Any) -> None:
    server = serve()
    page.goto(f"{server.url}/api/")
    page.get_by_role("heading", name="POST /v1/chat/completions").wait_for()
    openapi = server.client.get("/openapi.json").json()
    endpoints = [f"{m.upper()} {path}" for path, ms in openapi["paths"].items() for m in ms]
    assert page.locator("#endpoints h3").all_inner_texts() == endpoints
    fields = openapi["components"]["schemas"]["ChatRequest"]["properties"]
    shown = page.locator("section", has=page.locator("#ChatRequest")).locator("td:first-child")
    assert shown.all_inner_texts() == list(fields)


def test_examples_work(serve: Serve, page: Any) -> None:
    server = serve()
    page.goto(f"{server.url}/api/")
    page.get_by_role("heading", name="POST /v1/chat/completions").wait_for()
    for path in ("/v1/chat/completions", "/v1/completions"):
        example = page.locator("section", has_text=f"POST {path}").locator("pre").inner_text()
        address, body = re.search(r"curl (\S+).*-d '(.*)'", example, re.DOTALL).groups()
        assert address == f"{server.url}{path}"
        assert server.client.post(path, json=json.loads(body)).status_code == 200


@pytest.mark.parametrize(("scheme", "width"), [("light", 1000), ("dark", 360)])
def test_page_is_accessible(
    serve: Serve,
    check_accessibility: PageCheck,
    open_page: Callable[..., Any],
    scheme: str,
    width: int,
) -> None:
    page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.goto(f"{serve().url}/api/")
    page.locator("#endpoints h3").first.wait_for()
    check_accessibility(page)
