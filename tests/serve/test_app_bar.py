"""The bar of all pages in a real browser: run, links, theme, shortcuts, menu; and the manifest."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from waiting import wait_for_script

from firstwords.inference.decoder import Decoder
from firstwords.model.transformer import Transformer

PageCheck = Callable[[Any], None]
Names = list[str]
PAGES = ("/", "/training/", "/exam/", "/xray/", "/runs/", "/api/", "/docs/")


def test_manifest_names_icons_that_exist(client: httpx.Client) -> None:
    manifest = client.get("/manifest.webmanifest")
    assert manifest.headers["content-type"] == "application/manifest+json"
    icons = manifest.json()["icons"]
    assert {icon["sizes"] for icon in icons} >= {"192x192", "512x512"}
    for icon in icons:
        answer = client.get(f"/{icon['src']}")
        assert answer.headers["content-type"] == icon["type"], icon
    assert client.get("/favicon.ico").headers["content-type"].startswith("image/")


@pytest.mark.parametrize("path", PAGES)
def test_every_page_has_the_bar_theme_and_manifest(client: httpx.Client, path: str) -> None:
    text = client.get(path).text
    for part in ("<app-bar page=", 'rel="manifest"', "shared/theme.js", "shared/app_bar.css"):
        assert part in text, part
    assert text.index("theme.js") < text.index("<body")


@pytest.fixture
def names() -> Names:
    """The names of the runs, the newest first; a test may change them."""
    return ["newer", "older"]


@pytest.fixture
def url(serve: Callable[..., Any], wide_model: Transformer, names: Names) -> str:
    url: str = serve(decoders={f"{name}-sft": Decoder(wide_model, 1) for name in names}).url
    return url


@pytest.fixture
def open_bar(open_page: Callable[..., Any], url: str, names: Names) -> Callable[..., Any]:
    """Return a function that opens a page, with the answer of /v1/runs that `names` describe."""

    def answer(route: Any) -> None:
        data = [{"name": name, **FACTS} for name in names]
        data.insert(0, {"name": "unreadable", "state": "broken"})
        route.fulfill(json={"object": "list", "data": data})

    def open_path(path: str, **options: Any) -> Any:
        page = open_page(**options)
        page.context.route("**/v1/runs", answer)
        page.goto(url + path)
        wait_for_script(page, "document.querySelector('app-bar').run")
        return page

    return open_path


FACTS = {"parameters": 2_560_000, "created": 1, "exam": {"score": 0.824}, "context": 256}
DESKTOP = {"width": 1280, "height": 800}


@pytest.mark.slow
def test_run_is_shared_by_pages_and_the_newest_is_followed(
    open_bar: Callable[..., Any], url: str, names: Names
) -> None:
    page = open_bar("/training/", viewport=DESKTOP)
    bar = page.locator("app-bar")
    facts = bar.get_by_role("list", name="Selected run").inner_text()
    for fact in ("2.56M parameters", "years old", "exam 82 %", "context 256"):
        assert fact in facts
    page.evaluate(
        """() => {
             globalThis.changes = [];
             const bar = document.querySelector("app-bar");
             bar.addEventListener("runchange", () => changes.push(bar.run));
           }"""
    )
    names.insert(0, "newest")
    page.evaluate("document.querySelector('app-bar').refresh()")
    wait_for_script(page, "changes.join() === 'newest'")
    bar.get_by_role("combobox", name="Run").select_option("older")
    wait_for_script(page, "changes.join() === 'newest,older'")
    assert page.url == f"{url}/training/?run=older"
    bar.get_by_role("link", name="API").click()
    page.wait_for_url(f"{url}/api/?run=older")
    page.goto(f"{url}/api/")
    page.wait_for_url(f"{url}/api/?run=older")
    page.goto(f"{url}/api/?run=removed")
    page.wait_for_url(f"{url}/api/")
    assert page.evaluate("document.querySelector('app-bar').run") == "newest"


@pytest.mark.slow
def test_theme_is_remembered_and_set_before_the_page_is_painted(
    open_bar: Callable[..., Any], url: str
) -> None:
    page = open_bar("/api/", viewport=DESKTOP, color_scheme="light")
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    for theme in ("light", "dark"):
        page.locator("app-bar").get_by_role("button", name="Theme").click()
        page.locator("app-bar").get_by_role("button", name=f"Theme: {theme}").wait_for()
    dark = page.evaluate(background)
    assert dark != light
    page.route(
        "**/shared/*.js", lambda r: r.abort() if "theme" not in r.request.url else r.continue_()
    )
    page.goto(f"{url}/api/")
    assert page.evaluate(background) == dark


@pytest.mark.slow
def test_shortcuts(open_bar: Callable[..., Any], url: str, check_accessibility: PageCheck) -> None:
    page = open_bar("/api/", viewport=DESKTOP)
    page.evaluate(
        """() => document.querySelector("app-bar").addShortcuts("Test", [
             { keys: "Ctrl+K", title: "Count", action: () => (globalThis.count = 1) },
             { keys: "Enter", title: "Listed only" },
           ])"""
    )
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    assert "Listed only" in dialog.inner_text()
    check_accessibility(page)
    dialog.get_by_label("Use shortcuts without Ctrl").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert not dialog.is_visible()
    page.keyboard.press("Control+k")
    assert page.evaluate("count") == 1
    page.locator("app-bar").get_by_role("button", name="Keyboard shortcuts").click()
    dialog.get_by_label("Use shortcuts without Ctrl").check()
    dialog.get_by_role("button", name="Close").click()
    page.keyboard.press("g")
    page.keyboard.press("t")
    page.wait_for_url(f"{url}/training/")


@pytest.mark.slow
def test_bar_is_one_row_with_a_menu_on_a_phone(
    open_bar: Callable[..., Any], check_accessibility: PageCheck
) -> None:
    page = open_bar("/api/", viewport={"width": 320, "height": 256}, color_scheme="dark")
    bar = page.locator("app-bar")
    assert bar.bounding_box()["height"] <= 48
    check_accessibility(page)
    menu = bar.get_by_role("button", name="Menu")
    link = bar.get_by_role("link", name="Training")
    assert not link.is_visible()
    menu.click()
    assert link.is_visible()
    assert menu.get_attribute("aria-expanded") == "true"
    check_accessibility(page)
    link.focus()
    page.keyboard.press("Escape")
    assert not link.is_visible()
    assert page.evaluate("document.activeElement.className") == "menu"
    menu.click()
    page.evaluate(
        "document.querySelector('main').dispatchEvent("
        "new PointerEvent('pointerdown', {bubbles: true}))"
    )
    assert not link.is_visible()


@pytest.mark.slow
def test_without_runs_the_bar_has_its_links(open_page: Callable[..., Any], url: str) -> None:
    page = open_page(viewport=DESKTOP)
    page.context.route("**/v1/*", lambda route: route.fulfill(json={"data": []}))
    page.goto(f"{url}/api/")
    page.evaluate("document.querySelector('app-bar').ready")
    assert not page.locator("app-bar").get_by_role("combobox").is_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.tagName") == "MAIN"
