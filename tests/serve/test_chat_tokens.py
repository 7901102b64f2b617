"""Tokens of an answer: the card of alternatives by mouse, touch and keyboard; other branches."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from chat_page import ToyChat, answered, answers, ask, focused

pytestmark = pytest.mark.slow


def test_card_of_a_token_by_mouse(toy: ToyChat, page: Any) -> None:
    page.goto(toy.url)
    ask(page, "Hi")
    token = page.locator(".token").nth(1)
    card = page.locator("#card")
    token.hover()
    assert card.is_visible()
    assert card.locator("button").count() == 0
    page.get_by_label("Your message").hover()
    assert not card.is_visible()
    token.click()
    page.get_by_label("Your message").hover()
    assert card.is_visible()  # pinned
    taken = card.locator(".sampled").inner_text()
    assert taken.startswith(token.inner_text().replace(" ", "␣"))
    assert card.locator("tr").count() == 5
    assert "most likely" in card.locator("caption").inner_text()
    shares = [
        float(text.split("%")[0]) for text in card.locator("td:nth-child(2)").all_inner_texts()
    ]
    rest = float(card.locator(".hint").inner_text().split("%")[0])
    assert sum(shares) + rest == pytest.approx(100, abs=2)
    page.keyboard.press("Escape")
    assert not card.is_visible()
    page.locator("#settings summary").click()
    page.get_by_label("Shade tokens by surprise").check()
    plain = "node => getComputedStyle(node).backgroundColor === 'rgba(0, 0, 0, 0)'"
    assert not token.evaluate(plain)


def test_continue_with_another_token(toy: ToyChat, page: Any) -> None:
    sent: list[Any] = []
    page.on("request", lambda r: sent.append(r.post_data_json) if r.method == "POST" else None)
    page.goto(toy.url)
    page.get_by_role("checkbox", name="pretrain").check()
    page.get_by_role("checkbox", name="sft").uncheck()
    ask(page, "Once")
    page.locator(".token").nth(1).click()
    first = page.locator(".token").first.text_content()
    toy.base.say(" then.")
    page.locator("#card button", has_text="continue with this").first.click()
    answered(page)
    page.get_by_text("2 / 2").wait_for()
    given = sent[-1]["prompt"].removeprefix("Once")
    assert given.startswith(first)
    assert answers(page) == [f"{given} then.".strip()]
    page.locator(".token").nth(1).click()
    assert page.locator("#card caption").inner_text().startswith("you chose")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Previous version of the answer").click()
    assert answers(page) == ["and on."]


def test_a_begun_answer_of_a_chat_stage_is_sent_as_its_last_message(
    toy: ToyChat, page: Any
) -> None:
    sent: list[Any] = []

    def answer(route: Any) -> None:
        sent.append(route.request.post_data_json)
        choice = {"index": 0, "delta": {"content": " cat."}, "finish_reason": "stop"}
        events = f'data: {{"choices": [{json.dumps(choice)}]}}\n\ndata: [DONE]\n\n'
        route.fulfill(body=events, content_type="text/event-stream")

    page.goto(toy.url)
    ask(page, "Hi")
    page.route("**/v1/chat/completions", answer)
    page.locator(".token").nth(2).click()
    page.locator("#card button", has_text="continue with this").first.click()
    page.get_by_text("2 / 2").wait_for()
    answered(page)
    last = sent[-1]["messages"][-1]
    assert last["role"] == "assistant"
    assert last["content"].startswith("The")
    assert answers(page) == [(last["content"] + " cat.").strip()]


def test_tokens_by_keyboard(toy: ToyChat, page: Any) -> None:
    page.goto(toy.url)
    ask(page, "Hi")
    tokens = page.locator(".token").all_inner_texts()
    page.locator(".answer-text").focus()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    assert page.locator(".token.shown").inner_text() == tokens[1]
    page.keyboard.press("ArrowLeft")
    assert page.locator(".token.shown").inner_text() == tokens[0]
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.closest('#card') !== null")
    page.keyboard.press("Escape")
    assert not page.locator("#card").is_visible()
    assert page.locator(".answer-text").evaluate("node => node === document.activeElement")


def test_tokens_by_touch(toy: ToyChat, open_page: Callable[..., Any]) -> None:
    page = open_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.goto(toy.url)
    ask(page, "Hi")
    page.locator(".token").nth(1).tap()
    card = page.locator("#card")
    card.wait_for()
    box = card.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    card.get_by_role("button", name="Close").tap()
    assert not card.is_visible()
    page.locator(".token").nth(1).tap()
    page.locator("#message").tap()
    assert not card.is_visible()
    assert focused(page)
