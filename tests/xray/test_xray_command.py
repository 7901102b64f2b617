"""`firstwords xray` as it is called: words for a terminal, a page, a document, and clear errors."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes import fresh_run, save_step

from firstwords.cli import run_command
from firstwords.recipe import STAGES, ModelConfig
from firstwords.run import Run
from firstwords.tokenizer import Tokenizer
from firstwords.xray.words import WORDS

TEXT = "The old fox jumped over the old fox"
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tiny_model: ModelConfig, tiny_tokenizer: Tokenizer) -> Run:
    made = fresh_run("toy", tiny_model, tiny_tokenizer)
    for number, stage in enumerate(STAGES):
        save_step(made, stage, 20 - 5 * (stage == "sft"), tiny_tokenizer, seed=number)
    return made


@pytest.fixture
def xray(capsys: pytest.CaptureFixture[str]) -> Call:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = run_command(["xray", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_the_furthest_stage_of_the_last_run_is_shown(run: Run, xray: Call) -> None:
    code, out, err = xray(TEXT)
    assert (code, err) == (0, "")
    assert out.startswith("toy, sft, step 15 of 20")
    titles = re.findall(r"^\n([A-Z][\w ]+)\. ", out, re.MULTILINE)
    assert titles == [title for title, _ in WORDS.values()]
    assert re.search(r"^ *1  The +\d+ +0-3$", out, re.MULTILINE)
    assert "layer 2 head 4" in out
    assert "top-k 50" in out
    assert max(map(len, out.splitlines())) <= 80
    assert out == "\n".join(line.rstrip() for line in out.splitlines()) + "\n"


def test_it_goes_on_and_shows_the_cache(run: Run, xray: Call) -> None:
    code, out, _ = xray(TEXT, "--stage", "base", "--chat", "--generate", "3", "--temperature", "0")
    assert code == 0
    assert out.startswith("toy, base, step 20 of 20")
    assert re.search(r"^ +3  .* kB +1 ", out, re.MULTILINE)
    assert "tokens went through the model" in out


def test_views_can_be_chosen(run: Run, xray: Call, tmp_path: Path) -> None:
    chosen = ("--view", "lens", "--view", "loss")
    _, out, _ = xray(TEXT, *chosen)
    assert re.findall(r"^\n([A-Z][\w ]+)\. ", out, re.MULTILINE) == ["Loss", "Logit lens"]
    assert list(json.loads(xray(TEXT, *chosen, "--json")[1])["views"]) == ["loss", "lens"]


def test_stages_stand_side_by_side(run: Run, xray: Call) -> None:
    code, out, _ = xray(TEXT, "--stage", "all", "--run", "toy")
    assert code == 0
    table = out[out.index("side by side") :]
    assert re.findall(r"^(\w+) +\d+ +\d+\.\d{3}", table, re.MULTILINE) == list(STAGES)


def test_json_is_one_document(run: Run, xray: Call) -> None:
    code, out, err = xray(TEXT, "--stage", "all", "--json")
    assert (code, err) == (0, "")
    seen = json.loads(out)
    assert [stage["stage"] for stage in seen["stages"]] == list(STAGES)
    assert seen["sampling"] == {"temperature": 0.7, "top_k": 50, "top_p": 0.95, "seed": 0}


def test_the_page_holds_the_document_and_nothing_can_end_it(
    run: Run, xray: Call, tmp_path: Path
) -> None:
    evil = "</script><script>alert(1)</script>"
    code, out, err = xray(evil, "--html", str(tmp_path / "new" / "x.html"))
    assert (code, out) == (0, "")
    assert "x.html" in err
    page = (tmp_path / "new" / "x.html").read_text(encoding="utf-8")
    assert page.count("</script>") == 2
    data = re.search(r'<script type="application/json" id="seen">(.*?)</script>', page, re.DOTALL)
    assert data
    assert json.loads(data[1])["text"] == evil
    assert "http" not in page.replace("http-equiv", "")
    assert not re.search(r"^(import|export)\b", page, re.MULTILINE)


def test_modules_of_the_page_have_names_of_their_own() -> None:
    from firstwords.xray.page import MODULES, joined

    declared = r"^(?:async )?(?:function\*?|const|let|class) (\w+)"
    names = re.findall(declared, joined(MODULES), re.MULTILINE)
    assert len(names) > 30
    assert len(names) == len(set(names))


def test_a_run_that_is_still_training_shows_its_newest_checkpoint(
    tiny_model: ModelConfig, tiny_tokenizer: Tokenizer, xray: Call
) -> None:
    run = fresh_run("toy", tiny_model, tiny_tokenizer)
    code, out, err = xray(TEXT)
    assert (code, out) == (2, "")
    assert "no checkpoint" in err
    for step in (3, 7):
        save_step(run, "base", step, tiny_tokenizer)
        assert xray(TEXT, "--stage", "all")[1].startswith(f"toy, base, step {step} of 20")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["  "], "the text is empty"),
        (["fox " * 100], "64 at most"),
        ([TEXT, "--run", "nobody"], "no such run"),
        ([TEXT, "--temperature", "-1"], "--temperature"),
        ([TEXT, "--generate", "x"], "--generate"),
        ([], "TEXT"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    arguments: list[str], words: str, run: Run, xray: Call
) -> None:
    code, out, err = xray(*arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def test_a_page_that_cannot_be_written_is_said(run: Run, xray: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = xray(TEXT, "--html", str(tmp_path / "file" / "x.html"))
    assert code == 2
    assert "--html" in err


def test_bytes_that_are_no_text_do_no_harm(run: Run, xray: Call) -> None:
    code, out, _ = xray("fox \udcff \x1b[31m")
    assert code == 0
    assert "\x1b[31m" not in out
