"""Sections on evaluation: held-out text, benchmarks, exam, and samples during training."""

from typing import Any, Literal

from firstwords.common.markdown import folded, paragraphs, quote, table
from firstwords.common.units import format_size
from firstwords.evaluation.blimp_paradigms import PHENOMENA, PUBLISHED_MEANS, PUBLISHED_MODELS
from firstwords.evaluation.table import table_header, table_rows
from firstwords.recipe import Stage
from firstwords.report.growth import format_progress, shown_samples
from firstwords.report.tool_calls import describe_tool_calls
from firstwords.runs.run import Run

STAGE_TITLES: dict[Stage, str] = {
    "pretrain": "Pretrain",
    "midtrain": "Midtrain",
    "sft": "SFT",
    "rl": "RL",
}
Evaluations = dict[Stage, dict[str, Any]]
ANSWERS_PER_CATEGORY = 3
SAMPLES_DESCRIPTION = (
    "Answers to the same prompts before the first step, after each fifth of pretraining, and after "
    "each later stage. The model continues the beginnings of texts and answers the questions as "
    "chat messages, which it first sees in midtraining."
)
PLAIN_TEXT_EXAM = (
    " The pretrained model has not seen conversations, so it gets plain text with a few solved "
    "examples, in the categories where that is possible."
)
EXAMPLES = {
    "exam": ("Correct answers (examples)", "Wrong answers (examples)"),
    "babble": ("Answers in English (examples)", "Babble (examples)"),
}


def last_evaluation(evaluations: Evaluations) -> dict[str, Any]:
    """Return the evaluation of the run's last stage."""
    return list(evaluations.values())[-1]


def _titles(evaluations: Evaluations) -> list[str]:
    return [STAGE_TITLES[stage] for stage in evaluations]


def render_held_out(run: Run, evaluations: Evaluations) -> str:
    """Bits per byte on held-out text, and the loss on answers of held-out conversations."""
    lines = []
    for stage in evaluations:
        bits = evaluations[stage]["tasks"]["bits_per_byte"]
        low, high = bits["ci95"]
        lines.append(
            [
                STAGE_TITLES[stage],
                f"{bits['score']:.3f} ({low:.3f} to {high:.3f})",
                f"{evaluations[stage]['chat_loss']:.3f}",
            ]
        )
    bits = evaluations["pretrain"]["tasks"]["bits_per_byte"]
    return table(["stage", "bits per byte (95 % interval)", "loss on answers"], lines) + (
        f"\n\nMeasured on {bits['n']:,} held-out documents ({format_size(bits['text_bytes'])}) "
        "and on held-out conversations. Guessing gives 8 bits per byte. The loss on answers is in "
        f"nats per token of the assistant's answers.{explain_skipped(run)}"
        + _render_by_source(evaluations)
    )


def explain_skipped(run: Run) -> str:
    """Say what the scores of a skipped pretraining are; empty if it was not skipped."""
    if run.recipe.pretrain.steps:
        return ""
    return (
        " Pretraining was skipped: its scores are those of the model that the run starts from "
        f"({run.manifest.origin})."
    )


def _render_by_source(evaluations: Evaluations) -> str:
    """Bits per byte of each file or kind of held-out text, if there are several."""
    scores = {s: e["tasks"]["bits_per_byte"]["categories"] for s, e in evaluations.items()}
    if len(scores["pretrain"]) < 2:
        return ""
    lines = [
        [name, f"{source['n']:,}", *(f"{scores[stage][name]['score']:.3f}" for stage in scores)]
        for name, source in scores["pretrain"].items()
        if all(name in scores[stage] for stage in scores)
    ]
    return "\n\n" + table(["source", "documents", *_titles(evaluations)], lines)


def render_benchmarks(evaluations: Evaluations) -> str:
    """Scores on published benchmarks; empty if none was run."""
    blimp = render_blimp(evaluations)
    others = ("bits_per_byte", "exam", "babble", *(("blimp",) if blimp else ()))
    results = {
        stage: {n: t for n, t in e["tasks"].items() if n not in others}
        for stage, e in evaluations.items()
    }
    if not any(results.values()):
        return blimp
    description = (
        "Published benchmarks, on a sample of their items, with 95 % confidence intervals in "
        "parentheses. A score whose interval contains the chance line is *at chance*. CORE and "
        "ChatCORE are means of centered scores: 0 is guessing, 1 is perfect. With only some of "
        "their tasks they cannot be compared with published results."
    )
    scores = table(["task", *table_header(list(results))[1:]], table_rows(results))
    return paragraphs(description, scores, blimp)


def render_blimp(evaluations: Evaluations) -> str:
    """Scores on BLiMP beside those of its authors; empty without a score of every stage."""
    blimp = {stage: e["tasks"].get("blimp", {}) for stage, e in evaluations.items()}
    if not all("categories" in score for score in blimp.values()):
        return ""
    last = list(blimp.values())[-1]
    lines = []
    for name, phenomenon in PHENOMENA.items():
        scores = [_format_accuracy(blimp[s]["categories"].get(name)) for s in evaluations]
        published = [f"{share:.0%}" for share in phenomenon.published]
        lines.append([phenomenon.title, *scores, f"{last['chance']:.0%}", *published])
    overall = [_format_accuracy(blimp[s]) for s in evaluations]
    means = [f"{share:.0%}" for share in PUBLISHED_MEANS]
    lines.append(["**all**", *overall, f"{last['chance']:.0%}", *means])
    description = (
        f"BLiMP: {last['n']:,} pairs of sentences that differ in one point of grammar, the same "
        "number from each of 67 kinds. The score is how often the grammatical sentence is the more "
        "likely one, with 95 % confidence intervals in parentheses. The last columns are the "
        "results that its authors published for other models, on all 67,000 pairs."
    )
    header = ["phenomenon", *_titles(evaluations), "chance line", *PUBLISHED_MODELS]
    return paragraphs(description, table(header, lines))


def render_exam(run: Run, evaluations: Evaluations) -> str:
    """Scores on the exam; empty if it was not run."""
    exams = {s: e["tasks"]["exam"] for s, e in evaluations.items() if "exam" in e["tasks"]}
    if len(exams) < len(evaluations):
        return ""
    last = list(exams.values())[-1]
    lines = []
    for name, category in last["categories"].items():
        scores = [_format_accuracy(exams[s]["categories"].get(name)) for s in evaluations]
        lines.append([category["title"], *scores, f"{category['chance']:.0%}"])
    overall = [_format_accuracy(exams[s]) for s in evaluations]
    lines.append(["**all**", *overall, f"{last['chance']:.0%}"])
    n = next(iter(last["categories"].values()))["n"]
    description = (
        f"{n} questions per category that are not in the training data, answered with greedy "
        "decoding; 95 % confidence intervals (Wilson) in parentheses. The chance line is the score "
        f"of the best constant answer.{explain_skipped(run) or PLAIN_TEXT_EXAM} After "
        f"finetuning, {last['empty']} answers were empty and {last['broken_call']} calculator "
        "calls were broken."
    )
    return paragraphs(
        description,
        table(["category", *_titles(evaluations), "chance line"], lines),
    )


def render_criteria(exam: dict[str, Any]) -> str:
    """What counts as a correct answer in each category, as Markdown, folded."""
    lines = [f"- {part['title']}: {part['note']}" for part in exam["categories"].values()]
    return folded("What counts as correct", "\n".join(lines))


def render_babble(evaluations: Evaluations) -> str:
    """How many answers to open prompts are English; empty if not measured."""
    scores = {s: e["tasks"].get("babble", {}) for s, e in evaluations.items()}
    chat = {stage: score for stage, score in scores.items() if "categories" in score}
    if len(chat) < len(evaluations) - 1:  # none of the pretrained model
        return ""
    last = list(chat.values())[-1]
    lines = [
        [name, *(_format_accuracy(score["categories"].get(name)) for score in chat.values())]
        for name in last["categories"]
    ]
    lines.append(["**all**", *(_format_accuracy(score) for score in chat.values())])
    problems = ", ".join(f"{kind} {count}" for kind, count in last["problems"].items())
    description = (
        f"The share of answers to {last['n']} open prompts, typed as people type, that are English "
        "sentences: no invented words, no endless phrases, no broken grammar, and not the same "
        "answer to everything; 95 % confidence intervals in parentheses. The rules do not know "
        "whether an answer is true or fits. "
        + (f"What was wrong after finetuning: {problems}." if problems else "Nothing was wrong.")
    )
    return paragraphs(
        description,
        table(["prompts", *(STAGE_TITLES[stage] for stage in chat)], lines),
    )


def render_examples(run: Run, task: Literal["exam", "babble"]) -> str:
    """Examples of correct and wrong answers as Markdown, folded."""
    correct, wrong = EXAMPLES[task]
    return paragraphs(
        f"All answers are in `evaluation/{run.recipe.stages[-1]}.{task}.jsonl`.",
        folded(correct, _render_answers(run, task, correct=True)),
        folded(wrong, _render_answers(run, task, correct=False)),
    )


def _format_accuracy(score: dict[str, Any] | None) -> str:
    if score is None:
        return ""
    low, high = score["ci95"]
    return f"{score['score']:.0%} ({low:.0%} to {high:.0%})"


def _render_answers(run: Run, task: Literal["exam", "babble"], correct: bool) -> str:
    """The first correct or wrong answers of the last stage in every category."""
    shown: dict[str, list[str]] = {}
    for record in run.answers(run.recipe.stages[-1], task):
        parts = shown.setdefault(record["category"], [])
        if record["correct"] == correct and len(parts) < ANSWERS_PER_CATEGORY:
            lines = [f"{m['role']}: {m['content']}" for m in record["prompt"]]
            lines += [f"correct: {record['reference']}"] if record["reference"] else []
            lines.append(f"model: {record['answer'] or '(empty)'}")
            lines += [f"problem: {record['problem']}"] if record.get("problem") else []
            parts.append(quote(describe_tool_calls("\n".join(lines))))
    return paragraphs(*(part for parts in shown.values() for part in parts)) or "None."


def render_samples(run: Run) -> str:
    """Every prompt with the model's answers during training, as Markdown."""
    shown = shown_samples(run)
    parts = []
    for index, first in enumerate(shown[0]["samples"] if shown else ()):
        answers = [
            f"{format_progress(run, sample)}\n{_indent(sample['samples'][index]['answer'])}"
            for sample in shown
        ]
        parts += [f"### {first['prompt']}", quote("\n\n".join(answers))]
    return paragraphs(*parts)


def _indent(text: str) -> str:
    shown = describe_tool_calls(text) or "(empty)"
    return "\n".join(f"    {line}" for line in shown.splitlines())
