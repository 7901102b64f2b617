"""The published benchmarks: prompts, rules and data, with small and real files."""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firstwords.common.errors import UserError
from firstwords.evaluation import sandbox
from firstwords.evaluation.benchmark import (
    BenchmarkCategory,
    BenchmarkRefused,
    GenerativeItem,
    LoglikelihoodItem,
    benchmark_score,
    category_score,
)
from firstwords.evaluation.benchmarks import BENCHMARKS, core, gsm8k, humaneval
from firstwords.evaluation.eval_data import EvalData, MissingData
from firstwords.evaluation.runner import BenchmarkRunner, run_benchmark
from firstwords.model.transformer import Transformer
from firstwords.recipe import ModelConfig
from firstwords.tokenizer.bpe import Tokenizer

MakeModel = Callable[..., Transformer]
CORE_YAML = """
icl_tasks:
-
  label: pick
  dataset_uri: a/pick.jsonl
  num_fewshot: [2]
  icl_task_type: multiple_choice
  continuation_delimiter: "\\nAnswer: "
-
  label: twist
  dataset_uri: a/twist.jsonl
  num_fewshot: [0]
  icl_task_type: schema
-
  label: word
  dataset_uri: b/word.jsonl
  num_fewshot: [1]
  icl_task_type: language_modeling
-
  label: gone
  dataset_uri: b/gone.jsonl
  num_fewshot: [0]
  icl_task_type: multiple_choice
"""


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)


@pytest.fixture
def bundle(tmp_path: Path) -> EvalData:
    folder = tmp_path / "core"
    pick = [{"query": f"Q{n}", "choices": ["no", "yes"], "gold": n % 2} for n in range(6)]
    write(folder / "eval_data/a/pick.jsonl", pick)
    twist = [{"context_options": ["The fox", "The hen"], "continuation": "ran.", "gold": 1}] * 3
    write(folder / "eval_data/a/twist.jsonl", twist)
    word = [{"context": f"{n} and", "continuation": "so on"} for n in range(4)]
    write(folder / "eval_data/b/word.jsonl", word)
    (folder / "core.yaml").write_text(CORE_YAML)
    lines = ["Eval Task,Random baseline", "pick,50", "twist,50", "word,0", "gone,25"]
    (folder / "eval_meta_data.csv").write_text("\n".join(lines))
    return EvalData(tmp_path)


def scored(category: BenchmarkCategory) -> list[LoglikelihoodItem]:
    return [item for item in category.items if isinstance(item, LoglikelihoodItem)]


def test_core_has_the_prompts_of_llm_foundry(bundle: EvalData) -> None:
    categories = core.load_categories(bundle, False, 0)
    assert {name: category.chance for name, category in categories.items()} == {
        "pick": 0.5,
        "twist": 0.5,
        "word": 0.0,
    }
    item = scored(categories["pick"])[3]
    assert item.prompts == ["Q3\nAnswer: ", "Q3\nAnswer: "]
    assert (item.continuations, item.correct, item.rule) == (["no", "yes"], 1, "mean")
    assert len(item.shots) == 2
    for shot in item.shots:
        number = int(shot[1])
        assert shot == f"Q{number}\nAnswer: {['no', 'yes'][number % 2]}\n"
        assert number != 3
    twist = scored(categories["twist"])[0]
    assert twist.prompts == ["The fox ", "The hen "]
    assert (twist.continuations, twist.correct, twist.shots) == (["ran."] * 2, 1, [])
    word = scored(categories["word"])[0]
    assert (word.prompts, word.continuations, word.rule) == (["0 and "], ["so on"], "exact")
    assert re.fullmatch(r"[1-3] and so on\n", "".join(word.shots))


def test_core_without_some_data_names_the_missing_tasks(
    bundle: EvalData, tiny_model: ModelConfig, tiny_tokenizer: Tokenizer, random_model: MakeModel
) -> None:
    runner = BenchmarkRunner(random_model(tiny_model), tiny_tokenizer)
    outcome = run_benchmark(core.CORE, runner, "pretrain", bundle, 2)
    assert outcome.result["title"] == "CORE (3 of 4 tasks)"
    assert outcome.result["missing"] == ["gone"]
    assert outcome.result["n"] == 6
    by_category: dict[str, list[bool]] = {}
    for record in outcome.records:
        by_category.setdefault(record["category"], []).append(record["correct"])
    centred = [
        (sum(correct) / len(correct) - chance) / (1 - chance)
        for correct, chance in zip(by_category.values(), (0.5, 0.5, 0.0), strict=True)
    ]
    assert outcome.result["score"] == pytest.approx(sum(centred) / 3)


def test_examples_are_fixed_and_never_the_question_itself() -> None:
    drawn = list(core.fewshot_examples(8, 5))
    assert all(len(set(examples)) == 5 for examples in drawn)
    assert all(number not in examples for number, examples in enumerate(drawn))
    assert drawn == list(core.fewshot_examples(8, 5))
    assert all(len(examples) == 3 for examples in core.fewshot_examples(4, 10))


def test_a_sample_of_questions_keeps_their_examples(bundle: EvalData) -> None:
    everything = {
        item.prompts[0]: item.shots
        for item in scored(core.load_categories(bundle, False, 0)["pick"])
    }
    some = scored(core.load_categories(bundle, False, 3)["pick"])
    assert len(some) == 3
    for item in some:
        assert item.shots == everything[item.prompts[0]]


@pytest.mark.parametrize(
    "broken", ["icl_tasks: [{label: x}]", "nothing: 1", "\tx: [", "icl_tasks: 3"]
)
def test_an_invalid_core_yaml_is_named(bundle: EvalData, broken: str) -> None:
    (bundle.folder / "core" / "core.yaml").write_text(broken)
    with pytest.raises(UserError, match=r"core\.yaml"):
        core.load_categories(bundle, False, 0)


def test_missing_data_raises(tmp_path: Path) -> None:
    for name in ("core", "blimp", "arc_easy", "mmlu", "gsm8k", "humaneval"):
        with pytest.raises(MissingData):
            BENCHMARKS[name].load_categories(EvalData(tmp_path), False, 1)


ARC = {
    "question": "What is hot?",
    "choices": {"label": ["1", "2", "3"], "text": ["ice", "fire", "snow"]},
    "answerKey": "2",
}


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz"])
def test_arc_as_text_and_as_a_conversation(tmp_path: Path, ending: str) -> None:
    write(tmp_path / f"arc_easy_test{ending}", [ARC])
    plain = scored(
        BENCHMARKS["arc_easy"].load_categories(EvalData(tmp_path), False, 0)["arc_easy_test"]
    )[0]
    assert plain.prompts == ["Question: What is hot?\nAnswer:"] * 3
    assert (plain.continuations, plain.correct) == ([" ice", " fire", " snow"], 1)
    category = BENCHMARKS["arc_easy"].load_categories(EvalData(tmp_path), True, 0)["arc_easy_test"]
    assert category.chance == pytest.approx(1 / 3)
    (chat,) = scored(category)
    assert (chat.continuations, chat.correct) == (["A", "B", "C"], 1)
    message = chat.prompts[0][0]
    assert "- ice=A\n- fire=B\n- snow=C" in message["content"]  # type: ignore[index]


def test_mmlu_shows_five_solved_questions_of_the_subject(tmp_path: Path) -> None:
    row = {"question": " Two? ", "subject": "high_school_x", "choices": list("1234"), "answer": 1}
    solved = [{**row, "question": f"E{n}"} for n in range(7)] + [{**row, "subject": "other"}]
    write(tmp_path / "mmlu_test.jsonl", [row])
    write(tmp_path / "mmlu_dev.jsonl", solved)
    (item,) = scored(BENCHMARKS["mmlu"].load_categories(EvalData(tmp_path), False, 0)["mmlu"])
    assert item.prompts[0] == "Two?\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer:"
    assert item.continuations == [" A", " B", " C", " D"]
    assert item.correct == 1
    heading, *shots = item.shots
    assert heading.endswith("(with answers) about high school x.\n\n")
    assert [shot[:2] for shot in shots] == ["E0", "E1", "E2", "E3", "E4"]
    assert shots[0].endswith("Answer: B\n\n")


@pytest.mark.parametrize(
    ("completion", "number"),
    [
        ("It is 4+5 = <<4+5=9>>9.\n#### 9", "9"),
        ("#### 1,234", "1234"),
        ("#### -5 apples", "-5"),
        ("#### 2.50", "2.50"),
        ("#### 7\n#### 8", "7"),
        ("####9", None),
        ("The answer is 9.", None),
        ("#### $9", None),
        ("", None),
    ],
)
def test_the_answer_is_extracted_by_the_official_rule(completion: str, number: str | None) -> None:
    """As grade_school_math/dataset.py of openai/grade-school-math does."""
    assert gsm8k.extract_answer(completion) == number
    assert gsm8k.is_correct(completion, "So\n#### 9") == (number == "9")


def test_every_gsm8k_solution_is_correct_and_another_is_not(data_folder: Path) -> None:
    rows = EvalData(data_folder / "eval").rows("gsm8k_test")
    assert len(rows) == 1319
    assert all(gsm8k.is_correct(row["answer"], row["answer"]) for row in rows)
    assert not gsm8k.is_correct(rows[0]["answer"], rows[1]["answer"])


HUMAN = {
    "task_id": "HumanEval/0",
    "prompt": 'def double(x):\n    """Twice x."""\n',
    "entry_point": "double",
    "canonical_solution": "    return 2 * x\n",
    "test": "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(0) == 0\n",
}
needs_isolation = pytest.mark.skipif(
    bool(sandbox.unavailable_reason()),
    reason=f"programs cannot be isolated: {sandbox.unavailable_reason()}",
)


@needs_isolation
@pytest.mark.parametrize(
    ("chat", "answer", "right"),
    [
        (False, "    return 2 * x\n", True),
        (False, "    return x + x", True),
        (False, "    return x * x * x", False),
        (False, "    return 4", False),
        (False, "", False),
        (False, "return 2 * x", False),
        (False, "    print('passed'); raise SystemExit", False),
        (True, "```python\ndef double(x):\n    return 2 * x\n```", True),
        (True, "Sure!\n```\n    return 2 * x\n```\nDone.", True),
        (True, "def double(x):\n    return x + x", True),
        (True, "I do not know.", False),
    ],
)
def test_a_completion_is_checked_by_running_the_tests(chat: bool, answer: str, right: bool) -> None:
    assert humaneval.humaneval_item(HUMAN, chat, isolated=True).is_correct(answer) == right


def test_humaneval_is_refused_without_a_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "humaneval.jsonl", [HUMAN])
    monkeypatch.setattr(sandbox, "unavailable_reason", lambda: "no walls")
    with pytest.raises(BenchmarkRefused, match=r"no walls.*--unsafe-code"):
        BENCHMARKS["humaneval"].load_categories(EvalData(tmp_path), False, 0)
    (item,) = humaneval.HUMANEVAL_UNSAFE.load_categories(EvalData(tmp_path), False, 0)[
        "humaneval"
    ].items
    assert isinstance(item, GenerativeItem)
    assert item.is_correct("    return 2 * x\n")


@needs_isolation
@pytest.mark.slow
def test_all_canonical_solutions_pass(data_folder: Path) -> None:
    rows = EvalData(data_folder / "eval").rows("humaneval")
    failed = [
        row["task_id"] for row in rows if not humaneval.passes(row, row["canonical_solution"])
    ]
    assert len(rows) == 164
    assert failed == []


def test_the_exam_is_a_benchmark_with_categories(
    tiny_model: ModelConfig, tiny_tokenizer: Tokenizer, random_model: MakeModel
) -> None:
    from firstwords.data.starter import exam as questions

    chat = BENCHMARKS["exam"].load_categories(EvalData(Path()), True, 2)
    plain = BENCHMARKS["exam"].load_categories(EvalData(Path()), False, 2)
    assert set(chat) == set(questions.CATEGORIES)
    assert set(plain) == {name for name, c in questions.CATEGORIES.items() if c.few_shot}
    item = plain["spelling"].items[0]
    assert isinstance(item, GenerativeItem)
    assert "".join(item.shots).split("\n")[:2] == list(questions.examples("spelling")[0])
    assert item.stop == ("\n",)
    for category in chat.values():
        for one in category.items:
            assert isinstance(one, GenerativeItem)
            assert one.is_correct(one.reference.rpartition("</tool_response>")[2])
    results = BenchmarkRunner(random_model(tiny_model), tiny_tokenizer).run(plain)
    assert {name: len(of_category) for name, of_category in results.items()} == dict.fromkeys(
        plain, 2
    )


def test_no_constant_answer_beats_the_exams_chance_line() -> None:
    categories = BENCHMARKS["exam"].load_categories(EvalData(Path()), True, 30)
    for constant in ("one", "Yes.", "Africa", "The answer is A.", "I am Firstwords."):
        for name, category in categories.items():
            right = sum(item.is_correct(constant) for item in category.items)  # type: ignore[union-attr]
            assert right / 30 <= category.chance + 1e-9, name


def test_refusing_every_question_is_only_correct_for_unknown_facts() -> None:
    for name, category in BENCHMARKS["exam"].load_categories(EvalData(Path()), True, 200).items():
        right = sum(item.is_correct("I do not know.") for item in category.items)  # type: ignore[union-attr]
        assert 80 <= right <= 120 if name == "unknown" else right == 0


def test_each_benchmark_runs_on_the_real_data(
    data_folder: Path, tiny_model: ModelConfig, tiny_tokenizer: Tokenizer, random_model: MakeModel
) -> None:
    data = EvalData(data_folder / "eval")
    runner = BenchmarkRunner(random_model(tiny_model), tiny_tokenizer)
    for name, benchmark in BENCHMARKS.items():
        for chat in (False, True):
            if name == "humaneval" and sandbox.unavailable_reason():
                continue
            categories = benchmark.load_categories(data, chat, 1)
            results = runner.run(categories)
            scores = {
                key: category_score(category, results[key]) for key, category in categories.items()
            }
            n_parts = 67 if name == "blimp" else len(categories)
            assert benchmark_score(benchmark, scores)["n"] == n_parts


def test_core_counts_its_tasks(data_folder: Path) -> None:
    data = EvalData(data_folder / "eval")
    assert len(core.read_tasks(data)) == 22
    assert len(core.missing_tasks(data)) == 4
