"""The chat page on every screen: layout, focus, keyboard, accessibility, print."""

from collections.abc import Callable
from typing import Any

import pytest
from chat_page import ToyChat, answered, ask, focused, messages, send

pytestmark = pytest.mark.slow
PHONE = {"width": 390, "height": 844}
OpenPage = Callable[..., Any]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_accessible(
    scheme: str, toy: ToyChat, check_accessibility: Callable[[Any], None], open_page: OpenPage
) -> None:
    page = open_page(viewport={"width": 1280, "height": 800}, color_scheme=scheme)
    page.goto(toy.url)
    page.get_by_role("checkbox", name="pretrain").check()
    check_accessibility(page)
    ask(page, "Hi")
    page.get_by_role("button", name="Regenerate").first.click()
    page.get_by_text("2 / 2").wait_for()
    answered(page)
    page.locator("#settings summary").click()
    page.get_by_label("Top k").fill("-1")
    page.get_by_label("Shade tokens").check()
    page.locator(".token").first.click()
    check_accessibility(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Edit").click()
    page.set_viewport_size({"width": 360, "height": 740})
    check_accessibility(page)
    page.get_by_role("button", name="Chats").click()
    check_accessibility(page)


def test_phone(toy: ToyChat, open_page: OpenPage) -> None:
    page = open_page(viewport=PHONE, has_touch=True, is_mobile=True)
    page.goto(toy.url)
    page.get_by_role("checkbox", name="sft").wait_for()
    height = page.locator("#message").bounding_box()["height"]
    assert height < 60
    ask(page, "Hi")
    assert page.locator("#message").bounding_box()["height"] == height
    page.get_by_role("button", name="Chats").tap()
    assert focused(page) == "Close"
    panel = page.locator("#sidebar").bounding_box()
    assert (panel["x"], panel["y"], panel["width"]) == (0, 0, 390)
    page.keyboard.press("Escape")
    assert focused(page) == "Chats"
    assert not page.locator("#sidebar").is_visible()
    page.get_by_role("button", name="Chats").tap()
    page.get_by_role("button", name="Close").tap()
    assert not page.locator("#sidebar").is_visible()
    page.get_by_role("button", name="Chats").tap()
    page.get_by_role("link", name="Hi").tap()
    assert not page.locator("#sidebar").is_visible()
    assert messages(page) == ["Hi"]


def test_four_hundred_percent_zoom(toy: ToyChat, open_page: OpenPage) -> None:
    page = open_page(viewport={"width": 320, "height": 256})
    page.goto(toy.url)
    ask(page, "Hi")
    page.locator(".answer-text").scroll_into_view_if_needed()
    log, form = page.locator("#log").bounding_box(), page.locator("#form").bounding_box()
    assert log["height"] > 100
    assert form["y"] + form["height"] <= 257
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_lines_are_not_too_long_and_print_has_no_controls(
    toy: ToyChat, open_page: OpenPage
) -> None:
    page = open_page(viewport={"width": 1920, "height": 1080}, reduced_motion="reduce")
    page.goto(toy.url)
    toy.sft.say("fox " * 60)
    toy.sft.pace = 0.05
    send(page, "Hi")
    page.locator(".token").nth(2).wait_for()
    cursor = "getComputedStyle(document.querySelector('.waiting'), '::after').content"
    assert page.evaluate(cursor) not in ("none", '""')
    assert page.get_by_role("button", name="Regenerate").count() == 0
    assert page.get_by_role("button", name="Edit").count() == 0
    page.get_by_role("button", name="Stop").click()
    assert focused(page) == "Your message"
    answered(page, 1)
    assert page.locator(".answer-text").bounding_box()["width"] <= 768
    page.emulate_media(media="print")
    for part in ("app-bar", "#sidebar", "#form", ".actions"):
        assert not page.locator(part).first.is_visible()
    assert page.locator(".user-message").is_visible()


def test_focus_is_never_lost(toy: ToyChat, page: Any) -> None:
    page.goto(toy.url)
    page.get_by_role("checkbox", name="sft").wait_for()
    assert focused(page) == "Your message"
    page.get_by_role("button", name="Hello! Who are you?").click()
    answered(page, 1)
    assert focused(page) == "Your message"
    page.get_by_role("button", name="Regenerate").press("Enter")
    page.get_by_text("2 / 2").wait_for()
    answered(page)
    assert page.evaluate("document.activeElement.className").startswith("text answer-text")
    page.get_by_role("checkbox", name="sft").press("Space")
    assert page.get_by_role("checkbox", name="sft").is_checked()
    assert focused(page) == "sft"
    page.get_by_role("button", name="New chat").click()
    ask(page, "Second")
    page.get_by_role("button", name="Delete Hello! Who are you?").press("Enter")
    assert focused(page) == "Second"
    page.get_by_role("button", name="Delete Second").press("Enter")
    assert focused(page) == "New chat"


def test_page_works_by_keyboard_alone(toy: ToyChat, page: Any) -> None:
    page.goto(toy.url)
    page.get_by_role("checkbox", name="sft").wait_for()
    page.keyboard.type("Hi")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("there")
    page.keyboard.press("Enter")
    answered(page, 1)
    assert messages(page) == ["Hi\nthere"]
    page.keyboard.press("Shift+Tab")
    assert focused(page) == "X-ray"
    page.keyboard.press("/")
    assert focused(page) == "Your message"
    page.keyboard.press("Control+Shift+O")
    assert page.locator("#empty").is_visible()
    page.keyboard.type("/help")
    page.keyboard.press("Enter")
    page.get_by_text("Commands: /temperature").wait_for()


def test_a_long_conversation_can_be_scrolled_to_its_end(toy: ToyChat, page: Any) -> None:
    toy.sft.say("fox\n" * 30)
    page.goto(toy.url)
    ask(page, "Hi")
    end = page.get_by_role("button", name="Scroll to the end")
    assert not end.is_visible()
    page.locator("#log").evaluate("node => { node.scrollTop = 0 }")
    end.click()
    end.wait_for(state="hidden")
    assert focused(page) == "Your message"


def test_copy(toy: ToyChat, open_page: OpenPage) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto(toy.url)
    ask(page, "Hi")
    page.get_by_role("button", name="Copy").last.click()
    page.get_by_text("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "The old fox went."
