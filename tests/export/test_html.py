"""The exported page computes what the Python engine does, alone and offline, in a real browser."""

import json
import re
import shutil
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from end_to_end import one_line
from factories import save_step, tiny_run
from hypothesis import given, settings
from hypothesis import strategies as st

from firstwords.cli.main import run_command
from firstwords.common import files
from firstwords.export import html_file, page_weights
from firstwords.inference.batch import answer_all
from firstwords.inference.chat import fit_prompt
from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.sampling import Sampling
from firstwords.model import hf_format
from firstwords.model.transformer import Transformer
from firstwords.recipe import ModelConfig
from firstwords.runs.run import Run
from firstwords.tokenizer.bpe import Tokenizer
from firstwords.tokenizer.calculator import calculate

TIMEOUT_MS = 240_000  # to wait for what takes under a second on an idle machine
ANSWER_IN_BROWSER = """async ({model, weights, requests}) => {
  const { config, layout, tokens, special } = model;
  const tokenizer = new Tokenizer(tokens, special);
  const tensors = await readWeights(weights, layout);
  return requests.map((request) => {
    const engine = new Engine(new Model(config, tensors), tokenizer);
    return [...engine.answer(request)].filter((e) => e && !e.prompt).map(
      ({text, call, result}) => text ??
        `<tool_call>${call}</tool_call><tool_response>${result}</tool_response>`).join("");
  });
}"""
QUESTIONS = (
    [{"role": "user", "content": "The fox?"}],
    [
        {"role": "user", "content": " What is 1+1? \x1c"},
        {
            "role": "assistant",
            "content": "<tool_call>1+1</tool_call><tool_response>2</tool_response>It is 2.",
        },
        {"role": "user", "content": "And <|im_end|>\n\n  grüß dich 🙂?"},
    ],
    [{"role": "user", "content": "The small fox jumped over 12 stones. " * 9}],
)


@pytest.fixture
def run(tiny_tokenizer: Tokenizer, tiny_model: ModelConfig, home: Path) -> Run:
    """A run with an untrained model in the stages pretrain and sft."""
    made = tiny_run("x", tiny_model.replace(max_seq_len=128), tiny_tokenizer)
    for stage in ("pretrain", "sft"):
        save_step(made, stage, 20, tiny_tokenizer)
    return made


@pytest.fixture
def export(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, Path, str]]:
    """A function that runs `firstwords export --format html`; returns code, file, output."""

    def command(*arguments: str, out: Path = tmp_path / "out" / "x.html") -> tuple[int, Path, str]:
        code = run_command(["export", "--format", "html", *arguments, "--out", str(out)])
        captured = capsys.readouterr()
        return code, out, captured.out + captured.err

    return command


def block(page: str, name: str) -> str:
    """The content of a script element."""
    found = re.search(f'<script type="[^"]*" id="{name}">(.*?)</script>', page, re.DOTALL)
    assert found
    return found[1]


def test_the_page_is_one_file_with_a_strict_policy(
    export: Callable[..., tuple[int, Path, str]],
) -> None:
    code, path, output = export()
    assert (code, output.splitlines()[-1]) == (0, str(path))
    page = path.read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    assert policy[1].startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy[1]
    assert not re.search(r"\b(?:https?:)?//[\w.-]+\.\w+", page.replace("data:", ""))
    assert not re.search(r"<(?:link|img|iframe)|\bsrc=|@import|url\(", page)
    assert page.count("<script") == page.count("</script") == 4


@pytest.mark.parametrize("bits", [9, 10])
def test_a_number_is_the_nearest_multiple_of_the_groups_scale(bits: int) -> None:
    values = np.random.default_rng(0).normal(size=(5, 40)).astype(np.float32)
    values[2] = 0
    scales, numbers = page_weights.quantize(values, bits)
    assert (scales.shape, numbers.shape) == ((5, 2), (5, 40))
    assert np.abs(numbers).max() == 2 ** (bits - 1) - 1
    by_value = np.repeat(scales.astype(np.float32), 32, axis=1)[:, :40]
    assert np.all(np.abs(numbers * by_value - values) <= by_value * 0.6)
    assert not numbers[2].any()


@given(data=st.binary(max_size=100))
def test_text_of_bytes_can_be_read_back(data: bytes) -> None:
    text = page_weights.to_text(data)
    assert not set(text) & set("</ \n")
    digits = [page_weights.ALPHABET.tolist().index(ord(character)) for character in text]
    pairs = zip(digits[::2], digits[1::2], strict=True)
    bits = "".join(f"{91 * high + low:013b}" for high, low in pairs)
    assert bits[: 8 * len(data)] == "".join(f"{byte:08b}" for byte in data)
    assert len(text) <= 2 * (8 * len(data) / 13 + 1)


def test_compressed_bytes_are_read_back_and_say_where_they_end() -> None:
    data = bytes(1000)
    packed = page_weights.compress(data)
    size = int.from_bytes(packed[:4], "little")
    assert (size, zlib.decompress(packed[4:])) == (len(packed) - 4, data)


def test_long_bytes_are_encoded_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    data = np.random.default_rng(0).bytes(1000)
    whole = page_weights.to_text(data)
    monkeypatch.setattr(page_weights, "CHUNK_BYTES", 13 * 8)
    assert page_weights.to_text(data) == whole


@pytest.mark.parametrize(
    ("arguments", "out", "words"),
    [
        (["--dtype", "f32"], "x.html", "--dtype f32 is not available for html; use int9 or f16"),
        ([], "chat", "does not end in .html; name it chat.html"),
        ([], "", "is a directory; name a file"),
        ([], "file/x.html", "cannot be written ("),
        (["--run", "missing"], "x.html", "missing"),
        (["--stage", "midtrain"], "x.html", "run x has no checkpoint of midtrain"),
    ],
)
def test_invalid_options_are_named(
    arguments: list[str],
    out: str,
    words: str,
    export: Callable[..., tuple[int, Path, str]],
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    code, path, output = export(*arguments, out=tmp_path / out)
    assert code == 2
    assert words in one_line(output)
    assert not path.is_file()


def test_a_model_too_large_for_a_browser_is_refused(
    export: Callable[..., tuple[int, Path, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(html_file, "MAX_WEIGHT_BYTES", 10_000)
    code, path, output = export("--dtype", "f16")
    assert code == 2
    assert "more than a page can hold" in output
    assert "use --dtype int9" in output
    assert not path.exists()


def test_a_full_disk_leaves_the_old_file(
    export: Callable[..., tuple[int, Path, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    export()

    def fail(temporary: Path, path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    before = export()[1].read_bytes()
    monkeypatch.setattr(files, "commit", fail)
    code, path, output = export("--dtype", "f16")
    assert code == 1
    assert "the disk is full" in output
    assert path.read_bytes() == before
    assert [other.name for other in path.parent.iterdir()] == [path.name]


def test_the_card_has_the_figures_of_the_run(
    export: Callable[..., tuple[int, Path, str]], run: Run
) -> None:
    score = {"title": "x", "score": 0.58, "chance": 0.13, "ci95": [0.57, 0.6], "n": 4600}
    score["centred"] = False
    part = {**score, "note": ""}
    exam = {**score, "categories": {"facts": part}, "empty": 0, "broken_call": 0}
    tasks = {
        "bits_per_byte": {**score, "text_bytes": 9, "categories": {"library": score}},
        "exam": exam,
    }
    files.write_json(
        run.evaluation("sft"),
        {"stage": "sft", "step": 20, "tasks": tasks, "chat_loss": 1.0, "samples": []},
    )
    page = export()[1].read_text(encoding="utf-8")
    assert "58% of 4,600 questions (57% to 60%; chance 13%)" in page
    assert "sft, step 20" in page
    assert "What it cannot do" in page


# --- in a browser ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("needs chromium")
    with playwright.sync_playwright() as session:
        launched = session.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def engine_page(browser: Any) -> Any:
    """An empty page that has the functions of the engine."""
    page = browser.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    page.add_script_tag(content=html_file.engine_script())
    yield page
    page.close()


def cases(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """Examples of a strategy, the same in each run, to be passed to the browser in one batch."""
    found: list[Any] = []

    @settings(max_examples=count, deadline=None, derandomize=True, database=None)
    @given(strategy)
    def collect(example: Any) -> None:
        found.append(example)

    collect()
    return found


# Letters that every version of Unicode in use has, and what the pattern splits by.
TEXTS = st.lists(
    st.one_of(
        st.sampled_from("abz ABZ019 \t\n\r\x0b\x1c\x85\xa0\u2028\u3000\ufeff.,;!?'\"_-äßſK½²Ⅷ٣"),
        st.sampled_from(["'s", "'LL", "漢字", "한", "e\u0301", "🙂", "👩‍👩‍👧", "<|im_end|>"]),
        st.characters(max_codepoint=0x2FFF, exclude_categories=["Cn", "Cs"]),
    ),
    max_size=40,
).map("".join)
NUMBERS = st.one_of(
    st.integers(0, 10**25).map(str),
    st.floats(0, 1e20).map(repr),
    st.sampled_from(["0", "1", "2", "10", "0.5", "1_000", "0x1F", "1e15", "012", "True", "1j"]),
    st.sampled_from(['count("banana", "a")', "count('é🙂', '🙂',)", '"a"', "count", "x"]),
)
EXPRESSIONS = st.recursive(
    NUMBERS,
    lambda inner: st.one_of(
        st.tuples(
            inner, st.sampled_from(["+", "-", "*", "/", "**", " + ", "//", "%", "<"]), inner
        ).map("".join),
        inner.map("({})".format),
        inner.map("-{}".format),
        inner.map("+ {}".format),
    ),
    max_leaves=6,
)
WRITTEN = [
    *("", "1 # x", "(1\n+2)", "1\n+2", "1\\\n+1", "\x1c1", "１+1", "1 if 2 else 3", "1 or 2"),
    *("1234567890.5", "2469135781/2", "0.5**-2000", "1e400**0", "10**100*10", "2**-1", "-2**2"),
    *("count(text='a',letter='a')", "'a'.upper()", "(count)('a','a')", "count('a\\x61', 'a' '')"),
    *("2**3**2", "(10**16+1)/10", "(10**30+1)/(10**29)", "1/3", "1e-5", "0.0001", "123456789012.5"),
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_tokenizer_and_calculator_agree_with_python(
    engine_page: Any, tiny_tokenizer: Tokenizer
) -> None:
    tokens = [tiny_tokenizer.token_bytes(i).decode("latin-1") for i in range(512)]
    special = {tiny_tokenizer.token_bytes(i).decode(): i for i in tiny_tokenizer.special_ids}
    words = ["The quick fox", " " * 500, "a" * 2000, "\r\n\r\n \t\n x", "I'll it'S 'ſo don’t"]
    texts = [*words, *cases(TEXTS, 150)]
    encode = (
        "([tokens, special, texts]) => texts.map((t) => new Tokenizer(tokens, special).encode(t))"
    )
    found = engine_page.evaluate(encode, [tokens, special, texts])
    for text, ids in zip(texts, found, strict=True):
        assert ids == tiny_tokenizer.encode(text), repr(text)
    expressions = [*WRITTEN, *cases(EXPRESSIONS, 300)]
    results = engine_page.evaluate("(all) => all.map(calculate)", expressions)
    for expression, result in zip(expressions, results, strict=True):
        assert result == calculate(expression), expression


@pytest.mark.slow
def test_answers_are_those_of_the_python_engine(
    engine_page: Any, export: Callable[..., tuple[int, Path, str]], run: Run
) -> None:
    page = export("--dtype", "f16")[1].read_text(encoding="utf-8")
    checkpoint = run.newest_of("sft")[1].directory
    model, tokenizer = hf_format.load_model(checkpoint), Tokenizer.load(run.tokenizer_path)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.copy_(parameter.half())
    for sampling in (
        Sampling(temperature=0, max_tokens=30),
        Sampling(temperature=0, max_tokens=30, repetition_penalty=1.3),
        Sampling(temperature=1.2, top_k=0, top_p=0.9, min_p=0.01, seed=2**32 - 1, max_tokens=30),
        Sampling(seed=7, max_tokens=30),
    ):
        requests = [{"messages": m, "sampling": sampling.model_dump()} for m in QUESTIONS]
        found = engine_page.evaluate(
            ANSWER_IN_BROWSER,
            {
                "model": json.loads(block(page, "model")),
                "weights": block(page, "weights"),
                "requests": requests,
            },
        )
        assert found == python_answers(model, tokenizer, sampling), sampling


def python_answers(model: Transformer, tokenizer: Tokenizer, sampling: Sampling) -> list[str]:
    context = model.config.max_seq_len
    prompts = [fit_prompt(tokenizer, list(messages), context).ids for messages in QUESTIONS]
    answers = answer_all(Engine(Decoder(model, 1)), tokenizer, prompts, sampling)
    return [answer.content for answer in answers]


@pytest.fixture
def open_file(browser: Any) -> Iterator[Callable[..., Any]]:
    """Return a function that opens a page from the disk. Script errors and requests fail."""
    contexts: list[Any] = []
    problems: list[str] = []

    def note(request: Any) -> None:
        if not request.url.startswith(("file:", "blob:")):
            problems.append(request.url)

    def open_new(path: Path, **options: Any) -> Any:
        contexts.append(browser.new_context(**options))
        contexts[-1].set_default_timeout(TIMEOUT_MS)
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text))
        page.on("request", note)
        page.goto(path.as_uri())
        page.locator("body[data-ready]").wait_for()
        return page

    yield open_new
    for context in contexts:
        context.close()
    assert problems == []


def set_seed(page: Any) -> None:
    """Fix the seed to one whose answers have words; an answer may also end at once."""
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Seed").fill("3")
    page.keyboard.press("Escape")


def ask(page: Any, text: str) -> None:
    page.locator("#message").fill(text)
    page.keyboard.press("Enter")
    page.locator("#send:not([hidden])").wait_for()


@pytest.mark.slow
def test_a_page_from_the_disk_chats_and_keeps_its_conversations(
    export: Callable[..., tuple[int, Path, str]], open_file: Callable[..., Any]
) -> None:
    page = open_file(export()[1], viewport={"width": 360, "height": 740}, has_touch=True)
    set_seed(page)
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Maximum answer length").fill("12")
    page.keyboard.press("Escape")
    html = "<img src=x onerror=alert(1)> <b>fox</b>"
    ask(page, html)
    assert page.locator(".question .words").inner_text() == html
    answer = page.locator(".question + div .words").inner_text()
    assert answer
    assert "tokens/s" in page.locator(".details").inner_text()
    page.get_by_role("button", name="Try again").click()
    page.locator("#send:not([hidden])").wait_for()
    assert page.locator(".question + div .words").inner_text() == answer, "the seed is fixed"
    ask(page, "And?")
    check_probabilities(page)
    page.reload()
    assert page.locator(".question").count() == 2
    assert page.get_by_label("Maximum answer length").input_value() == "12"
    page.get_by_role("button", name="Chats").click()
    page.get_by_role("button", name="New chat").click()
    assert page.locator("#empty").is_visible()
    page.get_by_role("button", name="Chats").click()
    page.get_by_role("button", name="Delete").click()
    assert page.locator("#chat-list li").count() == 0


def check_probabilities(page: Any) -> None:
    page.locator(".token").last.tap()
    assert page.locator("#tooltip tr").count() >= 5
    page.keyboard.press("Escape")
    assert page.locator("#tooltip").is_hidden()
    page.locator("#log .words[tabindex]").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#tooltip .drawn").count() >= 1
    assert page.locator(".token.shown").count() == 1


@pytest.mark.slow
def test_an_answer_can_be_stopped_and_copied(
    export: Callable[..., tuple[int, Path, str]], open_file: Callable[..., Any]
) -> None:
    page = open_file(export()[1], permissions=["clipboard-read", "clipboard-write"])
    set_seed(page)
    page.locator("#message").fill("The fox")
    page.keyboard.press("Enter")
    page.locator(".token").first.wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Copy").wait_for()
    assert re.search("stopped|tokens/s", page.locator(".details").inner_text())
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible_and_fits(
    scheme: str, export: Callable[..., tuple[int, Path, str]], open_file: Callable[..., Any]
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    size = {"width": 320, "height": 640} if scheme == "dark" else {"width": 1280, "height": 800}
    page = open_file(export()[1], viewport=size, color_scheme=scheme, bypass_csp=True)
    fits = "document.documentElement.scrollWidth <= innerWidth"

    def check() -> None:
        violations = axe.run(page).response["violations"]
        assert violations == [], [(v["id"], [n["html"] for n in v["nodes"]]) for v in violations]
        assert page.evaluate(fits)

    check()
    page.get_by_label("Maximum answer length").evaluate("(input) => (input.value = 8)")
    ask(page, "The fox")
    check()
    for name in ("Chats", "Settings", "About"):
        page.get_by_role("button", name=name, exact=True).click()
        check()
        page.keyboard.press("Escape")


@pytest.mark.slow
def test_a_model_without_chat_continues_text(
    export: Callable[..., tuple[int, Path, str]], open_file: Callable[..., Any]
) -> None:
    page = open_file(export("--stage", "pretrain")[1])
    assert page.get_by_role("heading", name="Continue a text").count() >= 1
    page.get_by_role("button", name="Once upon a time").click()
    page.locator("#send:not([hidden])").wait_for()
    assert page.locator(".question .words").inner_text() == "Once upon a time"
    assert page.locator(".token").count()


@pytest.mark.slow
def test_answers_have_the_name_of_the_model(
    export: Callable[..., tuple[int, Path, str]], open_file: Callable[..., Any], run: Run
) -> None:
    path = export()[1]
    ask(unnamed := open_file(path), "Hi")
    label = "The arrow keys show the likely tokens."
    words = ".question + div .words"
    assert unnamed.locator(words).get_attribute("aria-label") == f"Answer. {label}"
    text = path.read_text(encoding="utf-8")
    assert text.count('"name":null') == 1
    path.write_text(text.replace('"name":null', '"name":"\\u003cb>Pip"'), encoding="utf-8")
    ask(named := open_file(path), "Hi")
    assert named.locator(words).get_attribute("aria-label") == f"Answer of <b>Pip. {label}"
    named.set_viewport_size({"width": 360, "height": 400})
    named.get_by_role("button", name="About").click()
    assert named.locator("#about").evaluate("(dialog) => dialog.scrollTop") == 0, "not at its end"
