"""The published benchmarks: their prompts, their rules, and their data, small and real."""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firstwords.errors import UserError
from firstwords.evaluation import sandbox
from firstwords.evaluation.benchmark import Category, Refused, Scored, Taker, Written, summary
from firstwords.evaluation.benchmarks import BENCHMARKS, core, gsm8k, humaneval
from firstwords.evaluation.data import Absent, EvalData
from firstwords.model import Transformer
from firstwords.recipe import ModelConfig
from firstwords.tokenizer import Tokenizer

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


def scored(category: Category) -> list[Scored]:
    return [item for item in category.items if isinstance(item, Scored)]


def test_core_has_the_prompts_of_its_definition(bundle: EvalData) -> None:
    categories = core.categories(bundle, False, 0)
    assert {name: category.chance for name, category in categories.items()} == {
        "pick": 0.5,
        "twist": 0.5,
        "word": 0.0,
    }
    item = scored(categories["pick"])[3]
    assert item.prompts == ["Q3\nAnswer: ", "Q3\nAnswer: "]
    assert (item.continuations, item.right, item.rule) == (["no", "yes"], 1, "mean")
    assert len(item.shots) == 2
    for shot in item.shots:
        number = int(shot[1])
        assert shot == f"Q{number}\nAnswer: {['no', 'yes'][number % 2]}\n"
        assert number != 3
    twist = scored(categories["twist"])[0]
    assert twist.prompts == ["The fox ", "The hen "]
    assert (twist.continuations, twist.right, twist.shots) == (["ran."] * 2, 1, [])
    word = scored(categories["word"])[0]
    assert (word.prompts, word.continuations, word.rule) == (["0 and "], ["so on"], "exact")
    assert re.fullmatch(r"[1-3] and so on\n", "".join(word.shots))


def test_core_without_some_data_says_so(
    bundle: EvalData, tiny_model: ModelConfig, tiny_tokenizer: Tokenizer, random_model: MakeModel
) -> None:
    from firstwords.evaluation.taking import take_benchmark

    taker = Taker(random_model(tiny_model), tiny_tokenizer)
    taken = take_benchmark(core.CORE, taker, "base", bundle, 2)
    assert taken.result["title"] == "CORE (3 of 4 tasks)"
    assert taken.result["missing"] == ["gone"]
    assert taken.result["n"] == 6
    by_category: dict[str, list[bool]] = {}
    for record in taken.records:
        by_category.setdefault(record["category"], []).append(record["right"])
    centred = [
        (sum(right) / len(right) - chance) / (1 - chance)
        for right, chance in zip(by_category.values(), (0.5, 0.5, 0.0), strict=True)
    ]
    assert taken.result["score"] == pytest.approx(sum(centred) / 3)


def test_examples_are_drawn_once_for_each_question_and_never_the_question_itself() -> None:
    drawn = list(core.drawn(8, 5))
    assert all(len(set(examples)) == 5 for examples in drawn)
    assert all(number not in examples for number, examples in enumerate(drawn))
    assert drawn == list(core.drawn(8, 5))
    assert all(len(examples) == 3 for examples in core.drawn(4, 10))


def test_fewer_questions_have_the_examples_that_they_have_among_all(bundle: EvalData) -> None:
    everything = {
        item.prompts[0]: item.shots for item in scored(core.categories(bundle, False, 0)["pick"])
    }
    some = scored(core.categories(bundle, False, 3)["pick"])
    assert len(some) == 3
    for item in some:
        assert item.shots == everything[item.prompts[0]]


@pytest.mark.parametrize(
    "broken", ["icl_tasks: [{label: x}]", "nothing: 1", "\tx: [", "icl_tasks: 3"]
)
def test_a_broken_bundle_is_named(bundle: EvalData, broken: str) -> None:
    (bundle.folder / "core" / "core.yaml").write_text(broken)
    with pytest.raises(UserError, match=r"core\.yaml"):
        core.categories(bundle, False, 0)


def test_no_bundle_is_absent(tmp_path: Path) -> None:
    for name in ("core", "arc_easy", "mmlu", "gsm8k", "humaneval"):
        with pytest.raises(Absent):
            BENCHMARKS[name].categories(EvalData(tmp_path), False, 1)


ARC = {
    "question": "What is hot?",
    "choices": {"label": ["1", "2", "3"], "text": ["ice", "fire", "snow"]},
    "answerKey": "2",
}


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz"])
def test_arc_as_text_and_as_conversation(tmp_path: Path, ending: str) -> None:
    write(tmp_path / f"arc_easy_test{ending}", [ARC])
    plain = scored(
        BENCHMARKS["arc_easy"].categories(EvalData(tmp_path), False, 0)["arc_easy_test"]
    )[0]
    assert plain.prompts == ["Question: What is hot?\nAnswer:"] * 3
    assert (plain.continuations, plain.right) == ([" ice", " fire", " snow"], 1)
    category = BENCHMARKS["arc_easy"].categories(EvalData(tmp_path), True, 0)["arc_easy_test"]
    assert category.chance == pytest.approx(1 / 3)
    (spoken,) = scored(category)
    assert (spoken.continuations, spoken.right) == (["A", "B", "C"], 1)
    message = spoken.prompts[0][0]
    assert "- ice=A\n- fire=B\n- snow=C" in message["content"]  # type: ignore[index]


def test_mmlu_shows_five_solved_questions_of_the_subject(tmp_path: Path) -> None:
    row = {"question": " Two? ", "subject": "high_school_x", "choices": list("1234"), "answer": 1}
    solved = [{**row, "question": f"E{n}"} for n in range(7)] + [{**row, "subject": "other"}]
    write(tmp_path / "mmlu_test.jsonl", [row])
    write(tmp_path / "mmlu_dev.jsonl", solved)
    (item,) = scored(BENCHMARKS["mmlu"].categories(EvalData(tmp_path), False, 0)["mmlu"])
    assert item.prompts[0] == "Two?\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer:"
    assert item.continuations == [" A", " B", " C", " D"]
    assert item.right == 1
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
def test_the_number_is_read_by_the_official_rule(completion: str, number: str | None) -> None:
    """As grade_school_math/dataset.py of openai/grade-school-math does."""
    assert gsm8k.extract(completion) == number
    assert gsm8k.is_right(completion, "So\n#### 9") == (number == "9")


def test_every_solution_of_gsm8k_is_right_and_the_next_ones_is_not(data_folder: Path) -> None:
    rows = EvalData(data_folder / "eval").rows("gsm8k_test")
    assert len(rows) == 1319
    assert all(gsm8k.is_right(row["answer"], row["answer"]) for row in rows)
    assert not gsm8k.is_right(rows[0]["answer"], rows[1]["answer"])


HUMAN = {
    "task_id": "HumanEval/0",
    "prompt": 'def double(x):\n    """Twice x."""\n',
    "entry_point": "double",
    "canonical_solution": "    return 2 * x\n",
    "test": "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(0) == 0\n",
}
needs_isolation = pytest.mark.skipif(
    bool(sandbox.why_not()), reason=f"programs cannot be isolated here: {sandbox.why_not()}"
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
def test_a_completion_is_judged_by_running_the_tests(chat: bool, answer: str, right: bool) -> None:
    assert humaneval.item(HUMAN, chat, isolated=True).is_right(answer) == right


def test_humaneval_is_refused_where_nothing_can_be_isolated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "humaneval.jsonl", [HUMAN])
    monkeypatch.setattr(sandbox, "why_not", lambda: "no walls")
    with pytest.raises(Refused, match=r"no walls.*--unsafe-code"):
        BENCHMARKS["humaneval"].categories(EvalData(tmp_path), False, 0)
    (item,) = humaneval.UNSAFE.categories(EvalData(tmp_path), False, 0)["humaneval"].items
    assert isinstance(item, Written)
    assert item.is_right("    return 2 * x\n")


@needs_isolation
@pytest.mark.slow
def test_all_canonical_solutions_pass(data_folder: Path) -> None:
    rows = EvalData(data_folder / "eval").rows("humaneval")
    failed = [
        row["task_id"]
        for row in rows
        if not sandbox.run(humaneval.program(row, row["canonical_solution"])).passed
    ]
    assert len(rows) == 164
    assert failed == []


def test_the_exam_is_one_of_them_in_parts(
    tiny_model: ModelConfig, tiny_tokenizer: Tokenizer, random_model: MakeModel
) -> None:
    from firstwords.data.starter import exam as questions

    chat = BENCHMARKS["exam"].categories(EvalData(Path()), True, 2)
    plain = BENCHMARKS["exam"].categories(EvalData(Path()), False, 2)
    assert set(chat) == set(questions.CATEGORIES)
    assert set(plain) == {name for name, c in questions.CATEGORIES.items() if c.few_shot}
    item = plain["spelling"].items[0]
    assert isinstance(item, Written)
    assert "".join(item.shots).split("\n")[:2] == list(questions.examples("spelling")[0])
    assert item.stop == ("\n",)
    for category in chat.values():
        for one in category.items:
            assert isinstance(one, Written)
            assert one.is_right(one.reference.rpartition("</tool_response>")[2])
    found = Taker(random_model(tiny_model), tiny_tokenizer).take(plain)
    assert {name: len(records) for name, records in found.items()} == dict.fromkeys(plain, 2)


def test_no_constant_answer_beats_the_exams_chance_line() -> None:
    categories = BENCHMARKS["exam"].categories(EvalData(Path()), True, 30)
    for constant in ("one", "Yes.", "Africa", "The answer is A.", "I am Firstwords."):
        for name, category in categories.items():
            right = sum(item.is_right(constant) for item in category.items)  # type: ignore[union-attr]
            assert right / 30 <= category.chance + 1e-9, name


def test_refusing_everything_gets_half_of_the_unknown_and_nothing_else() -> None:
    for name, category in BENCHMARKS["exam"].categories(EvalData(Path()), True, 200).items():
        right = sum(item.is_right("I do not know.") for item in category.items)  # type: ignore[union-attr]
        assert 80 <= right <= 120 if name == "unknown" else right == 0


def test_each_benchmark_reads_the_real_data(
    data_folder: Path, tiny_model: ModelConfig, tiny_tokenizer: Tokenizer, random_model: MakeModel
) -> None:
    data = EvalData(data_folder / "eval")
    taker = Taker(random_model(tiny_model), tiny_tokenizer)
    for name, benchmark in BENCHMARKS.items():
        for chat in (False, True):
            if name == "humaneval" and sandbox.why_not():
                continue
            categories = benchmark.categories(data, chat, 1)
            found = taker.take(categories)
            from firstwords.evaluation.benchmark import score_of

            scores = {key: score_of(category, found[key]) for key, category in categories.items()}
            assert summary(benchmark, scores)["n"] == len(categories)


def test_core_counts_its_tasks(data_folder: Path) -> None:
    data = EvalData(data_folder / "eval")
    assert len(core.tasks(data)) == 22
    assert len(core.absent(data)) == 4
