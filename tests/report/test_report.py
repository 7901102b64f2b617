"""The report of a real run: its page, its curves, its album, and what it does with hostile text."""

import json
import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from end_to_end import Bench

from firstwords import album, files
from firstwords import run as runs
from firstwords.evaluation.bits_per_byte import CHANCE
from firstwords.progress import progress
from firstwords.recipe import STAGES
from firstwords.report import page
from firstwords.report.report import html, markdown, report
from firstwords.run import Run

STEPS = {"base": 12, "mid": 5, "sft": 4}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    made = Bench(tmp_path_factory.mktemp("report"), **STEPS)
    done = made.firstwords(*made.train())
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture
def run(bench: Bench, tmp_path: Path) -> Run:
    """A copy of the finished run, to be changed at will."""
    shutil.copytree(bench.directory("x"), tmp_path / "x")
    return runs.open_directory(tmp_path / "x")


# --- the album ------------------------------------------------------------------------------------


def test_the_album_has_a_page_at_birth_and_at_every_fifth_of_a_stage(run: Run) -> None:
    ages = [(found["stage"], found["step"]) for found in album.pages(run)]
    assert ages == [
        *(("base", step) for step in (0, 3, 5, 8, 10, 12)),
        *(("mid", step) for step in (1, 2, 3, 4, 5)),
        *(("sft", step) for step in (1, 2, 3, 4)),
    ]


def test_pages_answer_the_same_prompts_and_measure_the_same_text(run: Run) -> None:
    found = album.pages(run)
    prompts = [sample["prompt"] for sample in found[0]["samples"]]
    assert prompts == [*album.BEGINNINGS, *album.QUESTIONS]
    for one in found:
        assert [sample["prompt"] for sample in one["samples"]] == prompts
        assert one["bits_per_byte"]["n"] == found[0]["bits_per_byte"]["n"]
    untrained, trained = (found[i]["bits_per_byte"]["score"] for i in (0, 5))
    assert trained < untrained < 2 * CHANCE


def test_the_last_page_of_a_stage_says_what_its_evaluation_says(run: Run) -> None:
    evaluated = files.read_json(run.evaluation("sft"))["samples"]
    assert album.pages(run)[-1]["samples"] == evaluated


# --- the report -----------------------------------------------------------------------------------


def test_the_page_is_one_file_that_asks_for_nothing(run: Run) -> None:
    text = html(run, report(run))
    assert not re.search(r"<(script|link|img|iframe)\b", text)
    outside = set(re.findall(r"https?://[^\s\"'<)]+", text))
    assert outside <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert len(re.findall(r"<figure>", text)) == 4


def test_every_entry_of_the_contents_leads_to_a_section(run: Run) -> None:
    text = html(run, report(run))
    for target in re.findall(r'href="#([^"]+)"', text):
        assert f'id="{target}"' in text


def test_curves_hold_every_stage_and_take_the_colour_of_the_page(run: Run) -> None:
    (loss, _), (speed, *_) = (
        next(s for s in report(run) if s.title == title).plots
        for title in ("Training", "Time and memory")
    )
    for _, svg in (loss, speed):
        root = ET.fromstring(svg)
        assert root.tag.endswith("svg")
        assert "currentColor" in svg
        for colour in ("#3b82c4", "#d0761b", "#2f9e6e"):
            assert colour in svg


def test_the_same_run_gives_the_same_report(run: Run) -> None:
    assert html(run, report(run)) == html(run, report(run))


def test_what_a_model_wrote_is_shown_and_never_obeyed(run: Run) -> None:
    hostile = "</code></pre></details><script>alert(1)</script>\n```\n# not a title | x"
    for path in (run.directory / "album").glob("*.json"):
        found = files.read_json(path)
        found["samples"][0]["answer"] = hostile
        files.write_json(path, found)
    text = html(run, report(run))
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "not a title</h1>" not in text
    assert hostile.splitlines()[2] in markdown(run, report(run))


def test_html_in_markdown_is_text_and_folding_works() -> None:
    shown = page.rendered("<b>x</b>\n\n<details>\n<summary>More</summary>\n\n`a`\n\n</details>")
    assert "&lt;b&gt;" in shown
    assert re.search(
        r"<details>\s*<summary>More</summary>.*<code>a</code>.*</details>", shown, re.S
    )


def test_the_tokenizer_page_cuts_without_losing_a_byte(run: Run) -> None:
    from firstwords.report.tokens import SAMPLES, cut
    from firstwords.tokenizer import Tokenizer

    tokenizer = Tokenizer.load(run.tokenizer_path)
    for text in SAMPLES.values():
        back = cut(tokenizer, text).replace("|", "").replace("·", " ").replace("⏎", "\n")
        shown = re.sub(r"(<[0-9a-f]{2}>)+", _decoded, back)
        assert shown == text.replace("`", "'")


def _decoded(match: "re.Match[str]") -> str:
    return bytes.fromhex(re.sub("[<>]", "", match[0])).decode()


def test_parameters_and_work_add_up(run: Run) -> None:
    from firstwords.model import flops_per_token, n_parameters
    from firstwords.report.setup import parts

    lines = [line.split("|") for line in parts(run).splitlines() if line.startswith("|")]
    *rows, total = [[cell.strip() for cell in line[1:-1]] for line in lines[2:]]
    assert sum(int(row[1].replace(",", "") or 0) for row in rows) == n_parameters(run.recipe.model)
    flops = flops_per_token(run.recipe.model, run.recipe.base.seq_len)
    assert float(total[3].rstrip("M")) == pytest.approx(flops / 1e6, abs=0.006)
    assert sum(float(row[3].rstrip("M") or 0) for row in rows) == pytest.approx(
        flops / 1e6, abs=0.006 * len(rows)
    )


# --- norms and TensorBoard ------------------------------------------------------------------------


def metrics(run: Run, stage: Any) -> list[dict[str, Any]]:
    return runs.read_metrics(run.metrics(stage))


def test_every_step_tells_its_gradient_and_some_their_update(run: Run) -> None:
    base = metrics(run, "base")
    assert all(step["gradient"] > 0 for step in base)
    looked_at = [step["step"] for step in base if step["update"] is not None]
    assert looked_at == [1, 11]
    assert all(0 < step["update"] < 1 for step in base if step["update"] is not None)


def test_tensorboard_reads_what_the_metrics_say(run: Run) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for stage in STAGES:
        events = accumulator.EventAccumulator(str(run.directory / "tensorboard" / stage))
        events.Reload()
        told = [(event.step, event.value) for event in events.Scalars("loss")]
        wanted = [
            (step["step"], pytest.approx(step["loss"], rel=1e-5)) for step in metrics(run, stage)
        ]
        assert told == wanted
        assert {"learning_rate", "tokens_per_second", "gradient_norm"} <= set(
            events.Tags()["scalars"]
        )


def test_an_unknown_tracker_is_told_before_anything_is_made(bench: Bench) -> None:
    done = bench.firstwords("train", "--track", "paper", "--run", "tracked")
    assert done.returncode == 2
    assert "'wandb', 'trackio'" in done.stderr
    assert not bench.directory("tracked").exists()


# --- progress -------------------------------------------------------------------------------------


def test_progress_of_a_finished_run(run: Run) -> None:
    told = progress(run)
    assert [phase["done"] for phase in told["phases"]] == [True] * 5
    assert (told["stage"]["name"], told["stage"]["step"], told["stage"]["seconds_left"]) == (
        "sft",
        4,
        0,
    )
    assert [len(told["curves"][stage]["loss"]) for stage in STAGES] == list(STEPS.values())
    assert told["samples"] == album.pages(run)[-1]
    json.dumps(told)


def test_progress_of_a_run_at_work(run: Run) -> None:
    for name in ("checkpoints/mid", "checkpoints/sft", "evaluation"):
        shutil.rmtree(run.directory / name)
    run.metrics("sft").unlink()
    lines = run.metrics("mid").read_text().splitlines(keepends=True)
    run.metrics("mid").write_text("".join(lines[:3]) + lines[3][:20])  # written just now
    told = progress(run)
    assert [phase["done"] for phase in told["phases"]] == [True, True, False, False, False]
    assert (told["stage"]["name"], told["stage"]["step"], told["stage"]["steps"]) == ("mid", 3, 5)
    assert told["curves"]["sft"]["loss"] == []


def test_progress_before_the_first_step(run: Run) -> None:
    for name in ("checkpoints", "evaluation", "metrics", "album", "tensorboard"):
        shutil.rmtree(run.directory / name)
    told = progress(run)
    assert told["stage"] is None
    assert told["samples"] is None
    assert told["bits_per_byte"] == []
