"""Comparisons of runs: pairing of items, verdicts, notes, and what is shown of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from factories import make_manifest, make_recipe, save_step, save_tokenizer

from firstwords.cli.main import run_command
from firstwords.common import files
from firstwords.compare.benchmarks import compare_benchmarks
from firstwords.compare.document import CompareRequest, compare_runs
from firstwords.compare.models import held_out_text
from firstwords.compare.page import render_page
from firstwords.compare.terminal import render_comparison
from firstwords.data.starter.personality import Personality
from firstwords.recipe import ModelConfig
from firstwords.runs import registry
from firstwords.runs.manifest import Sources
from firstwords.runs.run import Run
from firstwords.tokenizer.bpe import Tokenizer

MakeRun = Callable[..., Run]
HTML = "<script>document.title='taken'</script>"


def answers(right: int, n: int = 100, version: str = "") -> list[dict[str, Any]]:
    """Records of two parts of an exam with `n` questions each, the first `right` answered right."""
    return [
        {
            "category": part,
            "correct": number < right,
            "prompt": [{"role": "user", "content": f"{part}{version} {number}?"}],
            "reference": "Yes.",
            "answer": HTML if number < right else "No.",
        }
        for part in ("sums", "facts")
        for number in range(n)
    ]


@pytest.fixture
def make_run(home: Path, tiny_model: ModelConfig, tiny_tokenizer: Tokenizer) -> MakeRun:
    """Create a run with a model and records of an exam; `changes` are those of the manifest."""

    def make(
        name: str, records: list[dict[str, Any]], seed: int = 0, model_seed: int = 0, **changes: Any
    ) -> Run:
        recipe = make_recipe(model=tiny_model, seed=seed).replace_stages(steps=2)
        with registry.lock_run(name) as directory:
            run = registry.create_run(directory, make_manifest(recipe, **changes))
        save_tokenizer(run, tiny_tokenizer)
        save_step(run, "sft", 2, tiny_tokenizer, model_seed)
        files.write_json_lines(run.records("sft", "exam"), records)
        return run

    return make


def compare_files(*runs: Run) -> dict[str, Any]:
    return compare_runs(list(runs), CompareRequest(run_models=False))


def test_a_clear_difference_is_a_verdict_with_points_and_interval(make_run: MakeRun) -> None:
    document = compare_files(make_run("a", answers(50)), make_run("b", answers(60), seed=1))
    [verdict] = document["verdicts"]
    assert verdict["outcome"] == "better"
    assert verdict["sentences"][0] == (
        "Exam: b is better than a by 10.0 ± 4.3 points, on the 200 questions that both answered "
        "(p < 0.0001; 20 only b got right, 0 only a)."
    )
    assert "differ only in the seed" in document["notes"][-1]


def test_a_small_difference_cannot_be_told(make_run: MakeRun) -> None:
    document = compare_files(make_run("a", answers(50)), make_run("b", answers(51)))
    [verdict] = document["verdicts"]
    assert verdict["outcome"] == "unclear"
    assert (
        "no difference between b and a can be told at these 200 questions"
        in (verdict["sentences"][0])
    )
    assert "train each recipe with three seeds" in document["notes"][-1]


def test_a_run_with_reinforcement_learning_is_compared_after_it(
    make_run: MakeRun, tiny_tokenizer: Tokenizer
) -> None:
    before, after = make_run("a", answers(50)), make_run("b", answers(50), seed=1)
    save_step(after, "rl", 2, tiny_tokenizer, 1)
    files.write_json_lines(after.records("rl", "exam"), answers(70))
    document = compare_files(before, after)
    assert document["stages"] == ["sft", "rl"]
    [exam] = document["benchmarks"]
    assert [score["score"] for score in exam["scores"]] == [0.5, 0.7]
    fixed = compare_runs([before, after], CompareRequest("sft", run_models=False))
    assert fixed["stages"] == ["sft", "sft"]


def test_a_shorter_exam_is_compared_on_the_questions_that_both_answered(make_run: MakeRun) -> None:
    [exam] = compare_benchmarks(
        [make_run("a", answers(50)), make_run("b", answers(10, 30))], ["sft", "sft"]
    )
    [pair] = exam["pairs"]
    assert (pair["n"], pair["only_first"], pair["only_second"]) == (60, 40, 0)
    assert [score["n"] for score in exam["scores"]] == [200, 60]
    assert [part["pairs"][0]["clear"] for part in exam["parts"]] == [True, True]


def test_questions_about_another_personality_are_left_out(make_run: MakeRun) -> None:
    records = answers(50)
    own = [{**one, "reference": "I am Pip."} for one in records[:4]]
    pip = Personality(name="Pip")
    first, second = make_run("a", records), make_run("b", own + records[4:], personality=pip)
    document = compare_files(first, second)
    [pair] = document["benchmarks"][0]["pairs"]
    assert (pair["n"], pair["left_out"]) == (196, 4)
    [note] = [note for note in document["notes"] if "left out" in note]
    assert note.startswith("4 of the 200 questions of the exam are left out")
    assert "personalities differ" in note


def test_other_questions_are_not_compared_item_by_item(make_run: MakeRun) -> None:
    first = make_run("a", answers(50))
    second = make_run("b", answers(50, version=" anew"), firstwords="9")
    document = compare_files(first, second)
    [sentence] = document["verdicts"][0]["sentences"]
    assert "a and b answered different questions (versions 0, 9): only 0 of 200" in sentence
    [exam] = document["benchmarks"]
    assert exam["parts"][0]["pairs"] == [None]
    assert exam["scores"][0]["score"] == 0.5


def test_two_different_runs_are_needed(make_run: MakeRun, capsys: Any) -> None:
    make_run("a", answers(1))
    for names in (["a"], ["a", "a"]):
        assert run_command(["compare", *names]) == 2
        assert "two different runs" in capsys.readouterr().err


def test_held_out_text_was_in_no_training(make_run: MakeRun, tmp_path: Path) -> None:
    first, second = make_run("a", []), make_run("b", [], seed=4)
    assert held_out_text([first, first]).origin == "held out from starter"
    assert "seed 5" in held_out_text([first, second]).origin
    own = tmp_path / "own.txt"
    own.write_text("A line.\n\n" * 300)
    sources = Sources(data=str(own))
    third, fourth = (make_run(n, [], seed=s, sources=sources) for n, s in (("c", 0), ("d", 1)))
    assert "different seeds" in held_out_text([third, fourth]).reason
    assert "different text" in held_out_text([first, third]).reason


def test_comparison_in_the_terminal_as_json_and_as_a_page(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run("a", answers(50))
    make_run("b", answers(60), model_seed=1)
    page = tmp_path / "comparison.html"
    assert run_command(["compare", "a", "b", "-p", "Hello?", "--json", "--html", str(page)]) == 0
    document = json.loads(capsys.readouterr().out)
    [bits] = document["bits_per_byte"]["pairs"]
    assert bits["n"] == document["bits_per_byte"]["documents"] > 1
    assert [one["prompt"] for one in document["answers"]] == ["Hello?"]
    assert len(document["answers"][0]["answers"]) == 2
    text = render_comparison(document)
    for title in ("Verdict", "Differences", "Bits per byte of the same text", "> Hello?"):
        assert title in text
    assert page.read_text() == render_page(document)
    assert HTML not in page.read_text()  # what models write is shown as text
