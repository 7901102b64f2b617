"""The files of a small exam, as evaluation writes them: two parts, 30 and 12 questions."""

from typing import Any

from firstwords.common import files
from firstwords.recipe import REQUIRED_STAGES
from firstwords.runs.run import Run

CALL = "<tool_call>12*34</tool_call><tool_response>408</tool_response>The answer is 408."
HOSTILE = "<script>document.title='taken'</script><b>bold</b>"
MEMORY = [
    {"role": "user", "content": "My cat is called Rusty."},
    {"role": "assistant", "content": "A fine name."},
    {"role": "user", "content": "What is my cat called?"},
]
# stage: how many of the first questions on facts it answers right
RIGHT = {"pretrain": 5, "midtrain": 15, "sft": 24}


def write_exam(run: Run) -> None:
    """Write answers and scores of all stages. An evaluation that is there keeps its other tasks."""
    for stage in REQUIRED_STAGES:
        records = [fact(stage, number) for number in range(30)]
        if stage != "pretrain":
            records += [memory(number) for number in range(12)]
        files.write_json_lines(run.records(stage, "exam"), records)
        found = run.read_evaluation(stage) or evaluation(stage)
        found["tasks"]["exam"] = scores(stage)
        files.write_json(run.evaluation(stage), found)


def fact(stage: str, number: int) -> dict[str, Any]:
    correct = number < RIGHT[stage]
    answer = {0: CALL, 1: HOSTILE}.get(number, f"Place {number}.") if correct else "Nowhere."
    ask = f"Where is place {number}?"
    prompt = f"{ask}\n" if stage == "pretrain" else [{"role": "user", "content": ask}]
    return record("facts", correct, prompt, f"Place {number}.", answer)


def memory(number: int) -> dict[str, Any]:
    right = number % 2 == 0
    return record("memory", right, MEMORY, "Your cat is called Rusty.", "Rusty." if right else "")


def record(part: str, correct: bool, prompt: Any, reference: str, answer: str) -> dict[str, Any]:
    details = {"prompt": prompt, "reference": reference, "answer": answer}
    return {"category": part, "correct": correct, **details, "empty": not answer}


def scores(stage: str) -> dict[str, Any]:
    facts = {**score("places on the map", RIGHT[stage] / 30, 30), "note": "the answer names it"}
    memory = {**score("memory across turns", 0.5, 12), "note": "the answer has the name"}
    parts = {"facts": facts} if stage == "pretrain" else {"facts": facts, "memory": memory}
    n = sum(part["n"] for part in parts.values())
    total = score("exam", sum(part["score"] * part["n"] for part in parts.values()) / n, n)
    return {**total, "categories": parts, "empty": 0, "broken_call": 0}


def score(title: str, value: float, n: int) -> dict[str, Any]:
    interval = [max(0.0, value - 0.1), min(1.0, value + 0.1)]
    return {"title": title, "score": value, "chance": 0.1, "ci95": interval, "n": n}


def evaluation(stage: str) -> dict[str, Any]:
    bits = {**score("bits per byte", 1.5, 10), "text_bytes": 1000, "categories": {}}
    tasks = {"bits_per_byte": bits}
    return {"stage": stage, "step": 1, "tasks": tasks, "chat_loss": 1.0, "samples": []}
