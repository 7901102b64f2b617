"""The chat page shows what the model did: its stage and run, what it read, why it stopped."""

import json
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from chat_page import ToyChat, answered, answers, ask, send

pytestmark = pytest.mark.slow


def record_requests(page: Any) -> list[Any]:
    """Return a list that gets the body of each request that generates text."""
    sent: list[Any] = []

    def add(request: Any) -> None:
        body = request.post_data_json if request.method == "POST" else None
        if body and body.get("max_tokens") != 0:
            sent.append(body)

    page.on("request", add)
    return sent


def test_base_stage_continues_raw_text(toy: ToyChat, page: Any) -> None:
    sent = record_requests(page)
    page.goto(toy.url)
    page.get_by_role("checkbox", name="pretrain").check()
    page.get_by_role("checkbox", name="sft").uncheck()
    page.get_by_text("Let the base model continue your text").wait_for()
    page.get_by_role("button", name="The capital of Japan is").click()
    answered(page, 1)
    assert answers(page) == ["and on."]
    assert page.locator(".answer h2").inner_text() == "pretrain continues your text"
    assert sent[-1]["prompt"] == "The capital of Japan is"
    ask(page, "More")
    assert sent[-1]["prompt"] == "The capital of Japan is and on.\nMore"
    ask(page, "word " * 400)
    assert sent[-1]["prompt"].endswith("word word")
    assert len(sent[-1]["prompt"]) < 2000
    assert "read only the end" in page.locator(".details").last.inner_text()


def test_run_and_stages_belong_to_a_conversation(toy: ToyChat, page: Any) -> None:
    page.goto(toy.url)
    page.get_by_role("checkbox", name="pretrain").check()
    page.get_by_role("checkbox", name="sft").uncheck()
    ask(page, "Hi")
    page.get_by_role("checkbox", name="sft").check()
    ask(page, "And now?")
    note = page.locator(".note").inner_text()
    assert note == "From here, stages pretrain, sft answer."
    page.get_by_role("button", name="New chat").click()
    assert page.get_by_role("checkbox", name="pretrain").is_checked()  # the last choice
    newer = {"id": "newer-sft", "run": "newer", "stage": "sft", "step": 1, "created": 9_999_999}

    def add_run(route: Any) -> None:
        listed = route.fetch().json()
        listed["data"].insert(0, {**newer, "max_model_len": 128})
        route.fulfill(json=listed)

    page.route("**/v1/models", add_run)
    page.get_by_role("link", name="Hi").click()
    page.reload()
    page.locator("#run option", has_text="newer").wait_for(state="attached")
    assert page.locator("#run").input_value() == "toy"
    assert page.get_by_role("checkbox", name="pretrain").is_checked()
    assert page.get_by_role("checkbox", name="sft").is_checked()
    page.unroute("**/v1/models")
    only_newer = {"object": "list", "data": [newer]}
    page.route("**/v1/models", lambda route: route.fulfill(json=only_newer))
    page.reload()
    page.locator("#run option", has_text="toy (not on this server)").wait_for(state="attached")
    send(page, "Anyone?")
    page.get_by_text("The server no longer has run toy").wait_for()
    assert page.get_by_label("Your message").input_value() == "Anyone?"


def test_context_is_shown_and_what_is_left_out(toy: ToyChat, page: Any) -> None:
    toy.sft.say("fox " * 12)
    page.goto(toy.url)
    page.get_by_role("checkbox", name="sft").wait_for()
    assert page.locator("#meter-text").inner_text() == "Context: 0 of 256 tokens"
    page.get_by_label("Your message").fill("Hello there")
    assert page.locator("#meter-text").inner_text() == "Context: about 3 of 256 tokens"
    ask(page, "Tell me more")
    used = int(page.locator("#meter-text").inner_text().split()[1])
    assert 12 < used < 256
    assert page.locator(".note").count() == 0
    for number in range(6):
        ask(page, f"Part {number}")
    note = page.locator(".note")
    assert "no longer reads the messages above this line" in note.inner_text()
    assert note.evaluate("node => node.nextElementSibling.matches('.user-turn')")
    href = page.get_by_role("link", name="X-ray").last.get_attribute("href")
    conversation = json.loads(parse_qs(urlsplit(href).fragment)["conversation"][0])
    above = note.evaluate("node => [...node.parentNode.children].indexOf(node)")
    assert len(conversation) == 14 - above


def test_reason_of_a_cut_answer(toy: ToyChat, page: Any) -> None:
    toy.sft.say("fox " * 20, end=False)
    page.goto(toy.url)
    ask(page, "Count")
    assert "the model's context of 256 tokens is full" in page.locator(".details").inner_text()
    page.locator("#settings summary").click()
    page.get_by_label("Maximum answer length").fill("9")
    toy.sft.say("fox " * 20, end=False)
    page.get_by_role("button", name="New chat").click()
    ask(page, "Count")
    details = page.locator(".details").inner_text()
    assert details == "9 tokens; cut at the maximum answer length of 9 tokens (in the settings)"


def test_invalid_settings_are_marked_and_explained(toy: ToyChat, page: Any) -> None:
    sent = record_requests(page)
    page.goto(toy.url)
    page.get_by_role("checkbox", name="sft").wait_for()
    page.locator("#settings summary").click()
    wrong = {"Maximum answer length": "99999", "Top k": "-5", "Seed": "1" * 23}
    for label, value in wrong.items():
        page.get_by_label(label, exact=label != "Maximum answer length").fill(value)
    assert page.locator("#settings [aria-invalid=true]").count() == 3
    problems = [text for text in page.locator("#settings .error").all_inner_texts() if text]
    assert problems == [
        "Enter a whole number from 0 to 1000. In use: 50.",
        "Enter a whole number from 1 to 256. In use: 256.",
        "Enter a whole number of up to 15 digits. In use: none.",
    ]
    ask(page, "Hi")
    assert sent[-1]["top_k"] == 50
    assert "seed" not in sent[-1]
    page.get_by_label("Top k").fill("5")
    assert page.locator("#settings [aria-invalid=true]").count() == 2


def test_busy_server_is_asked_again_when_it_says(toy: ToyChat, page: Any) -> None:
    refusals = [1, 1, 1]
    body = {"error": {"message": "too many queued requests", "code": None}}

    def refuse(route: Any) -> None:
        if not refusals:
            return route.continue_()
        refusals.pop()
        return route.fulfill(status=429, json=body, headers={"retry-after": "1"})

    page.route("**/v1/chat/completions", refuse)
    page.goto(toy.url)
    page.get_by_role("checkbox", name="sft").wait_for()
    send(page, "Hi")
    page.get_by_text("The server is busy. Asking again in 1 s.").wait_for()
    answered(page, 1)  # refused twice
    error = page.locator(".details .error").inner_text()
    assert error == "The server has too many requests. Regenerate in a moment."
    page.get_by_role("button", name="Regenerate").click()
    page.get_by_text("Asking again in 1 s").wait_for()
    page.get_by_text("The old fox went.").wait_for()


def test_xray_of_an_answer_has_its_history(toy: ToyChat, page: Any) -> None:
    page.goto(toy.url)
    ask(page, "My name is Tomas.")
    ask(page, "What is my name?")
    page.locator(".answer-text").last.locator(".token").nth(2).click()
    href = page.locator("#card a").get_attribute("href")
    parameters = {key: value[0] for key, value in parse_qs(urlsplit(href).fragment).items()}
    assert parameters["run"] == "toy"
    assert parameters["stages"] == "sft"
    assert parameters["token"] == "2"
    answer = {"role": "assistant", "content": "The old fox went."}
    assert json.loads(parameters["conversation"]) == [
        {"role": "user", "content": "My name is Tomas."},
        answer,
        {"role": "user", "content": "What is my name?"},
        answer,
    ]


def test_a_question_of_the_exam_is_asked_with_its_history(toy: ToyChat, page: Any) -> None:
    sent = record_requests(page)
    page.goto(toy.url)
    ask(page, "Hi")
    messages = [
        {"role": "user", "content": "My cat is called Rusty."},
        {"role": "assistant", "content": "A fine name."},
        {"role": "user", "content": "What is my cat called?"},
    ]
    parameters = {"run": "toy", "stages": "pretrain,sft", "conversation": json.dumps(messages)}
    page.goto(f"{toy.url}/#{urlencode(parameters)}")
    given = page.locator(".answer")
    given.get_by_text("A fine name.").wait_for()
    assert given.locator("h2").inner_text() == "given part of the question"
    assert given.get_by_role("button").all_inner_texts() == ["Copy"]
    assert page.get_by_role("checkbox", name="pretrain").is_checked()
    assert page.locator("#chats a").all_inner_texts() == ["Hi"]  # nothing is stored yet
    sent.clear()
    page.keyboard.press("Enter")
    answered(page, 2)
    assert page.locator(".note").count() == 0  # the run did not change
    by_model = {body["model"]: body for body in sent}
    assert by_model["toy-sft"]["messages"] == messages
    before = "My cat is called Rusty.\nA fine name.\nWhat is my cat called?"
    assert by_model["toy-pretrain"]["prompt"] == before
    page.reload()
    page.get_by_text("A fine name.").wait_for()
    page.goto(f"{toy.url}/#conversation=%5B1")
    page.get_by_text("holds a conversation that cannot be read").wait_for()


@pytest.mark.parametrize("name", ["<b>Pip</b> \"&\" 'x'", "Maximiliane-Charlotte-Zo", "פיפ 🙂"])
def test_a_model_with_a_personality_is_shown_by_its_name(
    name: str, toy: ToyChat, page: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toy.server.models, "assistant_name", name)
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(toy.url)
    box = page.get_by_placeholder(f"Write a message to {name}", exact=True)
    box.wait_for()
    for level in (1, 2):
        heading = page.locator(f"main h{level}")
        assert heading.text_content() == f"Chat with {name}"
    assert page.title() == f"{name} · Firstwords"
    ask(page, "Hi")
    label = f"Answer of {name} (sft); the arrow keys move through its tokens"
    assert page.locator(".answer-text").get_attribute("aria-label") == label
    assert page.locator(".answer h2").inner_text() == f"{name} · sft trained to answer"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    monkeypatch.undo()
    page.reload()  # the name of an answer is that of the model that gave it
    page.get_by_placeholder("Write a message", exact=True).wait_for()
    assert page.locator(".answer-text").get_attribute("aria-label") == label
