"""What a comparison says, in sentences."""

from typing import Any

from firstwords.common.units import format_duration

UNEQUAL_TIME = 1.2  # ratio of training times from which a note says that the budgets differ
MAX_PARTS = 4  # named in a sentence
JsonObject = dict[str, Any]


def find_verdicts(document: JsonObject) -> list[JsonObject]:
    """Return for every run but the first one how it compares with that: whether it is `better`,
    `worse` or `unclear`, and sentences with figures."""
    first, *others = (run["name"] for run in document["runs"])
    exam = next((one for one in document["benchmarks"] if one["name"] == "exam"), None)
    bits = document.get("bits_per_byte")
    verdicts = []
    for index, name in enumerate(others):
        sentences, outcomes = [], []
        if exam:
            outcome, sentence = _exam_verdict(first, name, exam["pairs"][index])
            outcomes.append(outcome)
            sentences += [sentence, *_parts_verdict(name, exam["parts"], index)]
        if bits:
            outcome, sentence = _bits_verdict(first, name, bits, index)
            outcomes.append(outcome)
            sentences.append(sentence)
        outcome = outcomes[0] if outcomes else "unclear"
        verdicts.append({"run": name, "outcome": outcome, "sentences": sentences})
    return verdicts


def _exam_verdict(first: str, second: str, pair: JsonObject) -> tuple[str, str]:
    if "reason" in pair:
        return "unclear", f"Exam: not compared item by item, because {pair['reason']}."
    points, half = 100 * pair["difference"], 100 * pair["half_width"]
    questions = f"{pair['n']:,} questions"
    if not pair["clear"]:
        return "unclear", (
            f"Exam: no difference between {second} and {first} can be told at these {questions} "
            f"({points:+.1f} ± {half:.1f} points, {format_p(pair['p'])})."
        )
    outcome = "better" if points > 0 else "worse"
    return outcome, (
        f"Exam: {second} is {outcome} than {first} by {abs(points):.1f} ± {half:.1f} points, on "
        f"the {questions} that both answered ({format_p(pair['p'])}; {pair['only_second']:,} "
        f"only {second} got right, {pair['only_first']:,} only {first})."
    )


def _parts_verdict(second: str, parts: list[JsonObject], index: int) -> list[str]:
    compared = [(part["title"], part["pairs"][index]) for part in parts if part["pairs"][index]]
    clear = [(title, pair["difference"]) for title, pair in compared if pair["clear"]]
    if not compared:
        return []
    if not clear:
        sizes = sorted({pair["n"] for _, pair in compared})
        questions = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
        return [
            f"No part differs clearly by itself: each of the {len(compared)} has {questions} "
            "questions, and the level is corrected for their number."
        ]
    clear.sort(key=lambda one: -abs(one[1]))
    named = ", ".join(f"{title} ({100 * points:+.0f})" for title, points in clear[:MAX_PARTS])
    n_more = len(clear) - MAX_PARTS
    more = f" and {n_more} more" if n_more > 0 else ""
    return [
        f"Parts in which {second} differs clearly, in points: {named}{more}, of {len(compared)}."
    ]


def _bits_verdict(first: str, second: str, bits: JsonObject, index: int) -> tuple[str, str]:
    if "reason" in bits:
        return "unclear", f"Bits per byte: not compared, because {bits['reason']}."
    pair = bits["pairs"][index]
    difference, half = pair["difference"], pair["half_width"]
    documents = f"the same {bits['documents']:,} documents"
    if not pair["clear"]:
        return "unclear", (
            f"Bits per byte: no difference between {second} and {first} can be told on {documents} "
            f"({difference:+.3f} ± {half:.3f})."
        )
    outcome, direction = ("better", "fewer") if difference < 0 else ("worse", "more")
    return outcome, (
        f"Bits per byte: {second} needs {abs(difference):.3f} ± {half:.3f} {direction} than "
        f"{first}, which is {outcome}, on {documents}."
    )


def find_notes(document: JsonObject) -> list[str]:
    """Return what a reader must know before drawing a conclusion from the verdicts."""
    runs = document["runs"]
    return [*_unfinished(document), *_left_out(document), *_unequal_time(runs), _seeds(document)]


def _unfinished(document: JsonObject) -> list[str]:
    return [
        f"{run['name']} is unfinished: this is its model after step {step:,} of {stage}."
        for run, step, stage in zip(
            document["runs"], document["steps"], document["stages"], strict=True
        )
        if run["state"] != "finished"
    ]


def _left_out(document: JsonObject) -> list[str]:
    """Say which questions of the exam were not the same, and why."""
    sections = {difference["section"] for difference in document["differences"]}
    why = ""
    if "personality" in sections:
        why = ": the personalities differ, and a model is asked about its own"
    elif "version" in sections:
        why = ": the versions of Firstwords differ"
    first, *others = (run["name"] for run in document["runs"])
    return [
        f"{pair['left_out']:,} of the {pair['n'] + pair['left_out']:,} questions of the exam are "
        f"left out, because {first} and {name} were asked different ones{why}."
        for benchmark in document["benchmarks"]
        if benchmark["name"] == "exam"
        for name, pair in zip(others, benchmark["pairs"], strict=True)
        if pair and pair.get("left_out")
    ]


def _unequal_time(runs: list[JsonObject]) -> list[str]:
    seconds = [run["seconds"] for run in runs]
    if max(seconds) <= UNEQUAL_TIME * min(seconds):
        return []
    times = ", ".join(f"{run['name']} {format_duration(run['seconds'])}" for run in runs)
    return [f"The runs did not have the same time: {times}."]


def _seeds(document: JsonObject) -> str:
    """Say how much the seed alone may change."""
    changed = {difference["name"] for difference in document["differences"]}
    if changed == {"seed"}:
        return (
            "The recipes differ only in the seed: a difference between these runs is chance, and "
            "shows how large a difference between two recipes must be to mean something."
        )
    last = document["runs"][-1]["name"]
    return (
        "The intervals are about these models. The same recipe with another seed gives another "
        "model, often a point or two apart on the exam: train each recipe with three seeds before "
        f"you trust a small difference (firstwords train --recipe PATH/{last}/run.json --seed 1 "
        f"--run {last}-seed-1, and again with 2)."
    )


def format_p(p: float) -> str:
    """Format a p-value with two digits; very small ones only as such."""
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.2g}"
