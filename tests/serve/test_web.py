"""The chat page in a real browser: conversations, settings, errors, accessibility."""

from collections.abc import Callable
from typing import Any

import pytest

from firstwords.serve.app import ServerLimits
from firstwords.tokenizer.bpe import IM_END, TOOL_CALL, TOOL_CALL_END, Tokenizer

pytestmark = pytest.mark.slow
Serve = Callable[..., Any]
PageCheck = Callable[[Any], None]
HTML = "<script>document.title='taken'</script><b>bold</b>"


class FixedAnswerDecoder:
    """A decoder that answers every prompt with the same tokens, `pace` seconds apart."""

    def __init__(self, vocab_size: int, script: list[int], pace: float = 0.0) -> None:
        self.slots, self.context, self.vocab_size = 1, 4000, vocab_size
        self.script, self.pace, self.place = script, pace, 0
        self.breaks_at: int | None = None

    def prefill(self, slots: list[int], prompts: list[list[int]], start: int = 0) -> None:
        self.place = 0

    def decode(self, slots: list[int], ids: list[int], positions: list[int]) -> Any:
        import time

        import torch

        time.sleep(self.pace)
        if self.place == self.breaks_at:
            raise RuntimeError("broken")
        logits_BV = torch.zeros(1, self.vocab_size)
        logits_BV[0, self.script[min(self.place, len(self.script) - 1)]] = 5.0
        self.place += 1
        return logits_BV


@pytest.fixture
def fixed_answer(tiny_tokenizer: Tokenizer) -> Callable[..., FixedAnswerDecoder]:
    def make(*parts: str, pace: float = 0.0) -> FixedAnswerDecoder:
        ids: list[int] = []
        for part in parts:
            special = part in (IM_END, TOOL_CALL, TOOL_CALL_END)
            ids += [tiny_tokenizer.special(part)] if special else tiny_tokenizer.encode(part)
        script = [*ids, tiny_tokenizer.special(IM_END)]
        return FixedAnswerDecoder(tiny_tokenizer.vocab_size, script, pace)

    return make


def send(page: Any, text: str) -> None:
    page.get_by_label("Your message").fill(text)
    page.keyboard.press("Enter")


def answered(page: Any) -> None:
    page.get_by_role("button", name="Regenerate").wait_for()
    page.locator("#log[aria-busy=false]").wait_for(state="attached")


def last_answer(page: Any) -> str:
    return str(page.locator(".answer .text").last.inner_text())


def test_complete_chat(
    serve: Serve, fixed_answer: Callable[..., FixedAnswerDecoder], page: Any
) -> None:
    page.goto(serve(decoders={"toy-sft": fixed_answer("The old fox went.")}).url)
    page.get_by_role("button", name="Hello! Who are you?").click()
    answered(page)
    assert last_answer(page) == "The old fox went."
    assert "tokens" in page.locator(".details").inner_text()
    send(page, "And then?")
    answered(page)
    assert page.locator(".user-message .text").all_inner_texts() == [
        "Hello! Who are you?",
        "And then?",
    ]
    page.reload()
    page.get_by_role("button", name="Hello! Who are you?").first.click()
    assert page.locator(".answer .text").all_inner_texts() == ["The old fox went."] * 2
    page.get_by_role("button", name="New chat").click()
    assert page.locator("#empty").is_visible()
    page.get_by_role("button", name="Delete Hello! Who are you?").click()
    page.reload()
    assert page.locator("#chats li").count() == 0


def test_answer_can_be_stopped_and_regenerated_and_a_message_edited(
    serve: Serve, fixed_answer: Callable[..., FixedAnswerDecoder], page: Any
) -> None:
    slow = fixed_answer("a b c d e f g h i j " * 20, pace=0.05)
    running = serve(decoders={"toy-sft": slow})
    page.goto(running.url)
    send(page, "Count")
    page.locator(".token").nth(3).wait_for()
    page.keyboard.press("Escape")
    answered(page)
    assert "stopped" in page.locator(".details").inner_text()
    assert running.models.active_requests()["toy-sft"] <= 1
    slow.pace, slow.script = 0.0, slow.script[:5] + slow.script[-1:]
    page.get_by_role("button", name="Regenerate").click()
    page.wait_for_function("!document.querySelector('.details').textContent.includes('stopped')")
    answered(page)
    page.get_by_role("button", name="Edit").click()
    assert page.get_by_label("Your message").input_value() == "Count"
    assert page.locator(".user-message").count() == 0


def test_text_never_becomes_html(
    serve: Serve, fixed_answer: Callable[..., FixedAnswerDecoder], page: Any
) -> None:
    page.goto(serve(decoders={"toy-sft": fixed_answer(HTML)}).url)
    send(page, HTML)
    answered(page)
    assert page.locator(".user-message .text").inner_text() == HTML
    assert last_answer(page) == HTML
    assert page.title() == "Firstwords"
    assert page.locator("#log b, #log script").count() == 0
    page.reload()
    assert page.locator("#chats b").count() == 0


def test_calculator_calls_are_shown(
    serve: Serve, fixed_answer: Callable[..., FixedAnswerDecoder], page: Any
) -> None:
    class ToolCallDecoder(FixedAnswerDecoder):
        """Ignores tokens that are forced into the answer."""

        def decode(self, slots: list[int], ids: list[int], positions: list[int]) -> Any:
            if self.place and ids[0] != self.script[self.place - 1]:
                self.place -= 1
            return super().decode(slots, ids, positions)

    fixed = fixed_answer(TOOL_CALL, "2*3", TOOL_CALL_END, " So 6.")
    decoder = ToolCallDecoder(fixed.vocab_size, fixed.script)
    page.goto(serve(decoders={"toy-sft": decoder}).url)
    send(page, "What is 2 times 3?")
    answered(page)
    assert page.locator(".tool").inner_text() == "2*3 = 6"
    assert last_answer(page).endswith("So 6.")


def test_error_during_an_answer_is_shown_and_keeps_its_text(
    serve: Serve, fixed_answer: Callable[..., FixedAnswerDecoder], page: Any
) -> None:
    breaking = fixed_answer("The old fox went over the stone.")
    breaking.breaks_at = 3
    page.goto(serve(decoders={"toy-sft": breaking}).url)
    send(page, "Hi")
    answered(page)
    assert "failed" in page.locator(".details .error").inner_text()
    assert last_answer(page)
    breaking.breaks_at = None
    page.get_by_role("button", name="Regenerate").click()
    page.locator(".details .error").wait_for(state="detached")
    answered(page)
    assert last_answer(page) == "The old fox went over the stone."


def test_stopped_server_is_an_error(
    serve: Serve, fixed_answer: Callable[..., FixedAnswerDecoder], page: Any
) -> None:
    running = serve(decoders={"toy-sft": fixed_answer("Hello.")})
    page.goto(running.url)
    running.close()
    send(page, "Hi")
    page.locator(".details .error").wait_for()
    assert page.get_by_label("Your message").is_enabled()


def test_a_message_of_ten_thousand_characters(
    serve: Serve, fixed_answer: Callable[..., FixedAnswerDecoder], page: Any
) -> None:
    page.goto(serve(decoders={"toy-sft": fixed_answer("Yes.")}).url)
    send(page, "word " * 2000)
    answered(page)
    assert last_answer(page) == "Yes."
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_stages_answer_side_by_side(
    serve: Serve, fixed_answer: Callable[..., FixedAnswerDecoder], page: Any
) -> None:
    decoders = {"toy-sft": fixed_answer("Sft."), "toy-pretrain": fixed_answer("Base.")}
    page.goto(serve(decoders=decoders).url)
    page.get_by_label("pretrain").check()
    send(page, "Hi")
    answered(page)
    assert page.locator(".answer h3").all_inner_texts() == ["toy-pretrain", "toy-sft"]
    assert page.locator(".answer .text").all_inner_texts() == ["Base.", "Sft."]


def test_hovering_over_a_token_shows_probabilities(
    serve: Serve, fixed_answer: Callable[..., FixedAnswerDecoder], page: Any
) -> None:
    page.goto(serve(decoders={"toy-sft": fixed_answer("The fox.")}).url)
    send(page, "Hi")
    answered(page)
    page.locator(".token").first.hover()
    assert page.locator("#tooltip").is_visible()
    assert page.locator("#tooltip .sampled").inner_text().startswith("The")
    assert page.locator("#tooltip tr").count() == 5
    assert "%" in page.locator("#tooltip").inner_text()


def test_settings_are_sent_and_stored(
    serve: Serve, fixed_answer: Callable[..., FixedAnswerDecoder], page: Any
) -> None:
    page.goto(serve(decoders={"toy-sft": fixed_answer("a b c d e f g")}).url)
    page.get_by_text("Settings").click()
    page.get_by_label("Maximum answer length").fill("3")
    page.get_by_label("Temperature").fill("0")
    send(page, "Hi")
    answered(page)
    assert "3 tokens" in page.locator(".details").inner_text()
    assert "truncated" in page.locator(".details").inner_text()
    page.reload()
    assert page.get_by_label("Maximum answer length").input_value() == "3"
    page.get_by_text("Settings").click()
    page.get_by_role("button", name="Restore defaults").click()
    assert page.get_by_label("Maximum answer length").input_value() == "256"


def test_api_key_can_be_entered(
    serve: Serve, fixed_answer: Callable[..., FixedAnswerDecoder], page: Any
) -> None:
    page.goto(serve(ServerLimits(api_key="open"), decoders={"toy-sft": fixed_answer("Hello.")}).url)
    page.get_by_text("Cannot reach the server").wait_for()
    page.get_by_text("Settings").click()
    page.get_by_label("API key").fill("open")
    page.get_by_label("API key").press("Tab")
    page.get_by_label("sft").wait_for()
    send(page, "Hi")
    answered(page)
    assert last_answer(page) == "Hello."


@pytest.mark.parametrize("width", [380, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_accessible(
    width: int,
    scheme: str,
    serve: Serve,
    check_accessibility: PageCheck,
    fixed_answer: Callable[..., FixedAnswerDecoder],
    open_page: Callable[..., Any],
) -> None:
    page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.goto(serve(decoders={"toy-sft": fixed_answer("The old fox went.")}).url)
    page.get_by_label("sft").wait_for()
    for _ in range(2):
        check_accessibility(page)
        send(page, "Hi")
        answered(page)


def test_page_works_by_keyboard_alone(
    serve: Serve, fixed_answer: Callable[..., FixedAnswerDecoder], page: Any
) -> None:
    page.goto(serve(decoders={"toy-sft": fixed_answer("The old fox went.")}).url)
    page.get_by_label("sft").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.type("Hi")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("there")
    page.keyboard.press("Enter")
    answered(page)
    assert page.locator(".user-message .text").inner_text() == "Hi\nthere"
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.textContent") == "Regenerate"
