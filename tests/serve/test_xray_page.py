"""The X-ray in a real browser: the page of the server, and the file that needs none."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firstwords.inference.sampling import Sampling
from firstwords.model import Transformer
from firstwords.serve.app import Limits
from firstwords.tokenizer import Tokenizer
from firstwords.xray import page as pages
from firstwords.xray.look import Ask, Subject, document
from firstwords.xray.next import next_tokens

pytestmark = pytest.mark.slow
Serve = Callable[..., Any]
Look = Callable[[Any], None]
TEXT = "The old fox jumped over the old fox"
HTML = "<script>document.title='taken'</script><b>bold</b>"


def look(page: Any, text: str = TEXT) -> None:
    page.get_by_label("A text to look at").fill(text)
    page.get_by_role("button", name="Look", exact=True).click()
    page.locator(".quote", has_text=text).wait_for(timeout=15_000)


def view(page: Any, name: str) -> Any:
    return page.locator(f"section.{name}")


def choose(page: Any, place: int) -> None:
    page.get_by_label("Token", exact=True).fill(str(place))


@pytest.fixture
def seen(wide_model: Transformer, tiny_tokenizer: Tokenizer) -> Callable[..., dict[str, Any]]:
    def make(text: str = TEXT, generate: int = 0, **sampling: Any) -> dict[str, Any]:
        subject = Subject("sft", 1, 2, wide_model, tiny_tokenizer)
        return document("toy", [subject], Ask(text, False, generate, Sampling(**sampling)))

    return make


def test_a_text_is_looked_at_from_all_sides(serve: Serve, page: Any) -> None:
    page.goto(f"{serve().url}/xray")
    page.get_by_label("Tokens to go on with").fill("4")
    look(page)
    titles = page.locator(".view h2").all_inner_texts()
    assert titles == [
        "Tokens", "Loss", "Similar tokens", "Attention", "Logit lens", "Next token", "KV cache",
    ]  # fmt: skip
    assert "sft, step 1 of 2" in page.locator(".seen").inner_text()
    assert view(page, "attention").locator("canvas").count() == 2 * 4 + 1
    assert view(page, "lens").locator("thead th").count() == 1 + 3 + 1
    assert view(page, "cache").locator("tbody tr").count() == 4
    assert view(page, "tokens").locator(".token.written").count() == 4


def test_a_token_that_is_clicked_is_looked_at_everywhere(serve: Serve, page: Any) -> None:
    page.goto(f"{serve().url}/xray")
    look(page)
    view(page, "loss").locator(".token").nth(2).click()
    old = "␣old"
    assert old in view(page, "tokens").locator(".facts").inner_text()
    assert f"“{old}”: " in view(page, "loss").inner_text()
    assert view(page, "similar").locator(".title").inner_text() == f"Like “{old}”"
    assert view(page, "next").locator(".title").inner_text() == f"After “{old}”"
    assert f"“{old}” takes" in view(page, "attention").inner_text()
    choose(page, 1)
    assert view(page, "next").locator(".title").inner_text() == "After “The”"
    view(page, "lens").locator("tbody tr").nth(2).locator("td").first.click()
    assert view(page, "next").locator(".title").inner_text() == f"After “{old}”"


def test_a_head_that_is_chosen_is_shown_closely(
    serve: Serve, page: Any, seen: Callable[..., Any]
) -> None:
    page.goto(f"{serve().url}/xray")
    page.get_by_label("Tokens to go on with").fill("0")
    look(page)
    attention = view(page, "attention")
    attention.get_by_label("layer 2, head 3").check(force=True)
    assert attention.locator(".closer .title").inner_text() == "Layer 2, head 3"
    (stage,) = seen()["stages"]
    row = stage["attention"][1][2][-1]
    shown = attention.locator(".strip .token small").all_inner_texts()
    assert shown == [percent(share) for share in row]


def percent(share: float) -> str:
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return f"{100 * share:.0f} %" if share >= 0.0995 or share == 0 else f"{100 * share:.1f} %"


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"), [(0.7, 50, 0.95), (1.5, 5, 1.0), (0, 0, 0.5)]
)
def test_the_settings_change_what_is_drawn_as_the_engine_does(
    temperature: float,
    top_k: int,
    top_p: float,
    serve: Serve,
    page: Any,
    seen: Callable[..., Any],
) -> None:
    page.goto(f"{serve().url}/xray")
    look(page)
    view(page, "next").get_by_label("Temperature").fill(str(temperature))
    view(page, "next").get_by_label("Top k").fill(str(top_k))
    view(page, "next").get_by_label("Top p").fill(str(top_p))
    (stage,) = seen()["stages"]
    logits = stage["logits"][str(len(stage["tokens"]) - 1)]
    sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p)
    expected = next_tokens(logits, sampling, most=15)
    lines = view(page, "next").locator("li").all()
    assert len(lines) == 15
    for line, one in zip(lines, expected.likeliest, strict=True):
        before, after = line.locator(".figure").all_inner_texts()
        assert before == percent(one.share)
        assert after == ("cut" if one.drawn is None else percent(one.drawn))
    assert view(page, "next").inner_text().endswith(f"{expected.kept} of 487 tokens can be drawn.")


def test_stages_stand_side_by_side(serve: Serve, page: Any) -> None:
    page.goto(f"{serve().url}/xray")
    page.get_by_label("base (step 1)").check()
    look(page)
    for name in ("tokens", "loss", "similar", "attention", "lens", "next", "cache"):
        titles = view(page, name).locator("h3").all_inner_texts()
        assert titles == ["base, step 1 of 2", "sft, step 1 of 2"]
    choose(page, 2)
    assert view(page, "next").locator(".title").all_inner_texts() == ["After “␣old”"] * 2


def test_the_chat_leads_to_it_and_it_leads_back(serve: Serve, page: Any) -> None:
    url = serve().url
    page.goto(url)
    page.get_by_label("Your message").fill("The old fox")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Answer again").wait_for(timeout=15_000)
    page.locator(".own").get_by_role("link", name="X-ray").click()
    page.locator(".quote", has_text="The old fox").wait_for()
    assert page.get_by_label("as a user's message").is_checked()
    assert "<|im_start|>" in view(page, "tokens").inner_text()
    page.reload()
    page.locator(".quote", has_text="The old fox").wait_for()
    page.get_by_role("link", name="Chat").click()
    page.get_by_label("Your message").wait_for()
    page.get_by_role("link", name="X-ray", exact=True).first.click()
    page.get_by_label("A text to look at").wait_for()


def test_errors_are_told(serve: Serve, page: Any) -> None:
    running = serve(Limits(api_key="open"))
    page.goto(f"{running.url}/xray")
    page.get_by_text("Give it in the settings of the chat").wait_for()
    page.evaluate("localStorage.setItem('firstwords.settings', '{\"key\": \"open\"}')")
    page.reload()
    page.get_by_label("sft").wait_for()
    page.get_by_label("A text to look at").fill("fox " * 500)
    page.get_by_role("button", name="Look", exact=True).click()
    page.locator("#status.bad", has_text="256 at most").wait_for()
    look(page)
    assert page.locator("#status").inner_text() == ""
    running.close()
    page.get_by_role("button", name="Look", exact=True).click()
    page.locator("#status.bad", has_text="went wrong").wait_for()


def test_what_is_written_never_becomes_html(
    serve: Serve, page: Any, seen: Callable[..., Any], tmp_path: Path
) -> None:
    page.goto(f"{serve().url}/xray")
    look(page, HTML)
    assert page.title() == "X-ray · Firstwords"
    assert page.locator("#xray b, #xray script").count() == 0
    (tmp_path / "x.html").write_text(pages.render(seen(HTML)), encoding="utf-8")
    page.goto((tmp_path / "x.html").as_uri())
    page.locator(".quote", has_text=HTML).wait_for()
    assert page.title() == "X-ray · Firstwords"
    assert page.locator("#xray b, #xray script").count() == 0


def test_the_file_shows_the_same_without_a_server(
    serve: Serve, page: Any, seen: Callable[..., Any], tmp_path: Path
) -> None:
    page.goto(f"{serve().url}/xray")
    page.get_by_label("Tokens to go on with").fill("3")
    look(page)
    on_page = page.locator("#xray").inner_text()
    (tmp_path / "x.html").write_text(pages.render(seen(generate=3)), encoding="utf-8")
    page.goto((tmp_path / "x.html").as_uri())
    page.locator(".view").first.wait_for()
    assert page.locator("#xray").inner_text() == on_page
    choose(page, 1)
    assert view(page, "next").locator(".title").inner_text() == "After “The”"


@pytest.mark.parametrize("width", [380, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_stands_in_the_way_of_anybody(
    width: int, scheme: str, serve: Serve, nothing_serious: Look, browser: Any
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{serve().url}/xray")
    page.get_by_label("base (step 1)").check()
    for _ in range(2):
        nothing_serious(page)
        look(page)
    context.close()


def test_it_works_by_keyboard_alone(serve: Serve, page: Any) -> None:
    page.goto(f"{serve().url}/xray")
    page.get_by_label("sft").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.type("The old fox")
    page.keyboard.press("Enter")
    page.locator(".view").first.wait_for()
    page.locator("section.tokens input:checked").focus()
    page.keyboard.press("ArrowLeft")
    assert view(page, "next").locator(".title").inner_text() == "After “␣old”"
    page.locator("section.attention .heads input:checked").focus()
    page.keyboard.press("ArrowRight")
    assert view(page, "attention").locator(".closer .title").inner_text() == "Layer 1, head 2"


def test_on_paper_it_is_dark_on_light(serve: Serve, page: Any) -> None:
    page.emulate_media(color_scheme="dark", media="print")
    page.goto(f"{serve().url}/xray")
    look(page)
    colour = page.evaluate("getComputedStyle(document.body).color")
    assert max(map(int, re.findall(r"\d+", colour))) < 80
    assert not page.locator(".chooser").is_visible()
