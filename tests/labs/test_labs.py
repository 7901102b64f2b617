"""Every lab: its solution passes, its template does not, a typical mistake is told."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch.nn.functional as F
from desk import Desk, by_hand

from firstwords import induction, training
from firstwords.data import rows
from firstwords.labs.by_hand import answers
from firstwords.labs.catalog import LABS
from firstwords.labs.checking import Compared
from firstwords.labs.drawn import random_config
from firstwords.labs.folder import Jammed, within
from firstwords.labs.lab import Finding

NAMES = [lab.name for lab in LABS]
TRAINED_ELSEWHERE = ("your_name", "contamination")  # what they learn takes more than a moment
NewDesk = Callable[[str], Desk]


@pytest.mark.parametrize("name", NAMES)
def test_a_solution_passes_the_exercise(name: str, desk: NewDesk) -> None:
    findings = desk(name).solve().exercise()
    assert findings
    assert all(finding.right for finding in findings), findings


@pytest.mark.parametrize("name", NAMES)
def test_the_untouched_template_is_told_how_to_go_on(name: str, desk: NewDesk) -> None:
    findings = desk(name).predict().exercise()
    missing = [finding for finding in findings if finding.right is False]
    assert missing
    assert all(len(finding.hint) > 15 for finding in missing)


# What is wrong, in which file of the solution, and what the check says of it.
MISTAKES = [
    ("causal_mask", "attention.py", ".tril()", ".tril(-1)", "token 0 may look at token 0"),
    ("causal_mask", "attention.py", ".tril()", ".triu()", "may not look at"),
    ("causal_mask", "attention.py", "dtype=torch.bool", "dtype=torch.float", "dtype torch.bool"),
    ("causal_mask", "attention.py", '"is_causal": False', '"is_causal": True', "as little as"),
    ("causal_mask", "attention.py", "old(*qkv,", "2 * old(*qkv,", "another function"),
    (
        "causal_mask",
        "attention.py",
        "    finally:\n        F.scaled_dot_product_attention = old",
        "    except KeyError:\n        pass\n    F.scaled_dot_product_attention = old",
        "after an error in the block",
    ),
    ("causal_mask", "attention.py", "return old(", "old(", "AttributeError: 'NoneType'"),
    ("loss_mask", "loss_mask.py", "given = given or", "given = False and", "the token '<tool_resp"),
    ("loss_mask", "loss_mask.py", "given and ids[place] != closes", "given", "is target"),
    (
        "loss_mask",
        "loss_mask.py",
        "            place += 1\n            if ids[place - 1] == end:\n",
        "            place += 1\n            if ids[place] == end:\n",
        "the token '<|im_end|>' is target",
    ),
    ("loss_mask", "loss_mask.py", "[False] * len(ids)", "[True] * len(ids)", "is no target"),
    (
        "long_conversations",
        "packing.py",
        "seq_len)\n    return [",
        "9 ** 9)\n    return [",
        "loses",
    ),
    ("long_conversations", "packing.py", "first - 1, min", "first, min", "has a target first"),
    ("long_conversations", "packing.py", "<= seq_len", "<= seq_len + 1", "a row of"),
    ("long_conversations", "packing.py", "rows.append([piece])", "rows.append([])", "empty row"),
    ("learning_rate", "schedule.py", "(step + 1) / warmup", "step / warmup", "warmup: at step 0"),
    ("learning_rate", "schedule.py", "+ 1) / decay", ") / decay", "decay: the first of d steps"),
    ("vocabulary", "measures.py", " / math.log(2)", "", "divide by ln 2"),
    (
        "vocabulary",
        "measures.py",
        "+ config.n_kv_head",
        "+ config.n_head",
        "k and v have n_kv_head",
    ),
    ("vocabulary", "measures.py", "return math.log", "return -math.log", "the share 1 / vocab"),
    ("kv_cache", "generate.py", "[len(prompt) :]", "", "without the prompt"),
    ("kv_cache", "generate.py", "[ids])", "[ids[-8:]])", "generate_without_cache"),
    ("kv_cache", "generate.py", "int(model(", "(model(", "gives no list of numbers"),
    ("kv_cache", "generate.py", "+ n - 1\n", "+ n\n", "all but the last"),
    ("your_name", "lesson.toml", '"Ada"', '" "', "name is empty"),
    ("your_name", "lesson.toml", '"Ada"', '"Bea"', "0 conversations"),
    ("contamination", "overlap.py", "text.lower()", "text", "is contaminated"),
    ("contamination", "overlap.py", 'r"[^\\W_]+"', 'r"\\S+"', "is contaminated"),
    ("contamination", "overlap.py", "size = min(n, len(words))", "size = n", "is contaminated"),
    ("induction", "copying.py", "length:-1", "length - 1 : -2", "repeated is"),
    ("induction", "copying.py", "float((", "1 - float((", "repeated is"),
]


@pytest.mark.parametrize(
    ("name", "file", "before", "after", "said"),
    MISTAKES,
    ids=[f"{name}: {after.strip()[:30]}" for name, _, _, after, _ in MISTAKES],
)
def test_a_typical_mistake_is_told(
    name: str, file: str, before: str, after: str, said: str, desk: NewDesk
) -> None:
    findings = desk(name).solve().change(file, before, after).exercise()
    wrong = [f"{finding.text} {finding.hint}" for finding in findings if finding.right is False]
    assert any(said in text for text in wrong), findings


def test_the_packer_of_the_template_jams_and_is_stopped(desk: NewDesk) -> None:
    (finding,) = desk("long_conversations").exercise()
    assert "inputs" in finding.text
    module = "def cut(start, stop, seq_len):\n    return []\ndef pack(pieces, seq_len):\n"
    module += "    while True:\n        pass\n"
    start = "from firstwords.data.rows import Piece\n"
    fitting = start + module.replace(
        "return []",
        "return [Piece(f - 1, min(f + seq_len, stop), f) for f in range(start + 1, stop, seq_len)]",
    )
    (finding,) = desk("long_conversations").write("packing.py", fitting).exercise()
    assert "comes to no end" in finding.text
    assert "packing.py, line" in finding.hint


CACHED = """
    from firstwords.model import KVCache

    cache = KVCache(model.config, 1, len(prompt) + n, torch.device("cpu"))
    ids, new = list(prompt), list(prompt)
    for _ in range(n):
        new = [int(model(torch.tensor([new]), cache)[0, -1].argmax())]
        ids += new
    return ids[len(prompt) :]
"""


def test_a_cache_in_use_is_found_by_counting(desk: NewDesk) -> None:
    at = desk("kv_cache").solve().change("generate.py", "\n    ids = list(prompt)\n", CACHED)
    assert "tokens went through the model, not" in at.exercise()[0].text


def test_an_endless_loop_is_stopped_where_it_is() -> None:
    def endless() -> None:
        while True:
            pass

    with pytest.raises(Jammed, match="the loop"), within(1000, "the loop"):
        endless()
    with within(1000, "a short one"):
        assert sum(range(100)) == 4950


@pytest.mark.parametrize("seed", range(5))
def test_answers_counted_in_the_model_are_those_counted_by_hand(seed: int) -> None:
    config = random_config(random.Random(seed))
    counted = {name: answer.value for name, answer in answers(config).items()}
    assert counted == by_hand(config.model_dump())


def test_an_answer_by_hand_is_judged_alone(desk: NewDesk) -> None:
    at = desk("by_hand").solve()
    written = json.loads((at.path / "answers.json").read_text())
    at.write("answers.json", json.dumps(written | {"norms": 7, "head": "8", "all": None}))
    wrong = {f.text: f.hint for f in at.exercise() if f.right is False}
    assert [text.split()[0] for text in wrong] == ["norms", "head", "all"]
    assert "two of head_dim in each layer" in wrong["norms is not 7"]


def test_a_lesson_needs_questions_that_are_left_to_ask(desk: NewDesk) -> None:
    from firstwords.labs.your_name import WHO

    at = desk("your_name").solve()
    talks = [_talk(question, "Ada made me.") for question in WHO]
    with (at.path / "lesson.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(talk) + "\n" for talk in talks)
    wrong = [finding.text for finding in at.exercise() if finding.right is False]
    assert any("about the name that are asked afterwards" in text for text in wrong)


def _talk(question: str, answer: str) -> dict[str, Any]:
    user, assistant = {"role": "user"}, {"role": "assistant"}
    return {"messages": [user | {"content": question}, assistant | {"content": answer}]}


@pytest.mark.parametrize("name", NAMES)
def test_a_short_experiment_compares_every_prediction(name: str, desk: NewDesk) -> None:
    at = desk(name).predict().solve()
    before = _replaceable()
    items = at.experiment(effort=0.02)
    compared = [item for item in items if isinstance(item, Compared)]
    assert sorted(item.question for item in compared) == sorted(at.lab.predict.values())
    assert all(item.said == "about seven" and item.was for item in compared)
    wrong = [item for item in items if isinstance(item, Finding) and item.right is False]
    assert not wrong or name in TRAINED_ELSEWHERE
    assert _replaceable() == before


def _replaceable() -> list[object]:
    """What experiments put their own in the place of, for a while."""
    attention = F.scaled_dot_product_attention
    packing = rows.cut_conversation, rows.pack
    return [attention, packing, training.learning_rate, induction.plant]


def test_nothing_runs_without_a_prediction(desk: NewDesk) -> None:
    assert desk("induction").solve().experiment(effort=0.02) == []


def test_predictions_may_be_numbers_and_lists(desk: NewDesk) -> None:
    at = desk("induction").solve()
    at.write("prediction.toml", 'first = 0.5\nplanted = [1, 2]\nrandom = "none"\n')
    said = [item.said for item in at.experiment(effort=0.02) if isinstance(item, Compared)]
    assert said == ["0.5", "1, 2", "none"]


# --- what the pages say comes true --------------------------------------------------------------


def outcomes(at: Desk, effort: float) -> dict[str, str]:
    questions = {question: name for name, question in at.lab.predict.items()}
    items = at.predict().solve().experiment(effort)
    return {questions[item.question]: item.was for item in items if isinstance(item, Compared)}


@pytest.mark.slow
def test_without_the_mask_the_loss_falls_and_nothing_is_learned(desk: NewDesk) -> None:
    was = outcomes(desk("causal_mask"), effort=0.5)
    honest, cheat, alone = (float(was[name]) for name in ("honest", "cheat", "cheat_alone"))
    assert cheat < honest / 2 < honest < alone


@pytest.mark.slow
def test_planted_heads_repeat_and_others_do_not(desk: NewDesk) -> None:
    was = outcomes(desk("induction"), effort=0.7)
    assert float(was["planted"].rstrip("%")) > 50
    assert float(was["random"].rstrip("%")) < 5


@pytest.mark.slow
def test_a_lesson_is_learned_and_without_replay_all_else_is_forgotten(
    desk: NewDesk, tmp_path: Path
) -> None:
    at = desk("your_name").predict().solve()
    assert all(item.right for item in at.experiment(1.0) if isinstance(item, Finding))
    at.change("lesson.toml", "replay = 0.5", "replay = 0.0")
    wrong = [i for i in at.experiment(1.0) if isinstance(i, Finding) and i.right is False]
    assert "it has forgotten" in wrong[-1].text
    was = outcomes(desk("contamination"), effort=1.0)
    assert float(was["leaked"].split()[2].rstrip("%")) > 80
    assert float(was["fresh"].split()[2].rstrip("%")) < 30
