"""The web chat in a real browser: a whole chat, and everything that may go wrong in one."""

from collections.abc import Callable
from typing import Any

import pytest

from firstwords.serve.app import Limits
from firstwords.tokenizer import IM_END, TOOL_CALL, TOOL_CALL_END, Tokenizer

pytestmark = pytest.mark.slow
Serve = Callable[..., Any]
Look = Callable[[Any], None]
HTML = "<script>document.title='taken'</script><b>bold</b>"


class Saying:
    """A decoder that answers every prompt with the same tokens, at a pace."""

    def __init__(self, vocab_size: int, script: list[int], pace: float = 0.0) -> None:
        self.slots, self.context, self.vocab_size = 1, 4000, vocab_size
        self.script, self.pace, self.place = script, pace, 0
        self.breaks_at: int | None = None

    def read(self, slots: list[int], texts: list[list[int]], start: int = 0) -> None:
        self.place = 0

    def next_logits(self, slots: list[int], ids: list[int], positions: list[int]) -> Any:
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
def saying(tiny_tokenizer: Tokenizer) -> Callable[..., Saying]:
    def make(*parts: str, pace: float = 0.0) -> Saying:
        ids: list[int] = []
        for part in parts:
            special = part in (IM_END, TOOL_CALL, TOOL_CALL_END)
            ids += [tiny_tokenizer.special(part)] if special else tiny_tokenizer.encode(part)
        script = [*ids, tiny_tokenizer.special(IM_END)]
        return Saying(tiny_tokenizer.vocab_size, script, pace)

    return make


def send(page: Any, text: str) -> None:
    page.get_by_label("Your message").fill(text)
    page.keyboard.press("Enter")


def answered(page: Any) -> None:
    page.get_by_role("button", name="Answer again").wait_for(timeout=15_000)
    page.locator("#log[aria-busy=false]").wait_for(state="attached", timeout=15_000)


def last_answer(page: Any) -> str:
    return str(page.locator(".answer .text").last.inner_text())


def test_a_whole_chat(serve: Serve, saying: Callable[..., Saying], page: Any) -> None:
    page.goto(serve(decoders={"toy-sft": saying("The old fox went.")}).url)
    page.get_by_role("button", name="Hello! Who are you?").click()
    answered(page)
    assert last_answer(page) == "The old fox went."
    assert "tokens" in page.locator(".facts").inner_text()
    send(page, "And then?")
    answered(page)
    assert page.locator(".own .text").all_inner_texts() == ["Hello! Who are you?", "And then?"]
    page.reload()
    page.get_by_role("button", name="Hello! Who are you?").first.click()
    assert page.locator(".answer .text").all_inner_texts() == ["The old fox went."] * 2
    page.get_by_role("button", name="New chat").click()
    assert page.locator("#empty").is_visible()
    page.get_by_role("button", name="Delete Hello! Who are you?").click()
    page.reload()
    assert page.locator("#chats li").count() == 0


def test_an_answer_can_be_stopped_and_asked_for_again_and_a_message_edited(
    serve: Serve, saying: Callable[..., Saying], page: Any
) -> None:
    slow = saying("a b c d e f g h i j " * 20, pace=0.05)
    running = serve(decoders={"toy-sft": slow})
    page.goto(running.url)
    send(page, "Count")
    page.locator(".token").nth(3).wait_for()
    page.keyboard.press("Escape")
    answered(page)
    assert "stopped" in page.locator(".facts").inner_text()
    assert running.models.busy()["toy-sft"] <= 1
    slow.pace, slow.script = 0.0, slow.script[:5] + slow.script[-1:]
    page.get_by_role("button", name="Answer again").click()
    page.wait_for_function("!document.querySelector('.facts').textContent.includes('stopped')")
    answered(page)
    page.get_by_role("button", name="Edit").click()
    assert page.get_by_label("Your message").input_value() == "Count"
    assert page.locator(".own").count() == 0


def test_what_is_written_never_becomes_html(
    serve: Serve, saying: Callable[..., Saying], page: Any
) -> None:
    page.goto(serve(decoders={"toy-sft": saying(HTML)}).url)
    send(page, HTML)
    answered(page)
    assert page.locator(".own .text").inner_text() == HTML
    assert last_answer(page) == HTML
    assert page.title() == "Firstwords"
    assert page.locator("#log b, #log script").count() == 0
    page.reload()
    assert page.locator("#chats b").count() == 0


def test_calls_are_shown_as_such(serve: Serve, saying: Callable[..., Saying], page: Any) -> None:
    class Calling(Saying):
        """Passes over what is forced on it."""

        def next_logits(self, slots: list[int], ids: list[int], positions: list[int]) -> Any:
            if self.place and ids[0] != self.script[self.place - 1]:
                self.place -= 1
            return super().next_logits(slots, ids, positions)

    made = saying(TOOL_CALL, "2*3", TOOL_CALL_END, " So 6.")
    decoder = Calling(made.vocab_size, made.script)
    page.goto(serve(decoders={"toy-sft": decoder}).url)
    send(page, "What is 2 times 3?")
    answered(page)
    assert page.locator(".tool").inner_text() == "2*3 = 6"
    assert last_answer(page).endswith("So 6.")


def test_an_error_in_the_middle_is_told_and_the_rest_stays(
    serve: Serve, saying: Callable[..., Saying], page: Any
) -> None:
    breaking = saying("The old fox went over the stone.")
    breaking.breaks_at = 3
    page.goto(serve(decoders={"toy-sft": breaking}).url)
    send(page, "Hi")
    answered(page)
    assert "failed" in page.locator(".facts .bad").inner_text()
    assert last_answer(page)
    breaking.breaks_at = None
    page.get_by_role("button", name="Answer again").click()
    page.locator(".facts .bad").wait_for(state="detached")
    answered(page)
    assert last_answer(page) == "The old fox went over the stone."


def test_a_server_that_is_gone_is_told(
    serve: Serve, saying: Callable[..., Saying], page: Any
) -> None:
    running = serve(decoders={"toy-sft": saying("Hello.")})
    page.goto(running.url)
    running.close()
    send(page, "Hi")
    page.locator(".facts .bad").wait_for()
    assert page.get_by_label("Your message").is_enabled()


def test_a_message_of_ten_thousand_characters(
    serve: Serve, saying: Callable[..., Saying], page: Any
) -> None:
    page.goto(serve(decoders={"toy-sft": saying("Yes.")}).url)
    send(page, "word " * 2000)
    answered(page)
    assert last_answer(page) == "Yes."
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_stages_answer_side_by_side_each_hearing_itself(
    serve: Serve, saying: Callable[..., Saying], page: Any
) -> None:
    decoders = {"toy-sft": saying("Sft."), "toy-base": saying("Base.")}
    page.goto(serve(decoders=decoders).url)
    page.get_by_label("base").check()
    send(page, "Hi")
    answered(page)
    assert page.locator(".answer h3").all_inner_texts() == ["toy-base", "toy-sft"]
    assert page.locator(".answer .text").all_inner_texts() == ["Base.", "Sft."]


def test_pointing_at_a_token_shows_its_probability_and_the_others(
    serve: Serve, saying: Callable[..., Saying], page: Any
) -> None:
    page.goto(serve(decoders={"toy-sft": saying("The fox.")}).url)
    send(page, "Hi")
    answered(page)
    page.locator(".token").first.hover()
    assert page.locator("#tip").is_visible()
    assert page.locator("#tip .taken").inner_text().startswith("The")
    assert page.locator("#tip tr").count() == 5
    assert "%" in page.locator("#tip").inner_text()


def test_settings_are_sent_and_kept(serve: Serve, saying: Callable[..., Saying], page: Any) -> None:
    page.goto(serve(decoders={"toy-sft": saying("a b c d e f g")}).url)
    page.get_by_text("Settings").click()
    page.get_by_label("Longest answer, in tokens").fill("3")
    page.get_by_label("Temperature").fill("0")
    send(page, "Hi")
    answered(page)
    assert "3 tokens" in page.locator(".facts").inner_text()
    assert "cut off" in page.locator(".facts").inner_text()
    page.reload()
    assert page.get_by_label("Longest answer, in tokens").input_value() == "3"
    page.get_by_text("Settings").click()
    page.get_by_role("button", name="Defaults").click()
    assert page.get_by_label("Longest answer, in tokens").input_value() == "256"


def test_a_key_can_be_given(serve: Serve, saying: Callable[..., Saying], page: Any) -> None:
    page.goto(serve(Limits(api_key="open"), decoders={"toy-sft": saying("Hello.")}).url)
    page.get_by_text("The server does not answer").wait_for()
    page.get_by_text("Settings").click()
    page.get_by_label("API key").fill("open")
    page.get_by_label("API key").press("Tab")
    page.get_by_label("sft").wait_for()
    send(page, "Hi")
    answered(page)
    assert last_answer(page) == "Hello."


@pytest.mark.parametrize("width", [380, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_stands_in_the_way_of_anybody(
    width: int,
    scheme: str,
    serve: Serve,
    nothing_serious: Look,
    saying: Callable[..., Saying],
    browser: Any,
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.goto(serve(decoders={"toy-sft": saying("The old fox went.")}).url)
    page.get_by_label("sft").wait_for()
    for _ in range(2):
        nothing_serious(page)
        send(page, "Hi")
        answered(page)
    context.close()


def test_it_works_by_keyboard_alone(serve: Serve, saying: Callable[..., Saying], page: Any) -> None:
    page.goto(serve(decoders={"toy-sft": saying("The old fox went.")}).url)
    page.get_by_label("sft").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.type("Hi")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("there")
    page.keyboard.press("Enter")
    answered(page)
    assert page.locator(".own .text").inner_text() == "Hi\nthere"
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.textContent") == "Answer again"
