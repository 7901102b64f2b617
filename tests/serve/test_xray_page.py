"""The X-ray page in a real browser: served, and as a file."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firstwords.inference.sampling import Sampling
from firstwords.inspect.xray import page as pages
from firstwords.inspect.xray.inspect_run import InspectedModel, InspectRequest, inspect_text
from firstwords.inspect.xray.next_token import next_token_distribution
from firstwords.model.transformer import Transformer
from firstwords.serve.app import ServerLimits
from firstwords.tokenizer.bpe import Tokenizer

pytestmark = pytest.mark.slow
Serve = Callable[..., Any]
PageCheck = Callable[[Any], None]
TEXT = "The old fox jumped over the old fox"
HTML = "<script>document.title='taken'</script><b>bold</b>"


def inspect(page: Any, text: str = TEXT) -> None:
    page.get_by_label("Text to inspect").fill(text)
    page.get_by_role("button", name="Inspect", exact=True).click()
    page.locator(".quote", has_text=text).wait_for()


def view(page: Any, name: str) -> Any:
    return page.locator(f"section.{name}")


def select_token(page: Any, position: int) -> None:
    page.get_by_label("Token", exact=True).fill(str(position))


@pytest.fixture
def xray_document(
    wide_model: Transformer, tiny_tokenizer: Tokenizer
) -> Callable[..., dict[str, Any]]:
    def make(text: str = TEXT, generate: int = 0, **sampling: Any) -> dict[str, Any]:
        inspected = InspectedModel("sft", 1, 2, wide_model, tiny_tokenizer)
        return inspect_text(
            "toy", [inspected], InspectRequest(text, False, generate, Sampling(**sampling))
        )

    return make


def test_page_shows_all_views(serve: Serve, page: Any) -> None:
    page.goto(f"{serve().url}/xray")
    page.get_by_label("Tokens to generate").fill("4")
    inspect(page)
    titles = page.locator(".view h2").all_inner_texts()
    assert titles == [
        "Tokens", "Loss", "Similar tokens", "Attention", "Logit lens", "Next token", "KV cache",
    ]  # fmt: skip
    assert "sft, step 1 of 2" in page.locator(".summary").inner_text()
    assert view(page, "attention").locator("canvas").count() == 2 * 4 + 1
    assert view(page, "lens").locator("thead th").count() == 1 + 3 + 1
    assert view(page, "cache").locator("tbody tr").count() == 4
    assert view(page, "tokens").locator(".token.generated").count() == 4


def test_text_typed_before_the_models_are_listed_is_kept(serve: Serve, page: Any) -> None:
    waiting: list[Any] = []
    page.route("**/v1/models", lambda route: waiting.append(route))
    page.goto(f"{serve().url}/xray/#text=from+the+link&chat=1")
    assert page.get_by_label("Text to inspect").input_value() == "from the link"
    page.get_by_label("Text to inspect").fill(TEXT)
    page.get_by_label("Send as a chat message").uncheck()
    waiting.pop().continue_()
    page.get_by_role("button", name="Inspect", exact=True).click()
    page.locator(".quote", has_text=TEXT).wait_for()
    assert not page.get_by_label("Send as a chat message").is_checked()


def test_clicking_a_token_selects_it_in_all_views(serve: Serve, page: Any) -> None:
    page.goto(f"{serve().url}/xray")
    inspect(page)
    view(page, "loss").locator(".token").nth(2).click()
    old = "␣old"
    assert old in view(page, "tokens").locator(".details").inner_text()
    assert f"“{old}”: " in view(page, "loss").inner_text()
    assert view(page, "similar").locator(".title").inner_text() == f"Similar to “{old}”"
    assert view(page, "next").locator(".title").inner_text() == f"After “{old}”"
    assert f"“{old}” pays" in view(page, "attention").inner_text()
    select_token(page, 1)
    assert view(page, "next").locator(".title").inner_text() == "After “The”"
    view(page, "lens").locator("tbody tr").nth(2).locator("td").first.click()
    assert view(page, "next").locator(".title").inner_text() == f"After “{old}”"


def test_selected_head_is_shown_enlarged(
    serve: Serve, page: Any, xray_document: Callable[..., Any]
) -> None:
    page.goto(f"{serve().url}/xray")
    page.get_by_label("Tokens to generate").fill("0")
    inspect(page)
    attention = view(page, "attention")
    attention.get_by_label("layer 2, head 3").check(force=True)
    assert attention.locator(".close-up .title").inner_text() == "Layer 2, head 3"
    (stage,) = xray_document()["stages"]
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
def test_sampling_settings_give_the_engines_probabilities(
    temperature: float,
    top_k: int,
    top_p: float,
    serve: Serve,
    page: Any,
    xray_document: Callable[..., Any],
) -> None:
    page.goto(f"{serve().url}/xray")
    inspect(page)
    view(page, "next").get_by_label("Temperature").fill(str(temperature))
    view(page, "next").get_by_label("Top k").fill(str(top_k))
    view(page, "next").get_by_label("Top p").fill(str(top_p))
    (stage,) = xray_document()["stages"]
    logits = stage["logits"][str(len(stage["tokens"]) - 1)]
    sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p)
    expected = next_token_distribution(logits, sampling, n_candidates=15)
    lines = view(page, "next").locator("li").all()
    assert len(lines) == 15
    for line, candidate in zip(lines, expected.candidates, strict=True):
        before, after = line.locator(".figure").all_inner_texts()
        assert before == percent(candidate.probability)
        assert after == ("cut" if candidate.sampled is None else percent(candidate.sampled))
    assert (
        view(page, "next").inner_text().endswith(f"{expected.n_kept} of 487 tokens can be sampled.")
    )


def test_stages_are_shown_side_by_side(serve: Serve, page: Any) -> None:
    page.goto(f"{serve().url}/xray")
    page.get_by_label("pretrain (step 1)").check()
    inspect(page)
    for name in ("tokens", "loss", "similar", "attention", "lens", "next", "cache"):
        titles = view(page, name).locator("h3").all_inner_texts()
        assert titles == ["pretrain, step 1 of 2", "sft, step 1 of 2"]
    select_token(page, 2)
    assert view(page, "next").locator(".title").all_inner_texts() == ["After “␣old”"] * 2


def test_links_between_chat_and_xray(serve: Serve, page: Any) -> None:
    url = serve().url
    page.goto(url)
    page.get_by_label("Your message").fill("The old fox")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Regenerate").wait_for()
    page.locator(".user-message").get_by_role("link", name="X-ray").click()
    page.locator(".quote", has_text="The old fox").wait_for()
    assert page.get_by_label("Send as a chat message").is_checked()
    assert "<|im_start|>" in view(page, "tokens").inner_text()
    page.reload()
    page.locator(".quote", has_text="The old fox").wait_for()
    page.get_by_role("link", name="Chat").click()
    page.get_by_label("Your message").wait_for()
    page.get_by_role("link", name="X-ray", exact=True).first.click()
    page.get_by_label("Text to inspect").wait_for()


def test_errors_are_shown(serve: Serve, page: Any) -> None:
    running = serve(ServerLimits(api_key="open"))
    page.goto(f"{running.url}/xray")
    page.get_by_text("Enter the key in the settings of the chat").wait_for()
    page.evaluate("localStorage.setItem('firstwords.settings', '{\"key\": \"open\"}')")
    page.reload()
    page.get_by_label("sft").wait_for()
    page.get_by_label("Text to inspect").fill("fox " * 500)
    page.get_by_role("button", name="Inspect", exact=True).click()
    page.locator("#status.error", has_text="256").wait_for()
    inspect(page)
    assert page.locator("#status").inner_text() == ""
    running.close()
    page.get_by_role("button", name="Inspect", exact=True).click()
    page.locator("#status.error", has_text="Error").wait_for()


def test_text_never_becomes_html(
    serve: Serve, page: Any, xray_document: Callable[..., Any], tmp_path: Path
) -> None:
    page.goto(f"{serve().url}/xray")
    inspect(page, HTML)
    assert page.title() == "X-ray · Firstwords"
    assert page.locator("#xray b, #xray script").count() == 0
    (tmp_path / "x.html").write_text(pages.render_page(xray_document(HTML)), encoding="utf-8")
    page.goto((tmp_path / "x.html").as_uri())
    page.locator(".quote", has_text=HTML).wait_for()
    assert page.title() == "X-ray · Firstwords"
    assert page.locator("#xray b, #xray script").count() == 0


def test_file_shows_the_same_without_a_server(
    serve: Serve, page: Any, xray_document: Callable[..., Any], tmp_path: Path
) -> None:
    page.goto(f"{serve().url}/xray")
    page.get_by_label("Tokens to generate").fill("3")
    inspect(page)
    on_page = page.locator("#xray").inner_text()
    (tmp_path / "x.html").write_text(pages.render_page(xray_document(generate=3)), encoding="utf-8")
    page.goto((tmp_path / "x.html").as_uri())
    page.locator(".view").first.wait_for()
    assert page.locator("#xray").inner_text() == on_page
    select_token(page, 1)
    assert view(page, "next").locator(".title").inner_text() == "After “The”"


@pytest.mark.parametrize("width", [380, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_accessible(
    width: int,
    scheme: str,
    serve: Serve,
    check_accessibility: PageCheck,
    open_page: Callable[..., Any],
) -> None:
    page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.goto(f"{serve().url}/xray")
    page.get_by_label("pretrain (step 1)").check()
    for _ in range(2):
        check_accessibility(page)
        inspect(page)


def test_page_works_by_keyboard_alone(serve: Serve, page: Any) -> None:
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
    assert view(page, "attention").locator(".close-up .title").inner_text() == "Layer 1, head 2"


def test_print_is_dark_on_light(serve: Serve, page: Any) -> None:
    page.emulate_media(color_scheme="dark", media="print")
    page.goto(f"{serve().url}/xray")
    inspect(page)
    colour = page.evaluate("getComputedStyle(document.body).color")
    assert max(map(int, re.findall(r"\d+", colour))) < 80
    assert not page.locator(".token-slider").is_visible()
