"""The facts that a report and a model card begin with: size, time, data, exam, limits."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from firstwords.common.markdown import quote
from firstwords.common.units import format_duration
from firstwords.evaluation.benchmark import at_chance
from firstwords.model.size import n_parameters
from firstwords.recipe import Stage
from firstwords.report.tool_calls import describe_tool_calls
from firstwords.runs.run import Run

ABILITIES: dict[Stage, str] = {
    "pretrain": "continues text; it was not trained on conversations",
    "midtrain": "continues text and conversations",
    "sft": "answers in a conversation",
    "rl": "answers in a conversation",
}
SHOWN_PROMPTS = (  # of the growth samples; fixed, so that no report picks its best answers
    "What is the capital of France?",
    "What is 12 times 34?",
    "Tell me a short story about a dog.",
)
WORDS_PER_TOKEN = 0.5  # of a vocabulary of some thousand tokens, rounded down
WEAK_BELOW = 0.5  # a part of the exam with a lower score counts as weak
N_WEAKEST = 4


class Answer(NamedTuple):
    """A prompt and what the model answered."""

    prompt: str
    text: str


class Headline(NamedTuple):
    """What a report and a model card begin with."""

    model: str  # a sentence
    facts: list[tuple[str, str]]
    score_title: str
    score: str  # of the exam in percent, or bits per byte
    score_means: str  # a sentence
    answers: list[Answer]
    limits: list[str]  # sentences


def make_headline(run: Run, stage: Stage, evaluation: dict[str, Any] | None) -> Headline:
    """Return the headline of a stage; without an `evaluation` there is no score and no answer."""
    tasks = evaluation["tasks"] if evaluation else {}
    return Headline(
        _describe_model(run, stage),
        _facts(run, stage),
        *_score(tasks),
        _answers(evaluation),
        [*_weak_parts(tasks.get("exam")), *_limits(run)],
    )


def _describe_model(run: Run, stage: Stage) -> str:
    model = run.recipe.model
    return (
        f"A language model of {n_parameters(model) / 1e6:.2f}M parameters "
        f"({model.n_layer} layers, {model.n_embd} channels, vocabulary {model.vocab_size:,}, "
        f"context {model.max_seq_len} tokens), trained with Firstwords {run.manifest.firstwords}. "
        f"It {ABILITIES[stage]}."
    )


def _facts(run: Run, stage: Stage) -> list[tuple[str, str]]:
    recipe, sources, machine = run.recipe, run.manifest.sources, run.manifest.machine
    stages = recipe.stages[: recipe.stages.index(stage) + 1]
    tokens = sum(recipe.stage(name).tokens for name in stages)
    processor = machine.get("cpu") or "a CPU"
    if cores := machine.get("cores"):
        processor += f", {cores} cores"
    return [
        ("parameters", f"{n_parameters(recipe.model):,}"),
        ("time", f"{format_duration(run.total_seconds())}, everything included"),
        ("training tokens", f"{tokens:,}"),
        *([("starts from", str(run.manifest.origin))] if run.manifest.origin else []),
        ("text", f"`{sources.text_line}`"),
        ("conversations", f"`{sources.chat_line}`"),
        ("machine", ", ".join(machine.get("gpus", [])) or processor),
        ("trained", run.manifest.created[:10]),
    ]


def _score(tasks: dict[str, Any]) -> tuple[str, str, str]:
    """Return title, score and what it means."""
    if exam := tasks.get("exam"):
        low, high = exam["ci95"]
        return (
            "Exam",
            f"{exam['score']:.0%}",
            f"of the exam's {exam['n']:,} questions answered right (95 % interval {low:.0%} to "
            f"{high:.0%}). The best constant answer gets {exam['chance']:.0%}.",
        )
    if bits := tasks.get("bits_per_byte"):
        low, high = bits["ci95"]
        return (
            "Bits per byte",
            f"{bits['score']:.3f}",
            f"bits per byte of held-out text (95 % interval {low:.3f} to {high:.3f}). Lower is "
            "better; guessing needs 8.",
        )
    return "", "", ""


def _answers(evaluation: dict[str, Any] | None) -> list[Answer]:
    samples = {s["prompt"]: s["answer"] for s in evaluation["samples"]} if evaluation else {}
    return [Answer(prompt, samples[prompt]) for prompt in SHOWN_PROMPTS if prompt in samples]


def _weak_parts(exam: dict[str, Any] | None) -> Iterator[str]:
    """Name the parts of the exam that the model cannot do."""
    parts = sorted(exam["categories"].values(), key=lambda part: part["score"]) if exam else []
    weak = [part for part in parts if part["score"] < WEAK_BELOW][:N_WEAKEST]
    if weak:
        named = ", ".join(f"{part['title']} ({part['score']:.0%})" for part in weak)
        yield f"It is worst at: {named}."
    if guessed := [part["title"] for part in parts if at_chance(part)]:
        yield f"No better than one constant answer: {', '.join(guessed)}."


def _limits(run: Run) -> list[str]:
    words = int(run.recipe.model.max_seq_len * WORDS_PER_TOKEN)
    return [
        "It knows little beyond its training data, and states falsehoods as confidently as facts.",
        f"It reads only the last {words} words or so of a conversation.",
        "It was not trained to refuse harmful requests.",
        "Use it to learn and to experiment; do not rely on its answers.",
    ]


def render_headline(headline: Headline) -> str:
    """Return the headline as Markdown."""
    parts = [headline.model]
    if headline.score:
        parts.append(f"**{headline.score}** {headline.score_means}")
    parts.append("\n".join(f"- {name}: {value}" for name, value in headline.facts))
    for answer in headline.answers:
        shown = describe_tool_calls(answer.text) or "(empty)"
        parts.append(quote(f"user: {answer.prompt}\nmodel: {shown}"))
    limits = "\n".join(f"- {limit}" for limit in headline.limits)
    return "\n\n".join([*parts, f"What it cannot do:\n\n{limits}"])
