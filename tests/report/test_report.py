"""The report of a real run: sections, plots, samples, and escaping of model output."""

import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from end_to_end import Bench

from firstwords.cli.main import run_command
from firstwords.common import files
from firstwords.evaluation import growth_samples
from firstwords.evaluation.bits_per_byte import CHANCE_BITS_PER_BYTE
from firstwords.recipe import STAGES
from firstwords.report import html_page
from firstwords.report.report import make_sections, render_html, render_markdown
from firstwords.report.sections import evaluation
from firstwords.runs import registry
from firstwords.runs.metrics import read_metrics
from firstwords.runs.run import Run

STEPS = {"pretrain": 12, "midtrain": 5, "sft": 4}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    bench = Bench(tmp_path_factory.mktemp("report"), **STEPS)
    done = bench.firstwords(*bench.train())
    assert done.returncode == 0, done.stderr
    return bench


@pytest.fixture
def run(bench: Bench, tmp_path: Path) -> Run:
    """A copy of the finished run, which the test may change."""
    shutil.copytree(bench.directory("x"), tmp_path / "x")
    return registry.open_run_directory(tmp_path / "x")


# --- samples --------------------------------------------------------------------------------------


def test_samples_are_written_before_training_and_at_every_fifth_of_a_stage(run: Run) -> None:
    steps = [(sample["stage"], sample["step"]) for sample in run.samples()]
    assert steps == [
        *(("pretrain", step) for step in (0, 3, 5, 8, 10, 12)),
        *(("midtrain", step) for step in (1, 2, 3, 4, 5)),
        *(("sft", step) for step in (1, 2, 3, 4)),
    ]


def test_samples_use_the_same_prompts_and_the_same_text(run: Run) -> None:
    samples = run.samples()
    prompts = [answer["prompt"] for answer in samples[0]["samples"]]
    assert prompts == [*growth_samples.BEGINNINGS, *growth_samples.QUESTIONS]
    for sample in samples:
        assert [answer["prompt"] for answer in sample["samples"]] == prompts
        assert sample["bits_per_byte"]["n"] == samples[0]["bits_per_byte"]["n"]
    untrained, trained = (samples[i]["bits_per_byte"]["score"] for i in (0, 5))
    assert trained < untrained < 2 * CHANCE_BITS_PER_BYTE


def test_last_samples_of_a_stage_equal_those_of_its_evaluation(run: Run) -> None:
    evaluated = files.read_json(run.evaluation("sft"))["samples"]
    assert run.samples()[-1]["samples"] == evaluated


# --- the report -----------------------------------------------------------------------------------


def test_html_report_loads_nothing(run: Run) -> None:
    text = render_html(run, make_sections(run))
    assert not re.search(r"<(script|link|img|iframe)\b", text)
    urls = set(re.findall(r"https?://[^\s\"'<)]+", text))
    assert urls <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert len(re.findall(r"<figure>", text)) == 4


def test_every_link_of_the_contents_leads_to_a_section(run: Run) -> None:
    text = render_html(run, make_sections(run))
    for target in re.findall(r'href="#([^"]+)"', text):
        assert f'id="{target}"' in text


def test_plots_show_every_stage_and_use_the_text_color(run: Run) -> None:
    (loss, _), (speed, *_) = (
        next(s for s in make_sections(run) if s.title == title).plots
        for title in ("Training", "Time and memory")
    )
    for _, svg in (loss, speed):
        root = ET.fromstring(svg)
        assert root.tag.endswith("svg")
        assert "currentColor" in svg
        for color in ("#3b82c4", "#d0761b", "#2f9e6e"):
            assert color in svg


def test_same_run_gives_the_same_report(run: Run) -> None:
    assert render_html(run, make_sections(run)) == render_html(run, make_sections(run))


def test_model_output_is_escaped(run: Run) -> None:
    hostile = "</code></pre></details><script>alert(1)</script>\n```\n# not a title | x"
    for path in (run.directory / "samples").glob("*.json"):
        sample = files.read_json(path)
        sample["samples"][0]["answer"] = hostile
        files.write_json(path, sample)
    text = render_html(run, make_sections(run))
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "not a title</h1>" not in text
    assert hostile.splitlines()[2] in render_markdown(run, make_sections(run))


def test_html_in_markdown_is_escaped_except_folding() -> None:
    text = "<b>x</b>\n\n<details>\n<summary>More</summary>\n\n`a`\n\n</details>"
    rendered = html_page.render_markdown(text)
    assert "&lt;b&gt;" in rendered
    assert re.search(
        r"<details>\s*<summary>More</summary>.*<code>a</code>.*</details>", rendered, re.S
    )


def test_split_examples_lose_no_byte(run: Run) -> None:
    from firstwords.report.sections.tokenizer import SAMPLES, format_split
    from firstwords.tokenizer.bpe import Tokenizer

    tokenizer = Tokenizer.load(run.tokenizer_path)
    for text in SAMPLES.values():
        joined = format_split(tokenizer, text).replace("|", "").replace("·", " ").replace("⏎", "\n")
        restored = re.sub(r"(<[0-9a-f]{2}>)+", _decode_hex, joined)
        assert restored == text.replace("`", "'")


def _decode_hex(match: "re.Match[str]") -> str:
    return bytes.fromhex(re.sub("[<>]", "", match[0])).decode()


def test_parameters_and_flops_add_up(run: Run) -> None:
    from firstwords.model.size import flops_per_token, n_parameters
    from firstwords.report.sections.setup import render_parameters

    lines = [
        line.split("|") for line in render_parameters(run).splitlines() if line.startswith("|")
    ]
    *rows, total = [[cell.strip() for cell in line[1:-1]] for line in lines[2:]]
    assert sum(int(row[1].replace(",", "") or 0) for row in rows) == n_parameters(run.recipe.model)
    flops = flops_per_token(run.recipe.model, run.recipe.pretrain.seq_len)
    assert float(total[3].rstrip("M")) == pytest.approx(flops / 1e6, abs=0.006)
    assert sum(float(row[3].rstrip("M") or 0) for row in rows) == pytest.approx(
        flops / 1e6, abs=0.006 * len(rows)
    )


# --- norms and TensorBoard ------------------------------------------------------------------------


def metrics(run: Run, stage: Any) -> list[dict[str, Any]]:
    return read_metrics(run.metrics(stage))


def test_every_step_has_a_gradient_norm_and_every_tenth_an_update_norm(run: Run) -> None:
    steps = metrics(run, "pretrain")
    assert all(step["grad_norm"] > 0 for step in steps)
    with_update = [step["step"] for step in steps if step["update_norm"] is not None]
    assert with_update == [1, 11]
    assert all(0 < step["update_norm"] < 1 for step in steps if step["update_norm"] is not None)


def test_tensorboard_files_equal_the_metrics(run: Run) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for stage in STAGES:
        events = accumulator.EventAccumulator(str(run.directory / "tensorboard" / stage))
        events.Reload()
        logged = [(event.step, event.value) for event in events.Scalars("loss")]
        expected = [
            (step["step"], pytest.approx(step["loss"], rel=1e-5)) for step in metrics(run, stage)
        ]
        assert logged == expected
        assert {"learning_rate", "tokens_per_second", "grad_norm"} <= set(events.Tags()["scalars"])


# --- a home that cannot be written to -------------------------------------------------------------


@pytest.fixture
def read_only_home(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    home = str(bench.home)
    try:
        for options in (["--bind", home], ["-o", "remount,bind,ro"]):
            subprocess.run(["mount", *options, home], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"cannot mount a read-only directory here ({error})")
    monkeypatch.setenv("FIRSTWORDS_HOME", home)
    monkeypatch.chdir(bench.cwd)
    yield bench
    subprocess.run(["umount", "-l", home], check=True)


@pytest.mark.slow
def test_a_read_only_home_can_be_used_but_not_trained_in(
    read_only_home: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, files_of_run = read_only_home.train("other"), set(read_only_home.home.rglob("*"))
    for arguments in (
        ["chat", "--run", "x", "-p", "Hi"],
        ["eval", "--run", "x", "--tasks", "bits_per_byte"],
        ["export", "--run", "x", "--format", "gguf", "--out", str(tmp_path / "gguf")],
        ["plan", *train[1:-2]],
        ["report", "--run", "x"],
        read_only_home.train(),  # it is finished: nothing to do
    ):
        assert run_command(arguments) == 0, capsys.readouterr().err
    assert (read_only_home.cwd / "report.html").exists()
    capsys.readouterr()
    assert run_command(train) == 2
    assert "set FIRSTWORDS_HOME to a directory that you can write to" in capsys.readouterr().err
    assert set(read_only_home.home.rglob("*")) == files_of_run


def test_unknown_tracker_is_refused_before_anything_is_written(bench: Bench) -> None:
    done = bench.firstwords("train", "--log-to", "paper", "--run", "tracked")
    assert done.returncode == 2
    assert "'wandb', 'trackio'" in done.stderr
    assert not bench.directory("tracked").exists()


def test_answers_to_open_prompts_are_reported_with_examples(run: Run) -> None:
    def record(answer: str, problem: str) -> dict[str, Any]:
        prompt = [{"role": "user", "content": "heya"}]
        details = {"prompt": prompt, "reference": "", "answer": answer, "problem": problem}
        return {"category": "chat", "correct": not problem, **details}

    records = [record("Hello!", ""), record("Heya of of", "repeats: of")]
    files.write_json_lines(run.records("sft", "babble"), records)
    chat = {"score": 0.5, "ci95": [0.1, 0.9], "n": 2}
    result = {**chat, "categories": {"chat": chat}, "problems": {"repeats": 1}}
    evaluations = {stage: files.read_json(run.evaluation(stage)) for stage in STAGES}
    assert not evaluation.render_babble(run, evaluations)  # this run has own conversations
    evaluations["sft"]["tasks"]["babble"] = result
    text = evaluation.render_babble(run, evaluations)
    assert "50% (10% to 90%)" in text
    assert "What was wrong after finetuning: repeats 1." in text
    assert text.index("model: Hello!") < text.index("model: Heya of of")
    assert "problem: repeats: of" in text
