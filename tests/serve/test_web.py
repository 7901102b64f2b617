"""The chat page in a real browser: answers, errors, settings."""

from collections.abc import Callable
from typing import Any

import pytest
from chat_page import FixedAnswerDecoder, ToyChat, answered, answers, ask, messages, send

from firstwords.serve.app import ServerLimits
from firstwords.tokenizer.bpe import TOOL_CALL, TOOL_CALL_END, Tokenizer

pytestmark = pytest.mark.slow
Serve = Callable[..., Any]
HTML = "<script>document.title='taken'</script><b>bold</b>"


def test_complete_chat(toy: ToyChat, page: Any) -> None:
    page.goto(toy.url)
    page.get_by_role("button", name="Hello! Who are you?").click()
    answered(page, 1)
    assert answers(page) == ["The old fox went."]
    assert "tokens" in page.locator(".details").inner_text()
    ask(page, "And then?")
    assert messages(page) == ["Hello! Who are you?", "And then?"]
    page.reload()
    assert answers(page) == ["The old fox went."] * 2
    page.get_by_role("button", name="New chat").click()
    assert page.locator("#empty").is_visible()
    page.get_by_role("link", name="Hello! Who are you?").hover()
    page.get_by_role("button", name="Delete Hello! Who are you?").click()
    page.reload()
    assert page.locator("#chats li").count() == 0


def test_answer_can_be_stopped_continued_and_regenerated(toy: ToyChat, page: Any) -> None:
    toy.sft.say("a b c d e f g h i j " * 20)
    toy.sft.pace = 0.05
    page.goto(toy.url)
    send(page, "Count")
    page.locator(".token").nth(3).wait_for()
    page.keyboard.press("Escape")
    answered(page, 1)
    assert "stopped" in page.locator(".details").inner_text()
    assert answers(page)[0].startswith("a b")
    assert page.get_by_role("button", name="Continue").is_visible()
    toy.sft.say("Done.")
    page.get_by_role("button", name="Regenerate").click()
    page.get_by_text("2 / 2").wait_for()
    answered(page)
    assert answers(page) == ["Done."]
    page.get_by_role("button", name="Previous version of the answer").click()
    assert answers(page)[0].startswith("a b")


def test_text_never_becomes_html(toy: ToyChat, page: Any) -> None:
    toy.sft.say(HTML)
    page.goto(toy.url)
    ask(page, HTML)
    assert messages(page) == [HTML]
    assert answers(page) == [HTML]
    assert page.title() != "taken"
    assert page.locator("#log b, #log script").count() == 0
    page.reload()
    assert page.locator("#chats b").count() == 0


def test_calculator_calls_are_chips_with_a_space_after_them(toy: ToyChat, page: Any) -> None:
    toy.sft.say(TOOL_CALL, "2*3", TOOL_CALL_END, "So 6.")
    page.goto(toy.url)
    ask(page, "What is 2 times 3?")
    assert page.locator(".tool").inner_text() == "2*3 = 6"
    assert answers(page) == ["2*3 = 6 So 6."]


def test_error_during_an_answer_is_shown_and_keeps_its_text(toy: ToyChat, page: Any) -> None:
    toy.sft.say("The old fox went over the stone.")
    toy.sft.breaks_at = 3
    page.goto(toy.url)
    ask(page, "Hi")
    assert "failed" in page.locator(".details .error").inner_text()
    assert answers(page)[0]
    toy.sft.breaks_at = None
    page.get_by_role("button", name="Regenerate").click()
    page.locator(".details .error").wait_for(state="detached")
    answered(page)
    assert answers(page) == ["The old fox went over the stone."]


def test_a_server_that_is_away_and_back(serve: Serve, tiny_tokenizer: Tokenizer, page: Any) -> None:
    decoders = {"toy-sft": FixedAnswerDecoder(tiny_tokenizer, "Hello.")}
    page.goto(serve(decoders=decoders).url)
    page.get_by_role("checkbox", name="sft").wait_for()
    page.route("**/v1/**", lambda route: route.abort())
    ask(page, "Hi")
    assert "does not answer" in page.locator(".details .error").inner_text()
    page.get_by_text("Asking again every 3 seconds").wait_for()
    page.unroute("**/v1/**")
    page.get_by_text("The server is back").wait_for()
    page.get_by_role("button", name="Regenerate").click()
    page.get_by_text("2 / 2").wait_for()
    page.get_by_text("Hello.", exact=True).wait_for()


def test_stages_answer_side_by_side(toy: ToyChat, page: Any) -> None:
    page.goto(toy.url)
    page.get_by_role("checkbox", name="pretrain").check()
    ask(page, "Hi")
    headings = page.locator(".answer h2").all_inner_texts()
    assert headings == ["pretrain continues your text", "sft trained to answer"]
    assert answers(page) == ["and on.", "The old fox went."]
    toy.sft.say("Again.")
    page.get_by_role("button", name="Regenerate").last.click()
    page.get_by_text("Again.").wait_for()
    answered(page)
    assert answers(page) == ["and on.", "Again."]


def test_settings_are_sent_and_stored(toy: ToyChat, page: Any) -> None:
    sent: list[Any] = []
    page.on("request", lambda r: sent.append(r.post_data_json) if r.method == "POST" else None)
    toy.sft.say("a b c d e f g")
    page.goto(toy.url)
    page.locator("#settings summary").click()
    page.get_by_label("Maximum answer length").fill("3")
    page.get_by_label("Temperature").fill("0")
    page.get_by_label("System message").fill("Be short.")
    ask(page, "Hi")
    assert sent[-1]["messages"] == [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "Hi"},
    ]
    assert sent[-1]["max_tokens"] == 3
    assert sent[-1]["temperature"] == 0
    assert "system" not in sent[-1]
    assert "3 tokens" in page.locator(".details").inner_text()
    assert "maximum answer length of 3" in page.locator(".details").inner_text()
    page.reload()
    assert page.get_by_label("Maximum answer length").input_value() == "3"
    page.locator("#settings summary").click()
    page.get_by_role("button", name="Restore defaults").click()
    assert page.get_by_label("Maximum answer length").input_value() == "256"
    send(page, "/topk 7")
    page.get_by_text("topk is 7 now").wait_for()
    assert page.get_by_label("Top k").input_value() == "7"
    send(page, "/temperature 9")
    page.get_by_text("Enter a number from 0 to 1.5").wait_for()
    assert page.get_by_label("Your message").input_value() == "/temperature 9"


def test_api_key_can_be_entered(serve: Serve, tiny_tokenizer: Tokenizer, page: Any) -> None:
    decoders = {"toy-sft": FixedAnswerDecoder(tiny_tokenizer, "Hello.")}
    page.goto(serve(ServerLimits(api_key="open"), decoders=decoders).url)
    assert page.locator("#server.error").inner_text().startswith("The server needs its API key")
    send(page, "Hi")
    page.get_by_text("Your message stays here").wait_for()
    assert page.get_by_label("Your message").input_value() == "Hi"
    page.get_by_role("button", name="Enter the key").click()
    page.keyboard.type("open")
    page.keyboard.press("Tab")
    page.get_by_role("checkbox", name="sft").wait_for()
    page.get_by_label("Your message").press("Enter")
    answered(page, 1)
    assert answers(page) == ["Hello."]
