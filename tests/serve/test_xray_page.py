"""The X-ray page in a real browser: served, and as a file."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from waiting import wait_for_script, wait_until

from firstwords.inference.sampling import Sampling
from firstwords.inspect.xray import page as pages
from firstwords.inspect.xray.inspect_run import InspectedModel, InspectRequest, inspect_text
from firstwords.inspect.xray.next_token import next_token_distribution
from firstwords.model.transformer import Transformer
from firstwords.serve.app import ServerLimits
from firstwords.tokenizer.bpe import Tokenizer

pytestmark = pytest.mark.slow
Serve = Callable[..., Any]
TEXT = "The old fox jumped over the old fox"
LONG_TEXT = " ".join(["The old fox jumped over the stone"] * 24)
HTML = "<script>document.title='taken'</script><b>bold</b>"
CONVERSATION = [
    {"role": "user", "content": "The old fox"},
    {"role": "assistant", "content": "The quick hen"},
    {"role": "user", "content": "Who jumped?"},
    {"role": "assistant", "content": "The old hen jumped"},
]
IS_IN_SIGHT = """row => {
  const [inner, outer] = [row, row.closest(".wide")].map((node) => node.getBoundingClientRect());
  return inner.top >= outer.top && inner.bottom <= outer.bottom;
}"""
VIEWS = ("text", "next", "model", "attention", "lens", "loss", "cache", "tokens", "similar")


def inspect(page: Any, text: str = TEXT) -> None:
    page.get_by_label("Text to inspect").fill(text)
    run(page)
    page.locator(".quote", has_text=text).wait_for()


def run(page: Any) -> None:
    page.get_by_role("button", name="Run", exact=True).click()


def view(page: Any, name: str) -> Any:
    return page.locator(f".view.{name}")


def select_token(page: Any, position: int) -> None:
    page.locator("#position").fill(str(position))


def after(page: Any) -> str:
    """The token after which the view of the next token shows probabilities."""
    return str(view(page, "next").locator(".title").first.text_content())


def percent(share: float) -> str:
    if 0 < share < 0.0005:
        return "<\u00a00.1\u00a0%"
    digits = 0 if share >= 0.0995 or share == 0 else 1
    return f"{100 * share:.{digits}f}\u00a0%"


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


def test_views_come_in_order_fold_and_stay_folded(url: str, page: Any) -> None:
    page.goto(f"{url}/xray")
    page.get_by_label("Continue for").fill("4")
    inspect(page)
    assert page.locator(".view").evaluate_all("all => all.map((one) => one.classList[1])") == list(
        VIEWS
    )
    assert "sft, step 1 of 2" in page.locator(".summary").text_content()
    assert view(page, "text").locator(".prose").text_content().startswith(f"<|endoftext|>{TEXT}")
    assert view(page, "text").locator(".generated").count() == 4
    assert view(page, "attention").locator("canvas").count() == 2 * 4 + 1
    assert view(page, "lens").locator("thead th").count() == 1 + 3 + 1
    assert view(page, "cache").locator("tbody tr").count() == 4
    address = page.url
    view(page, "cache").locator("summary").click()
    # The browser tells the page of the fold after the click has returned.
    wait_for_script(page, "localStorage.getItem('firstwords.xray.folded')?.includes('cache')")
    page.reload()
    view(page, "cache").wait_for()
    assert view(page, "cache").get_attribute("open") is None
    assert view(page, "loss").get_attribute("open") is not None
    page.get_by_label("Views").get_by_role("link", name="KV cache").click()
    assert view(page, "cache").get_attribute("open") is not None
    assert page.evaluate("document.activeElement.textContent") == "KV cache"
    assert page.url == address


def test_rules_of_a_row_are_aligned(url: str, page: Any) -> None:
    page.goto(f"{url}/xray")
    inspect(page)
    for name in ("cache", "lens"):
        ends = view(page, name).locator("tr").nth(2).locator("th, td")
        bottoms = ends.evaluate_all("all => all.map((one) => one.getBoundingClientRect().bottom)")
        assert len(set(bottoms)) == 1


def test_text_typed_before_the_models_are_listed_is_kept(url: str, page: Any) -> None:
    waiting: list[Any] | None = []  # requests of the bar and of the page; None once they may go on

    def hold(route: Any) -> None:
        if waiting is None:
            route.continue_()
        else:
            waiting.append(route)

    page.route("**/v1/models", hold)
    page.goto(f"{url}/xray/#text=from+the+link&chat=1")
    assert page.get_by_label("Text to inspect").input_value() == "from the link"
    page.get_by_label("Text to inspect").fill(TEXT)
    page.get_by_label("Send as a chat message").uncheck()
    held, waiting = waiting, None
    for route in held:
        route.continue_()
    run(page)
    page.locator(".quote", has_text=TEXT).wait_for()
    assert not page.get_by_label("Send as a chat message").is_checked()


def test_choosing_a_token_chooses_it_in_all_views(url: str, page: Any) -> None:
    page.goto(f"{url}/xray")
    inspect(page)
    view(page, "loss").locator(".token").nth(2).click()
    old = "␣old"
    for name in ("text", "tokens", "loss", "attention", "model"):
        assert f"“{old}”" in view(page, name).text_content(), name
    assert view(page, "similar").locator(".title").text_content() == f"Similar to “{old}”"
    assert after(page) == f"After “{old}”"
    view(page, "text").get_by_text("The", exact=True).first.click()
    assert after(page) == "After “The”"
    view(page, "lens").locator("tbody tr").nth(2).locator("td").first.click()
    assert after(page) == f"After “{old}”"
    page.get_by_role("button", name="Previous token").click()
    assert after(page) == "After “The”"
    view(page, "loss").locator("summary").click()
    select_token(page, 2)
    view(page, "loss").locator("summary").click()
    view(page, "loss").get_by_text(f"“{old}”: ").wait_for()  # it was folded meanwhile


def test_head_is_chosen_on_its_map_and_in_the_picture(
    url: str, page: Any, xray_document: Callable[..., Any]
) -> None:
    page.goto(f"{url}/xray")
    page.get_by_label("Continue for").fill("0")
    inspect(page)
    attention, model = view(page, "attention"), view(page, "model")
    (stage,) = xray_document()["stages"]
    shown = attention.locator(".strip .token small")

    attention.get_by_label("layer 2, head 3").check(force=True)
    assert attention.locator(".close-up .title").text_content() == "Layer 2, head 3"
    row = stage["attention"][1][2][-1]
    assert shown.all_text_contents() == [percent(share) for share in row]
    in_picture = model.get_by_role("radio", name="Layer 2, head 3")
    assert in_picture.get_attribute("aria-checked") == "true"

    model.get_by_role("radio", name="Layer 1, head 2").click()
    assert attention.get_by_label("layer 1, head 2").first.is_checked()
    page.keyboard.press("Shift+Tab")
    model.get_by_role("radio", name="Layer 1, head 2").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowRight")
    assert attention.get_by_label("layer 2, head 3").first.is_checked()

    attention.get_by_label("mean of all heads").check()
    rows = [head[-1] for layer in stage["attention"] for head in layer]
    means = [sum(weights) / len(rows) for weights in zip(*rows, strict=True)]
    shares = [float(re.sub(r"[^\d.]", "", text)) for text in shown.all_text_contents()]
    assert shares == pytest.approx([100 * mean for mean in means], abs=0.6)


def test_picture_shows_what_each_part_adds(
    url: str, page: Any, xray_document: Callable[..., Any]
) -> None:
    page.goto(f"{url}/xray")
    page.get_by_label("Continue for").fill("0")
    inspect(page)
    (stage,) = xray_document()["stages"]
    before, first = stage["residual"][0]["stream"][-1], stage["residual"][1]
    texts = view(page, "model").locator(".layer").last.locator("text").all_text_contents()
    for part in ("attention", "mlp"):
        assert f"+{100 * first[part][-1] / before:.0f} %" in texts
    view(page, "model").get_by_role("slider", name="Token").focus()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#position").input_value() == str(len(stage["tokens"]) - 2)
    view(page, "model").get_by_role("button", name="Layer 1").click()
    assert page.evaluate("document.activeElement.textContent") == "Logit lens"


def test_sampling_settings_give_the_engines_probabilities(
    url: str, page: Any, xray_document: Callable[..., Any]
) -> None:
    page.goto(f"{url}/xray")
    page.get_by_label("Continue for").fill("0")
    inspect(page)
    (stage,) = xray_document()["stages"]
    logits = stage["logits"][str(len(stage["tokens"]) - 1)]
    for temperature, top_k, top_p in [(0.7, 50, 0.95), (1.5, 5, 1.0), (0, 0, 0.5)]:
        view(page, "next").get_by_label("Temperature").fill(str(temperature))
        view(page, "next").get_by_label("Top k").fill(str(top_k))
        view(page, "next").get_by_label("Top p").fill(str(top_p))
        sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p)
        expected = next_token_distribution(logits, sampling, n_candidates=15)
        figures = view(page, "next").locator("li .figure").all_text_contents()
        assert figures[::2] == [percent(one.probability) for one in expected.candidates]
        assert figures[1::2] == [
            "cut" if one.sampled is None else percent(one.sampled) for one in expected.candidates
        ]
        details = view(page, "next").locator(".details").text_content()
        assert details == f"{expected.n_kept} of 487 tokens can be sampled."


def test_stages_share_a_strip_and_take_turns_in_wide_views(
    url: str, open_page: Callable[..., Any]
) -> None:
    page = open_page(viewport={"width": 800, "height": 800})
    page.goto(f"{url}/xray")
    page.get_by_label("pretrain (step 1)").check()
    page.get_by_label("Continue for").fill("0")
    inspect(page, LONG_TEXT)
    for name in ("text", "loss", "tokens"):
        assert view(page, name).locator(".strip, .prose").count() == 1
    assert view(page, "loss").locator(".token").first.locator("small").count() == 2
    for name in ("loss", "similar", "next"):
        titles = view(page, name).locator("h3").all_text_contents()
        assert titles == ["pretrain, step 1 of 2", "sft, step 1 of 2"]
    lens = view(page, "lens")
    for stage in ("pretrain", "sft"):
        view(page, "attention").get_by_label(stage, exact=True).check()
        region = lens.get_by_role("region", name=f"What each layer of {stage}")
        region.scroll_into_view_if_needed()
        assert region.evaluate("node => node.scrollWidth <= node.clientWidth")
        for position in (3, 150):
            select_token(page, position)
            row = region.locator("tr.selected").element_handle()
            wait_until(lambda row=row: row.evaluate(IS_IN_SIGHT))


def test_tokens_of_stages_are_shared_as_far_as_they_agree(url: str, page: Any) -> None:
    page.goto(f"{url}/xray")
    groups = page.evaluate(
        """async () => {
            const { XrayState } = await import("./state.js");
            const stage = (name, ids) => ({ stage: name, tokens: ids.map((id) => ({ id })) });
            const stages = [stage("a", [1, 2, 3]), stage("b", [1, 2, 4, 5]), stage("c", [1, 2])];
            const groups = new XrayState({ sampling: {}, stages }).tokenGroups();
            return groups.map(({ stages, from, to }) => [stages.map((s) => s.stage), from, to]);
        }"""
    )
    assert groups == [[["a", "b", "c"], 0, 2], [["a"], 2, 3], [["b"], 2, 4]]


# --- attention maps -------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [1, 2])
def test_thin_diagonal_stays_a_line_at_any_size(
    ratio: int, url: str, open_page: Callable[..., Any]
) -> None:
    page = open_page(device_scale_factor=ratio)
    page.goto(f"{url}/xray")
    width, dark = page.evaluate(
        """async () => {
            const { paintMap } = await import("./attention_map.js");
            const canvas = document.createElement("canvas");
            document.body.append(canvas);
            canvas.style.width = "60px";
            const rows = Array.from({ length: 227 }, (_, row) =>
                Array.from({ length: row + 1 }, (_, column) => (column === row - 1 ? 0.96 : 0)));
            paintMap(canvas, rows);
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.width);
            const dark = Array.from({ length: canvas.width }, (_, y) =>
                Array.from({ length: canvas.width }, (_, x) => data[4 * (y * canvas.width + x) + 3])
                    .filter((ink) => ink > 200).length);
            return [canvas.width, dark];
        }"""
    )
    assert width == 60 * ratio
    assert min(dark) >= 1
    assert max(dark) <= 3


def test_map_has_labels_on_both_sides_at_any_length(url: str, page: Any) -> None:
    page.goto(f"{url}/xray")
    page.get_by_label("Continue for").fill("0")
    for text, fewest in ((TEXT, 8), ("fox " * 40, 15), (LONG_TEXT, 15)):
        inspect(page, text.strip())
        view(page, "attention").locator(".close-up").scroll_into_view_if_needed()
        for side in ("row-labels", "column-labels"):
            labels = view(page, "attention").locator(f".{side} span")
            labels.first.wait_for()
            assert labels.count() >= fewest
            assert labels.and_(page.locator(".chosen")).count() == 1


def test_weight_is_read_at_the_pointer_by_keys_and_by_touch(
    url: str, open_page: Callable[..., Any], xray_document: Callable[..., Any]
) -> None:
    page = open_page(has_touch=True, viewport={"width": 800, "height": 800})
    page.goto(f"{url}/xray")
    page.get_by_label("Continue for").fill("0")
    inspect(page)
    (stage,) = xray_document()["stages"]
    rows = stage["attention"][0][0]
    attention = view(page, "attention")
    chart, readout = attention.get_by_role("application"), attention.locator(".readout")
    chart.scroll_into_view_if_needed()
    size = chart.bounding_box()["width"]

    def at(row: int, column: int) -> dict[str, float]:
        return {
            "x": size * (column + 0.5) / len(rows),
            "y": size * (row + 0.5) / len(rows),
        }

    chart.hover(position=at(5, 2))
    assert percent(rows[5][2]) in readout.text_content()
    page.mouse.move(0, 0)
    assert not readout.is_visible()
    page.touchscreen.tap(
        chart.bounding_box()["x"] + at(4, 1)["x"], chart.bounding_box()["y"] + at(4, 1)["y"]
    )
    assert percent(rows[4][1]) in readout.text_content()
    assert page.locator("#position").input_value() == "4"
    chart.focus()
    for key in ("ArrowDown", "ArrowLeft"):
        page.keyboard.press(key)
    assert percent(rows[5][0]) in readout.text_content()
    assert percent(rows[5][0]) in attention.get_by_role("status").text_content()


def test_habits_are_badges_on_the_maps(url: str, page: Any) -> None:
    page.goto(f"{url}/xray")
    page.get_by_label("Continue for").fill("0")
    inspect(page, "The old")  # three tokens: every head has a habit
    badges = view(page, "attention").locator(".badge")
    assert badges.count() == 2 * 4
    assert re.fullmatch(r"to [a-z ]+: \d+\s%", badges.first.text_content())


# --- conversations --------------------------------------------------------------------------------


def test_answer_of_the_chat_is_inspected_as_it_stands(url: str, page: Any) -> None:
    parameters = {"run": "toy", "stages": "sft", "conversation": json.dumps(CONVERSATION)}
    page.goto(f"{url}/xray/#{urlencode({**parameters, 'token': 1})}")
    view(page, "text").wait_for()
    text = view(page, "text").locator(".prose").text_content()
    assert "The quick hen" in text  # the history
    assert text.endswith("assistant\nThe old hen jumped")
    assert view(page, "text").locator(".generated").count() == 0
    assert after(page) == "After “␣old”"
    assert view(page, "text").locator("[aria-checked=true]").text_content() == " old"
    assert not page.get_by_label("Continue for").is_visible()
    page.get_by_role("button", name="Write a text instead").click()
    page.get_by_label("Send as a chat message").check()
    inspect(page, "Who jumped?")
    assert "without a conversation before it" in view(page, "text").text_content()


def test_unreadable_conversation_is_an_error(url: str, page: Any) -> None:
    page.goto(f"{url}/xray/#conversation=%5B1")
    page.locator("#status.error", has_text="cannot be read").wait_for()


# --- errors ---------------------------------------------------------------------------------------


def test_errors_are_shown_and_old_results_are_marked(serve: Serve, page: Any) -> None:
    running = serve(ServerLimits(api_key="open"))
    page.goto(f"{running.url}/xray")
    page.locator("#status", has_text="Enter the key in the settings of the chat").wait_for()
    page.evaluate("localStorage.setItem('firstwords.settings', '{\"key\": \"open\"}')")
    page.reload()
    page.get_by_label("sft (step 1)").wait_for()
    inspect(page)
    page.get_by_label("Text to inspect").fill("fox " * 500)
    page.locator("#count.error", has_text="too long").wait_for()
    run(page)
    page.locator("#status.error", has_text="256").wait_for()
    assert f"still the earlier X-ray of “{TEXT}”" in page.locator(".stale-note").text_content()
    inspect(page, "The old hen")
    assert page.locator("#status").text_content() == ""
    assert page.locator(".stale-note").count() == 0
    page.locator("#count", has_text="of at most 256 tokens").wait_for()
    running.close()
    run(page)
    page.locator("#status.error", has_text="Error").wait_for()
    assert page.locator(".stale-note").is_visible()


def test_text_never_becomes_html(
    url: str, page: Any, xray_document: Callable[..., Any], tmp_path: Path
) -> None:
    page.goto(f"{url}/xray")
    inspect(page, HTML)
    assert page.title() == "X-ray · Firstwords"
    assert page.locator("#xray b, #xray script").count() == 0
    (tmp_path / "x.html").write_text(pages.render_page(xray_document(HTML)), encoding="utf-8")
    page.goto((tmp_path / "x.html").as_uri())
    page.locator(".quote", has_text=HTML).wait_for()
    assert page.title() == "X-ray · Firstwords"
    assert page.locator("#xray b, #xray script").count() == 0


def test_file_shows_the_same_without_a_server(
    url: str, page: Any, xray_document: Callable[..., Any], tmp_path: Path
) -> None:
    page.goto(f"{url}/xray")
    page.get_by_label("Continue for").fill("3")
    inspect(page)
    shown = ".view:not(.attention), .heads, .strip"  # labels of maps depend on the window
    on_page = page.locator(shown).all_text_contents()
    (tmp_path / "x.html").write_text(pages.render_page(xray_document(generate=3)), encoding="utf-8")
    page.goto((tmp_path / "x.html").as_uri())
    page.locator(".view").first.wait_for()
    assert page.locator(shown).all_text_contents() == on_page
    select_token(page, 1)
    assert after(page) == "After “The”"


# --- every reader ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1200, "light")])
def test_page_is_accessible(
    width: int, scheme: str, url: str, open_page: Callable[..., Any]
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.goto(f"{url}/xray")
    page.get_by_label("pretrain (step 1)").check()
    inspect(page)
    page.evaluate("document.querySelectorAll('.view').forEach((one) => (one.open = true))")
    view(page, "similar").locator(".bars").first.wait_for(state="attached")
    violations = axe.run(page, context="main").response["violations"]
    assert violations == [], [(v["id"], [n["html"] for n in v["nodes"]]) for v in violations]
    for narrow in (width, 320):
        page.set_viewport_size({"width": narrow, "height": 256})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_long_text_is_short_on_a_phone(url: str, open_page: Callable[..., Any]) -> None:
    page = open_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.goto(f"{url}/xray")
    page.get_by_label("pretrain (step 1)").check()
    inspect(page, LONG_TEXT)
    assert page.evaluate("document.documentElement.scrollHeight") < 10_000


def test_page_works_by_keyboard_alone(url: str, page: Any) -> None:
    page.goto(f"{url}/xray")
    page.get_by_label("sft").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.type("The old fox")
    page.keyboard.press("Enter")
    page.locator(".view").first.wait_for()
    view(page, "tokens").locator("input:checked").focus()
    page.keyboard.press("ArrowLeft")
    assert after(page) == "After “␣old”"
    view(page, "attention").locator(".heads input:checked").focus()
    page.keyboard.press("ArrowRight")
    assert view(page, "attention").locator(".close-up .title").text_content() == "Layer 1, head 2"


def test_focus_stays_when_the_form_changes(url: str, page: Any) -> None:
    page.goto(f"{url}/xray")
    page.get_by_role("button", name="What is 12 plus 30?").click()
    page.locator(".view").first.wait_for()
    assert page.evaluate("document.activeElement.id") == "go"
    box = page.get_by_label("pretrain (step 1)")
    box.check()
    page.get_by_label("Text to inspect").press("Enter")
    box.focus()
    page.locator(".summary", has_text="pretrain").wait_for()
    page.locator("#status", has_text=re.compile("^$")).wait_for(state="attached")
    assert page.evaluate("document.activeElement.id") == "stage-pretrain"


def test_print_is_dark_on_light(url: str, page: Any) -> None:
    page.emulate_media(color_scheme="dark", media="print")
    page.goto(f"{url}/xray")
    inspect(page)
    colour = page.evaluate("getComputedStyle(document.body).color")
    assert max(map(int, re.findall(r"\d+", colour))) < 80
    assert not page.locator(".token-slider").is_visible()
