"""Every lab: its solution passes, its template fails, and a typical mistake gets a hint."""

import json
import random
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch.nn.functional as F
from lab_desk import SHORT, LabDesk, count_by_hand

from firstwords.common import hardware
from firstwords.data import dataloader
from firstwords.labs import small_model_run
from firstwords.labs.by_hand import expected_answers
from firstwords.labs.catalog import LABS
from firstwords.labs.checking import Comparison
from firstwords.labs.lab import LabFinding, LabSettings
from firstwords.labs.line_limit import LineLimitExceeded, limit_lines
from firstwords.labs.random_config import random_config
from firstwords.model import transformer
from firstwords.rl import rollouts
from firstwords.training import loop

NAMES = [lab.name for lab in LABS]
USES_RUN = [lab.name for lab in LABS if lab.uses_run]  # a short training teaches them too little
NewDesk = Callable[[str], LabDesk]


@pytest.mark.parametrize("name", NAMES)
def test_solution_passes_the_exercise(name: str, desk: NewDesk) -> None:
    findings = desk(name).solve().exercise()
    assert findings
    assert all(finding.passed for finding in findings), findings


@pytest.mark.parametrize("name", NAMES)
def test_untouched_template_fails_with_hints(name: str, desk: NewDesk) -> None:
    findings = desk(name).predict().exercise()
    failures = [finding for finding in findings if finding.passed is False]
    assert failures
    assert all(len(finding.hint) > 15 for finding in failures)


# Lab, file of the solution, code, the same with a mistake, and part of the finding.
MISTAKES = [
    ("causal_mask", "attention.py", ".tril()", ".tril(-1)", "token 0 may look at token 0"),
    ("causal_mask", "attention.py", ".tril()", ".triu()", "may not look at"),
    ("causal_mask", "attention.py", "dtype=torch.bool", "dtype=torch.float", "dtype torch.bool"),
    ("causal_mask", "attention.py", '"is_causal": False', '"is_causal": True', "is still causal"),
    ("causal_mask", "attention.py", "old(*qkv,", "2 * old(*qkv,", "differs from attention"),
    (
        "causal_mask",
        "attention.py",
        "    finally:\n        F.scaled_dot_product_attention = old",
        "    except KeyError:\n        pass\n    F.scaled_dot_product_attention = old",
        "again after an error in the block",
    ),
    ("causal_mask", "attention.py", "return old(", "old(", "AttributeError: 'NoneType'"),
    ("loss_mask", "loss_mask.py", "given = given or", "given = False and", "the token '<tool_resp"),
    ("loss_mask", "loss_mask.py", "given and ids[place] != closes", "given", "is a target"),
    (
        "loss_mask",
        "loss_mask.py",
        "            place += 1\n            if ids[place - 1] == end:\n",
        "            place += 1\n            if ids[place] == end:\n",
        "the token '<|im_end|>' is a target",
    ),
    ("loss_mask", "loss_mask.py", "[False] * len(ids)", "[True] * len(ids)", "is not a target"),
    (
        "long_conversations",
        "packing.py",
        "seq_len)\n    return [",
        "9 ** 9)\n    return [",
        "loses",
    ),
    ("long_conversations", "packing.py", "first - 1, min", "first, min", "starts with a target"),
    ("long_conversations", "packing.py", "<= seq_len", "<= seq_len + 1", "a row of"),
    ("long_conversations", "packing.py", "rows.append([segment])", "rows.append([])", "empty row"),
    (
        "learning_rate",
        "schedule.py",
        "(step + 1) / warmup",
        "step / warmup",
        "1 / warmup at step 0",
    ),
    ("learning_rate", "schedule.py", "+ 1) / decay", ") / decay", "decay: the first of d steps"),
    ("vocabulary", "measures.py", " / math.log(2)", "", "divide by ln 2"),
    (
        "vocabulary",
        "measures.py",
        "+ config.n_kv_head",
        "+ config.n_head",
        "k and v have n_kv_head",
    ),
    ("vocabulary", "measures.py", "return math.log", "return -math.log", "probability 1 / vocab"),
    ("kv_cache", "generate.py", "[len(prompt) :]", "", "without the prompt"),
    ("kv_cache", "generate.py", "[ids])", "[ids[-8:]])", "generate_without_cache"),
    ("kv_cache", "generate.py", "int(model(", "(model(", "does not return a list of ints"),
    ("kv_cache", "generate.py", "+ n - 1\n", "+ n\n", "new tokens but the last"),
    ("your_name", "lesson.toml", '"Ada"', '" "', "name is empty"),
    ("your_name", "lesson.toml", '"Ada"', '"Bea"', "0 conversations"),
    ("contamination", "overlap.py", "text.lower()", "text", "is contaminated"),
    ("contamination", "overlap.py", 'r"[^\\W_]+"', 'r"\\S+"', "is contaminated"),
    ("contamination", "overlap.py", "size = min(n, len(words))", "size = n", "is contaminated"),
    ("induction", "copying.py", "length:-1", "length - 1 : -2", "repeat_accuracy is"),
    ("induction", "copying.py", "float((", "1 - float((", "repeat_accuracy is"),
    ("policy_gradient", "policy.py", "axis=1", "axis=0", "each row is one question's group"),
    ("policy_gradient", "policy.py", "axis=1, ", "", "each row is one question's group"),
    ("policy_gradient", "policy.py", ", keepdims=True", "", "could not be broadcast together"),
    ("policy_gradient", "policy.py", "rewards_QG - ", "", "of the shape of its argument"),
    (
        "policy_gradient",
        "policy.py",
        "rewards_QG - rewards_QG.mean(axis=1, keepdims=True)",
        "(rewards_QG - rewards_QG.mean(axis=1, keepdims=True)) / (1e-6 + rewards_QG.std())",
        "do not divide by anything",
    ),
    ("policy_gradient", "policy.py", " if is_right else 0.0", "", "the wrong answer ''"),
    ("policy_gradient", "policy.py", "else 0.0", "else -len(answer)", "some wrong answers"),
    (
        "policy_gradient",
        "policy.py",
        "1 / (1 + len(answer.split()))",
        "1.0",
        "a short right answer",
    ),
]


@pytest.mark.parametrize(
    ("name", "file", "before", "after", "expected"),
    MISTAKES,
    ids=[f"{name}: {after.strip()[:30]}" for name, _, _, after, _ in MISTAKES],
)
def test_typical_mistake_is_found(
    name: str, file: str, before: str, after: str, expected: str, desk: NewDesk
) -> None:
    findings = desk(name).solve().change(file, before, after).exercise()
    failures = [f"{f.text} {f.hint}" for f in findings if f.passed is False]
    assert any(expected in text for text in failures), findings


def test_packer_that_hangs_is_stopped(desk: NewDesk) -> None:
    (finding,) = desk("long_conversations").exercise()
    assert "inputs" in finding.text
    module = "def cut(start, stop, seq_len):\n    return []\ndef pack(pieces, seq_len):\n"
    module += "    while True:\n        pass\n"
    start = "from firstwords.data.dataloader import Segment\n"
    fitting = start + module.replace(
        "return []",
        "return [Segment(f - 1, min(f + seq_len, stop), f)\n"
        "            for f in range(start + 1, stop, seq_len)]",
    )
    (finding,) = desk("long_conversations").write("packing.py", fitting).exercise()
    assert "does not end" in finding.text
    assert "packing.py, line" in finding.hint


CACHED = """
    from firstwords.model.kv_cache import KVCache

    cache = KVCache(model.config, 1, len(prompt) + n, torch.device("cpu"))
    ids, new = list(prompt), list(prompt)
    for _ in range(n):
        new = [int(model(torch.tensor([new]), cache)[0, -1].argmax())]
        ids += new
    return ids[len(prompt) :]
"""


def test_use_of_a_cache_is_found_by_counting_tokens(desk: NewDesk) -> None:
    at = desk("kv_cache").solve().change("generate.py", "\n    ids = list(prompt)\n", CACHED)
    assert "tokens ran through the model, not" in at.exercise()[0].text


def test_line_limit_stops_an_endless_loop() -> None:
    def endless() -> None:
        while True:
            pass

    with pytest.raises(LineLimitExceeded, match="the loop"), limit_lines(1000, "the loop"):
        endless()
    with limit_lines(1000, "a short one"):
        assert sum(range(100)) == 4950


@pytest.mark.parametrize("seed", range(5))
def test_counts_in_the_model_match_the_formulas(seed: int) -> None:
    config = random_config(random.Random(seed))
    counted = {name: answer.value for name, answer in expected_answers(config).items()}
    assert counted == count_by_hand(config.model_dump())


def test_each_answer_is_checked_on_its_own(desk: NewDesk) -> None:
    at = desk("by_hand").solve()
    written = json.loads((at.path / "answers.json").read_text())
    at.write("answers.json", json.dumps(written | {"norms": 7, "head": "8", "total": None}))
    failures = {f.text: f.hint for f in at.exercise() if f.passed is False}
    assert [text.split()[0] for text in failures] == ["norms", "head", "total"]
    assert "two of head_dim in each layer" in failures["norms is not 7"]


def test_lesson_must_leave_new_questions(desk: NewDesk) -> None:
    from firstwords.labs.your_name import NAME_QUESTIONS

    at = desk("your_name").solve()
    lines = [_conversation(question, "Ada made me.") for question in NAME_QUESTIONS]
    with (at.path / "lesson.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    failures = [finding.text for finding in at.exercise() if finding.passed is False]
    assert any("about the name that are asked afterwards" in text for text in failures)


def _conversation(question: str, answer: str) -> dict[str, Any]:
    user, assistant = {"role": "user"}, {"role": "assistant"}
    return {"messages": [user | {"content": question}, assistant | {"content": answer}]}


@pytest.mark.parametrize(("compiler", "kernel"), [("g++", "native"), (None, "pytorch")])
def test_small_model_is_trained_by_the_native_step_where_it_can_be_compiled(
    compiler: str | None, kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "find_compiler", lambda: compiler)
    assert small_model_run._recipe(LabSettings()).kernel == kernel


@pytest.mark.usefixtures("short_training")
@pytest.mark.parametrize("name", NAMES)
def test_short_experiment_compares_every_prediction(name: str, desk: NewDesk) -> None:
    at = desk(name).predict().solve()
    before = _replaceable()
    items = at.experiment(effort=SHORT)
    comparisons = [item for item in items if isinstance(item, Comparison)]
    assert sorted(item.question for item in comparisons) == sorted(at.lab.predict.values())
    assert all(item.predicted == "about seven" and item.actual for item in comparisons)
    failures = [i for i in items if isinstance(i, LabFinding) and i.passed is False]
    assert not failures or name in USES_RUN
    assert _replaceable() == before


def _replaceable() -> list[object]:
    """The functions that experiments replace for a while."""
    attention = F.scaled_dot_product_attention
    packing = dataloader.split_conversation, dataloader.pack_segments
    planting, advantages = transformer.plant_induction_heads, rollouts.advantages
    return [attention, packing, loop.learning_rate, planting, advantages]


def test_experiment_needs_a_prediction(desk: NewDesk) -> None:
    assert desk("induction").solve().experiment(effort=SHORT) == []


def test_predictions_can_be_numbers_and_lists(desk: NewDesk) -> None:
    at = desk("induction").solve()
    at.write("prediction.toml", 'first = 0.5\nplanted = [1, 2]\nrandom = "none"\n')
    items = at.experiment(effort=SHORT)
    predicted = [item.predicted for item in items if isinstance(item, Comparison)]
    assert predicted == ["0.5", "1, 2", "none"]


# --- claims of the pages --------------------------------------------------------------------------


def actual_results(at: LabDesk, effort: float) -> dict[str, str]:
    questions = {question: name for name, question in at.lab.predict.items()}
    items = at.predict().solve().experiment(effort)
    return {questions[item.question]: item.actual for item in items if isinstance(item, Comparison)}


@pytest.mark.slow
def test_model_without_the_mask_learns_nothing(desk: NewDesk) -> None:
    actual = actual_results(desk("causal_mask"), effort=0.5)
    honest, cheat, alone = (float(actual[name]) for name in ("honest", "cheat", "cheat_alone"))
    assert cheat < honest / 2 < honest < alone


@pytest.mark.slow
def test_only_planted_heads_learn_to_repeat(desk: NewDesk) -> None:
    actual = actual_results(desk("induction"), effort=0.7)
    assert float(actual["planted"].rstrip("%")) > 50
    assert float(actual["random"].rstrip("%")) < 5


@pytest.mark.slow
def test_claims_about_the_small_model(desk: NewDesk) -> None:
    """One test, as all of them need the model that trains for a minute."""
    at = desk("your_name").predict().solve()
    assert all(item.passed for item in at.experiment(1.0) if isinstance(item, LabFinding))
    at.change("lesson.toml", "replay_fraction = 0.5", "replay_fraction = 0.0")
    items = at.experiment(1.0)
    failures = [i for i in items if isinstance(i, LabFinding) and i.passed is False]
    assert "it has forgotten" in failures[-1].text
    actual = actual_results(desk("contamination"), effort=1.0)
    assert float(actual["leaked"].split()[2].rstrip("%")) > 80
    assert float(actual["fresh"].split()[2].rstrip("%")) < 30
    actual = actual_results(desk("policy_gradient"), effort=1.0)
    cheap_before, cheap_after = percentages(actual["hole"])
    assert cheap_after >= cheap_before  # how much, differs between processors
    before, with_hole, closed = percentages(actual["closed"])
    assert closed > 1.5 * max(before, with_hole)


def percentages(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"(\d+)%", text)]
