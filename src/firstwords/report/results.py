"""What came of it: bits per byte, benchmarks, the exam with answers to read, the growth album."""

from typing import Any

from firstwords import album, console, files
from firstwords.evaluation.table import header, rows
from firstwords.recipe import STAGES, Stage
from firstwords.report.markdown import folded, paragraphs, quote, table
from firstwords.run import Run

TITLES: dict[Stage, str] = {"base": "Base", "mid": "Mid", "sft": "SFT"}
Evaluations = dict[Stage, dict[str, Any]]
SHOWN_OF_EACH = 3  # answers, of each part of the exam


def held_out(evaluations: Evaluations) -> str:
    lines = []
    for stage in STAGES:
        bits = evaluations[stage]["tasks"]["bits_per_byte"]
        low, high = bits["ci95"]
        lines.append(
            [
                TITLES[stage],
                f"{bits['score']:.3f} ({low:.3f} to {high:.3f})",
                f"{evaluations[stage]['chat_loss']:.3f}",
            ]
        )
    bits = evaluations["base"]["tasks"]["bits_per_byte"]
    return table(["stage", "bits per byte (95 % interval)", "loss on answers"], lines) + (
        f"\n\nMeasured on {bits['n']:,} held-out documents ({console.size(bits['text_bytes'])}) "
        "and on held-out conversations. Chance is 8 bits per byte; the loss on answers is in nats "
        "per token that the assistant wrote." + _by_source(evaluations)
    )


def _by_source(evaluations: Evaluations) -> str:
    """Bits per byte of each file or kind of held-out text, where there are several."""
    scores = {s: e["tasks"]["bits_per_byte"]["categories"] for s, e in evaluations.items()}
    if len(scores["base"]) < 2:
        return ""
    lines = [
        [name, f"{of['n']:,}", *(f"{scores[stage][name]['score']:.3f}" for stage in STAGES)]
        for name, of in scores["base"].items()
    ]
    return "\n\n" + table(["from", "documents", *(TITLES[s] for s in STAGES)], lines)


def benchmarks(evaluations: Evaluations) -> str:
    """The published ones; nothing if their data was not there."""
    results = {
        stage: {n: t for n, t in e["tasks"].items() if n not in ("bits_per_byte", "exam")}
        for stage, e in evaluations.items()
    }
    if not any(results.values()):
        return ""
    words = (
        "Published benchmarks, on a part of their items; in parentheses the 95 % interval. A score "
        "whose interval holds the chance line is called *at chance*. CORE and ChatCORE are means "
        "of scores drawn out so that guessing is 0 and everything right 1; with some of their "
        "tasks alone they cannot be compared with published ones."
    )
    return paragraphs(words, table(header(list(results)), rows(results)))


def exam(run: Run, evaluations: Evaluations) -> str:
    """The exam's table, and answers to read; nothing if it was not taken."""
    taken = {s: e["tasks"]["exam"] for s, e in evaluations.items() if "exam" in e["tasks"]}
    if not taken:
        return ""
    last = taken["sft"]
    lines = []
    for name, category in last["categories"].items():
        scores = [_exam_score(taken[s]["categories"].get(name)) for s in STAGES]
        lines.append([category["title"], *scores, f"{category['chance']:.0%}", category["note"]])
    overall = [_exam_score(taken[s]) for s in STAGES]
    lines.append(["**all**", *overall, f"{last['chance']:.0%}", ""])
    n = next(iter(last["categories"].values()))["n"]
    words = (
        f"{n} questions in each part that training never shows, answered with the likeliest "
        "tokens; in parentheses the 95 % interval (Wilson). *Always the same* is what the best "
        "constant answer would get. The base model, which knows no conversations, is asked in "
        "plain text after a few examples, where that makes sense. After finetuning "
        f"{last['empty']} answers were empty, and {last['broken_call']} calls of the calculator "
        "broken. All answers stand in `evaluation/`."
    )
    titles = (TITLES[stage] for stage in STAGES)
    return paragraphs(
        words,
        table(["questions", *titles, "always the same", "right is"], lines),
        folded("Some right answers", _answers(run, right=True)),
        folded("Some wrong answers", _answers(run, right=False)),
    )


def _exam_score(score: dict[str, Any] | None) -> str:
    if score is None:
        return ""
    low, high = score["ci95"]
    return f"{score['score']:.0%} ({low:.0%} to {high:.0%})"


def _answers(run: Run, right: bool) -> str:
    """The first answers after finetuning that were right, or wrong, of every category."""
    shown: dict[str, list[str]] = {}
    for record in files.read_json_lines(run.records("sft", "exam")):
        parts = shown.setdefault(record["category"], [])
        if record["right"] == right and len(parts) < SHOWN_OF_EACH:
            talk = [f"{m['role']}: {m['content']}" for m in record["prompt"]]
            talk += [f"right: {record['reference']}", f"said: {record['answer'] or '(nothing)'}"]
            parts.append(quote("\n".join(talk)))
    return paragraphs(*(part for parts in shown.values() for part in parts)) or "None."


def growth(run: Run) -> str:
    """The growth album: every prompt, and what was said to it at each age."""
    found = album.pages(run)
    if not found:
        return ""
    words = (
        "The same prompts, before the first step, after every fifth of pretraining, and after each "
        "later stage. Beginnings are continued; questions are asked as in a chat, which only the "
        "stages after pretraining have met."
    )
    last_step = {stage: run.recipe.stage(stage).steps for stage in STAGES}
    kept = [p for p in found if p["stage"] == "base" or p["step"] == last_step[p["stage"]]]
    parts = [words]
    for index, sample in enumerate(kept[0]["samples"]):
        said = [f"{age(run, page)}\n{_indented(page['samples'][index]['answer'])}" for page in kept]
        parts += [f"### {sample['prompt']}", quote("\n\n".join(said))]
    return paragraphs(*parts)


def age(run: Run, page: dict[str, Any]) -> str:
    """How old the model of a page was."""
    if page["stage"] == "base" and page["step"] == 0:
        return "before the first step"
    share = page["step"] / run.recipe.stage(page["stage"]).steps
    tokens = page["step"] * run.recipe.stage(page["stage"]).batch_tokens
    return f"{TITLES[page['stage']]}, {share:.0%}: {tokens:,} tokens of it"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in (text or "(nothing)").splitlines())
