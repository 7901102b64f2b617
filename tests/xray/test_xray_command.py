"""`firstwords xray`: terminal output, HTML page, JSON document and errors."""

import functools
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from factories import save_step, tiny_run

from firstwords.inspect.xray.views import VIEWS
from firstwords.recipe import REQUIRED_STAGES, ModelConfig
from firstwords.runs.run import Run
from firstwords.tokenizer.bpe import Tokenizer

TEXT = "The old fox jumped over the old fox"
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tiny_model: ModelConfig, tiny_tokenizer: Tokenizer) -> Run:
    run = tiny_run("toy", tiny_model, tiny_tokenizer)
    for number, stage in enumerate(REQUIRED_STAGES):
        save_step(run, stage, 20 - 5 * (stage == "sft"), tiny_tokenizer, seed=number)
    return run


@pytest.fixture
def xray(call_command: Call) -> Call:
    return functools.partial(call_command, "xray")


def test_default_is_the_latest_stage_of_the_newest_run(run: Run, xray: Call) -> None:
    code, out, err = xray(TEXT)
    assert (code, err) == (0, "")
    assert out.startswith("toy, sft, step 15 of 20")
    titles = re.findall(r"^\n([A-Z][\w ]+)\. ", out, re.MULTILINE)
    assert titles == [title for title, _ in VIEWS.values()]
    assert re.search(r"^ *1  The +\d+ +0-3$", out, re.MULTILINE)
    assert "layer 2 head 4" in out
    assert "top-k 50" in out
    assert max(map(len, out.splitlines())) <= 80
    assert out == "\n".join(line.rstrip() for line in out.splitlines()) + "\n"


def test_generate_shows_the_cache(run: Run, xray: Call) -> None:
    code, out, _ = xray(
        TEXT, "--stage", "pretrain", "--chat", "--generate", "3", "--temperature", "0"
    )
    assert code == 0
    assert out.startswith("toy, pretrain, step 20 of 20")
    assert re.search(r"^ +3  .* kB +1 ", out, re.MULTILINE)
    assert "tokens ran through the model" in out


def test_conversation_is_read_from_a_file(run: Run, xray: Call, tmp_path: Path) -> None:
    messages = [
        {"role": "user", "content": "The fox"},
        {"role": "assistant", "content": "The hen"},
    ]
    path = tmp_path / "chat.json"
    path.write_text(json.dumps({"messages": messages}), encoding="utf-8")
    code, out, _ = xray("--conversation", str(path), "--view", "text")
    assert code == 0
    assert "The fox<|im_end|>\n<|im_start|>assistant\nThe hen" in out
    path.write_text("{", encoding="utf-8")
    code, _, err = xray("--conversation", str(path))
    assert (code, err.count("\n")) == (2, 1)
    assert "not readable as JSON" in err


def test_views_can_be_chosen(run: Run, xray: Call, tmp_path: Path) -> None:
    options = ("--view", "lens", "--view", "loss")
    _, out, _ = xray(TEXT, *options)
    assert re.findall(r"^\n([A-Z][\w ]+)\. ", out, re.MULTILINE) == ["Logit lens", "Loss"]
    assert list(json.loads(xray(TEXT, *options, "--json")[1])["views"]) == ["lens", "loss"]


def test_stages_are_compared_side_by_side(run: Run, xray: Call) -> None:
    code, out, _ = xray(TEXT, "--stage", "all", "--run", "toy")
    assert code == 0
    table = out[out.index("side by side") :]
    assert re.findall(r"^(\w+) +\d+ +\d+\.\d{3}", table, re.MULTILINE) == list(REQUIRED_STAGES)


def test_reinforced_model_is_beside_the_finetuned_one(
    tiny_model: ModelConfig, tiny_tokenizer: Tokenizer, xray: Call
) -> None:
    run = tiny_run("toy", tiny_model, tiny_tokenizer, rl={"steps": 9, "seq_len": 32})
    for stage, step in (("sft", 20), ("rl", 9)):
        save_step(run, stage, step, tiny_tokenizer, seed=step)
    code, out, _ = xray(TEXT, "--stage", "all", "--view", "loss")
    assert code == 0
    table = out.split("stages side by side")[1]
    assert re.findall(r"^(\w+) +(\d+) +\d+\.\d{3}", table, re.MULTILINE) == [
        ("sft", "20"),
        ("rl", "9"),
    ]
    assert xray(TEXT, "--view", "loss")[1].startswith("toy, rl, step 9 of 9")


def test_json_is_one_document(run: Run, xray: Call) -> None:
    code, out, err = xray(TEXT, "--stage", "all", "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert [stage["stage"] for stage in document["stages"]] == list(REQUIRED_STAGES)
    assert document["sampling"] == {"temperature": 0.5, "top_k": 50, "top_p": 0.95, "seed": 0}


def test_page_embeds_the_document_safely(run: Run, xray: Call, tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script>"
    code, out, err = xray(evil, "--html", str(tmp_path / "new" / "x.html"))
    assert (code, out) == (0, "")
    assert "x.html" in err
    page = (tmp_path / "new" / "x.html").read_text(encoding="utf-8")
    assert page.count("</script>") == 2
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert data
    assert json.loads(data[1])["text"] == evil
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"^(import|export)\b", page, re.MULTILINE)


def test_modules_of_the_page_declare_distinct_names() -> None:
    from firstwords.common.single_file import join_modules
    from firstwords.inspect.xray import page

    declared = r"^(?:async )?(?:function\*?|const|let|class) (\w+)"
    names = re.findall(declared, join_modules(map(page._read_static, page.MODULES)), re.MULTILINE)
    assert len(names) > 30
    assert len(names) == len(set(names))


def test_newest_checkpoint_of_an_unfinished_run_is_shown(
    tiny_model: ModelConfig, tiny_tokenizer: Tokenizer, xray: Call
) -> None:
    run = tiny_run("toy", tiny_model, tiny_tokenizer)
    code, out, err = xray(TEXT)
    assert (code, out) == (2, "")
    assert "no checkpoint" in err
    for step in (3, 7):
        save_step(run, "pretrain", step, tiny_tokenizer)
        assert xray(TEXT, "--stage", "all")[1].startswith(f"toy, pretrain, step {step} of 20")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["  "], "the text is empty"),
        (["fox " * 100], "context is 64"),
        ([TEXT, "--run", "absent"], "run absent does not exist"),
        ([TEXT, "--temperature", "-1"], "--temperature"),
        ([TEXT, "--generate", "x"], "--generate"),
        ([], "TEXT"),
    ],
)
def test_wrong_input_exits_with_2_and_one_line(
    arguments: list[str], words: str, run: Run, xray: Call
) -> None:
    code, out, err = xray(*arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def test_unwritable_page_is_an_error(run: Run, xray: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = xray(TEXT, "--html", str(tmp_path / "file" / "x.html"))
    assert code == 2
    assert "--html" in err


def test_bytes_that_are_not_utf8_are_escaped(run: Run, xray: Call) -> None:
    code, out, _ = xray("fox \udcff \x1b[31m")
    assert code == 0
    assert "\x1b[31m" not in out
