"""The chat page loses nothing: reloads, edits, several tabs, full storage, files."""

import json
from pathlib import Path
from typing import Any

import pytest
from chat_page import ToyChat, answered, answers, ask, focused, messages, send

pytestmark = pytest.mark.slow
# Stores conversations of one question and answer, with the probabilities of many tokens.
STORE = """chats => { for (const [id, tokens, hour] of chats) {
  const time = Date.now() - hour * 3600e3;
  const piece = ["word ", ["word", -1, "other", -2, "more", -3, "and", -4, "less", -5]];
  const answer = {id: "a", model: "toy-sft", stage: "sft", pieces: Array(tokens).fill(piece),
    tokens, finishReason: "stop", time};
  const nodes = {q: {id: "q", parent: "", created: 1, text: "Question " + id},
    r: {id: "r", parent: "q", created: 2, run: "toy", stages: ["sft"], system: "", answers: ["a"]}};
  const chat = {id, title: "", created: time, updated: time, run: "toy", stages: ["sft"], nodes,
    answers: {a: answer}, choices: {}};
  localStorage.setItem("firstwords.chat." + id, JSON.stringify(chat));
}}"""
# Fills the storage but for some characters.
FILL = """free => {
  const used = Object.entries(localStorage).reduce((n, [k, v]) => n + k.length + v.length, 0);
  localStorage.filler = "x".repeat(5 * 2 ** 20 - used - "filler".length - free);
}"""


def test_an_edit_is_a_branch_and_can_be_cancelled(toy: ToyChat, page: Any) -> None:
    page.goto(toy.url)
    for text in ("One", "Two", "Three"):
        ask(page, text)
    edit = page.get_by_role("button", name="Edit").nth(1)
    edit.click()
    assert messages(page) == ["One", "Three"]
    box = page.get_by_label("Edit the message")
    assert box.input_value() == "Two"
    box.fill("Two and more")
    page.reload()
    assert messages(page) == ["One", "Two", "Three"]
    edit.click()
    assert box.input_value() == "Two and more"
    page.keyboard.press("Escape")
    assert messages(page) == ["One", "Two", "Three"]
    assert focused(page) == "Edit"
    toy.sft.say("Another.")
    edit.click()
    box.fill("Zwei")
    page.keyboard.press("Enter")
    answered(page, 2)
    assert messages(page) == ["One", "Zwei"]
    assert answers(page) == ["The old fox went.", "Another."]
    page.get_by_text("2 / 2").wait_for()
    page.get_by_role("button", name="Previous version of the message").click()
    assert messages(page) == ["One", "Two", "Three"]
    assert focused(page) == "Previous version of the message"
    page.reload()
    assert messages(page) == ["One", "Two", "Three"]
    page.get_by_label("Your message").press("ArrowUp")
    assert box.input_value() == "Three"


def test_a_message_and_its_partial_answer_survive_a_reload(toy: ToyChat, page: Any) -> None:
    toy.sft.say("a b c d e f g h i j " * 9)
    toy.sft.pace = 0.05
    page.goto(toy.url)
    send(page, "First")
    page.locator(".token").nth(3).wait_for()
    page.reload()
    assert messages(page) == ["First"]
    assert answers(page)[0].startswith("a b")
    assert "interrupted" in page.locator(".details").inner_text()
    toy.sft.say(" The end.")
    page.get_by_label("Your message").fill("half a thou")
    page.reload()
    assert page.get_by_label("Your message").input_value() == "half a thou"
    page.get_by_role("button", name="New chat").click()
    assert page.get_by_label("Your message").input_value() == ""
    page.go_back()
    assert page.get_by_label("Your message").input_value() == "half a thou"


def test_two_tabs_agree(toy: ToyChat, page: Any) -> None:
    page.goto(toy.url)
    ask(page, "From tab one")
    other = page.context.new_page()
    other.goto(page.url)
    assert messages(other) == ["From tab one"]
    ask(other, "From tab two")
    page.get_by_text("From tab two").wait_for()
    ask(page, "Again from tab one")
    other.get_by_text("Again from tab one").wait_for()
    other.get_by_role("button", name="New chat").click()
    ask(other, "A new one")
    page.get_by_role("link", name="A new one").wait_for()
    for tab in (page, other):
        tab.reload()
        assert tab.locator("#chats a").all_inner_texts() == ["A new one", "From tab one"]
    assert messages(page) == ["From tab one", "From tab two", "Again from tab one"]


def test_full_storage_gives_up_probabilities_of_old_chats_and_says_so(
    toy: ToyChat, page: Any
) -> None:
    page.goto(toy.url)
    page.evaluate(STORE, [[f"old{hour}", 8000, hour] for hour in range(1, 4)])
    page.evaluate(FILL, 300)
    page.reload()
    ask(page, "Is there room?")
    page.get_by_text("the probabilities of the oldest conversation were dropped").wait_for()
    page.reload()
    assert messages(page) == ["Is there room?"]
    assert page.locator("#chats a").count() == 4
    page.get_by_role("link", name="Question old3").click()
    page.get_by_text("probabilities dropped, since storage was full").wait_for()
    assert answers(page)[0].count("word") == 8000
    page.get_by_role("link", name="Question old1").click()
    page.locator(".token").first.wait_for()
    page.evaluate("localStorage.clear()")
    page.goto(toy.url)
    page.evaluate(FILL, 300)
    ask(page, "And now?")
    page.get_by_text("this conversation is not saved").wait_for()


def test_more_than_a_hundred_conversations(toy: ToyChat, page: Any) -> None:
    page.goto(toy.url)
    page.evaluate(STORE, [[str(number), 1, 24 * number] for number in range(120)])
    page.reload()
    assert page.locator("#chats a").count() == 120
    ask(page, "One more")
    page.reload()
    assert page.locator("#chats a").count() == 121
    groups = page.locator("#chats .group").all_inner_texts()
    assert groups[:3] == ["Today", "Yesterday", "Previous 7 days"]
    page.get_by_label("Search").fill("question 11")
    assert page.locator("#chats a").count() == 11  # 11 and 110 to 119


def test_no_model_and_too_long_messages_leave_the_text(toy: ToyChat, page: Any) -> None:
    page.route("**/v1/models", lambda route: route.fulfill(json={"object": "list", "data": []}))
    page.goto(toy.url)
    send(page, "Keep me")
    page.get_by_text("No model can answer yet").wait_for()
    assert page.get_by_label("Your message").input_value() == "Keep me"
    page.unroute("**/v1/models")
    page.get_by_label("Your message").press("Enter")
    answered(page, 1)
    send(page, "x" * 200_001)
    page.get_by_text("This message has 200,001 characters").wait_for()
    assert len(page.get_by_label("Your message").input_value()) == 200_001
    assert messages(page) == ["Keep me"]
    page.get_by_label("Your message").fill("word " * 2000)
    assert "the model will read only its end" in page.locator("#meter-text").inner_text()
    ask(page, "word " * 2000)
    assert "read only the end" in page.locator(".details").last.inner_text()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_conversations_have_addresses_names_and_undo(toy: ToyChat, page: Any) -> None:
    page.goto(toy.url)
    ask(page, "First")
    first = page.url
    page.get_by_role("button", name="New chat").click()
    ask(page, "Second")
    assert "#chat=" in page.url
    assert page.url != first
    page.go_back()
    assert page.url == first
    assert messages(page) == ["First"]
    page.reload()
    assert messages(page) == ["First"]
    page.get_by_role("link", name="First", exact=True).hover()
    page.get_by_role("button", name="Rename First").click()
    page.keyboard.type("My talk")
    page.keyboard.press("Enter")
    assert focused(page) == "Rename My talk"
    page.get_by_role("button", name="Delete My talk").click()
    assert page.locator("#empty").is_visible()
    assert focused(page) == "Second"
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("link", name="My talk").wait_for()
    assert messages(page) == ["First"]
    page.goto(toy.url + "/#chat=unknown")
    page.get_by_text("no such conversation").wait_for()


def test_export_import_and_deletion_of_all(toy: ToyChat, page: Any, tmp_path: Path) -> None:
    page.goto(toy.url)
    ask(page, "What is it?")
    page.get_by_text("Export, import, delete").click()
    with page.expect_download() as markdown:
        page.get_by_role("button", name="This chat as Markdown").click()
    text = Path(markdown.value.path()).read_text(encoding="utf-8")
    assert text.splitlines()[:5] == ["# What is it?", "", "**You**", "", "What is it?"]
    assert "The old fox went." in text
    with page.expect_download() as exported:
        page.get_by_role("button", name="All chats as JSON").click()
    saved = tmp_path / "chats.json"
    exported.value.save_as(saved)
    assert len(json.loads(saved.read_text(encoding="utf-8"))["chats"]) == 1
    page.get_by_role("button", name="Delete all chats").click()
    page.get_by_role("button", name="Keep them").click()
    assert page.locator("#chats a").count() == 1
    page.get_by_role("button", name="Delete all chats").click()
    page.get_by_role("button", name="Delete all", exact=True).click()
    page.reload()
    assert page.locator("#chats a").count() == 0
    page.get_by_label("File to import").set_input_files(saved)
    page.get_by_text("Imported 1 conversation").wait_for()
    assert messages(page) == ["What is it?"]
    assert answers(page) == ["The old fox went."]
    broken = tmp_path / "broken.json"
    broken.write_text('{"format": "firstwords-chats-1", "chats": [{"id": 3}]}', encoding="utf-8")
    page.get_by_label("File to import").set_input_files(broken)
    page.get_by_text("This file is damaged").wait_for()
