"""report.md: what was trained, on what, how it went, and what the model says at each stage.

Every number comes from the run's own files.
"""

from pathlib import Path
from typing import Any

from firstwords import console, files
from firstwords.data.tokens import TokenStore
from firstwords.evaluation.table import header, rows
from firstwords.model import matmul_parameters, n_parameters
from firstwords.recipe import STAGES
from firstwords.run import Run, course, read_metrics

TITLES = {"base": "Base", "mid": "Mid", "sft": "SFT"}


def publish(run: Run) -> str:
    """Write report.md into the run's directory and into the current one; return where it is."""
    path, copy = run.directory / "report.md", Path("report.md")
    text = render(run)
    files.write_text(path, text)
    try:
        files.write_text(copy, text)
    except OSError as error:
        console.warn(f"the report could not be copied here ({error.strerror})")
        return str(path)
    return f"{copy} (and {path})"


def render(run: Run) -> str:
    """Raises FileNotFoundError where a stage has not been evaluated."""
    evaluations = {stage: files.read_json(run.evaluation(stage)) for stage in STAGES}
    sections = [
        f"# Firstwords report: {run.name}",
        _summary(run, evaluations),
        "## Machine",
        _machine(run),
        "## Model and recipe",
        _recipe(run),
        "## Tokenizer",
        _tokenizer(run),
        "## Training",
        _training(run),
        "## Evaluation",
        _evaluation(run, evaluations),
        *_benchmarks(evaluations),
        *_exam(run, evaluations),
        "## Samples",
        _samples(evaluations),
        "## Time and memory",
        _timings(run),
        *_forecast(run, evaluations),
    ]
    return "\n\n".join(sections) + "\n"


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _summary(run: Run, evaluations: dict[Any, Any]) -> str:
    total = sum(t["seconds"] for t in run.timings().values())
    bits = evaluations["sft"]["tasks"]["bits_per_byte"]
    sources = run.manifest.sources
    return (
        f"A model of {n_parameters(run.recipe.model) / 1e6:.2f}M parameters, trained "
        f"in {console.duration(total)} (budget {console.duration(run.manifest.time)}) on text from "
        f"`{sources.data}` and conversations from `{sources.chat_data}`. After finetuning it needs "
        f"{bits['score']:.3f} bits for a byte of text it has not seen; guessing needs 8."
    )


def _machine(run: Run) -> str:
    m, recipe = run.manifest.machine, run.recipe
    rates = run.manifest.predicted.get("settings", {}).get("matmul_gflops", {})
    measured = ", ".join(f"{dtype} {rate:,.0f} GFLOP/s" for dtype, rate in rates.items())
    rows = [
        ["processor", f"{m.get('cpu', '')}, {m.get('cores', '')} cores"],
        ["memory", console.size(m.get("memory_bytes", 0))],
        [
            "system",
            f"{m.get('system', '')}, Python {m.get('python', '')}, PyTorch {m.get('torch', '')}",
        ],
        ["matrix products", measured or "not measured"],
        [
            "used",
            f"{recipe.n_threads} threads, {recipe.dtype}, "
            f"{'compiled' if recipe.compile else 'eager'}",
        ],
    ]
    return table(["", ""], rows)


def _recipe(run: Run) -> str:
    recipe, model = run.recipe, run.recipe.model
    rows = [
        ["layers, channels, heads", f"{model.n_layer}, {model.n_embd}, {model.n_head}"],
        [
            "MLP width, vocabulary, context",
            f"{model.n_hidden}, {model.vocab_size:,}, {model.max_seq_len}",
        ],
        ["matmul parameters", f"{matmul_parameters(model):,}"],
        ["seed", str(recipe.seed)],
    ]
    stages = [
        [
            TITLES[stage],
            f"{config.steps:,}",
            f"{config.batch_tokens:,}",
            f"{config.tokens:,}",
            f"{config.lr_scale:g}",
        ]
        for stage in STAGES
        for config in [recipe.stage(stage)]
    ]
    return "\n\n".join(
        [
            table(["", ""], rows),
            table(["stage", "steps", "tokens a step", "tokens", "learning rate"], stages),
            "The whole recipe stands in `run.json`; `firstwords train --recipe run.json "
            "--run NAME` repeats it.",
        ]
    )


def _tokenizer(run: Run) -> str:
    stats = files.read_json(run.tokenizer_stats_path)
    rows = [[kind, f"{rate:.2f}"] for kind, rate in stats["bytes_per_token"].items()]
    return (
        f"{stats['vocab_size']:,} tokens, learned from "
        f"{console.size(stats['trained_on_bytes'])}.\n\n" + table(["text", "bytes per token"], rows)
    )


def _training(run: Run) -> str:
    rows = []
    for stage in STAGES:
        went = course(read_metrics(run.metrics(stage)))
        rows.append(
            [
                TITLES[stage],
                f"{went.first_loss:.3f}",
                f"{went.last_loss:.3f}",
                f"{run.recipe.stage(stage).tokens / went.seconds:,.0f}",
                console.duration(went.seconds),
            ]
        )
    header = ["stage", "first loss", "last loss", "tokens/s", "time in steps"]
    return table(header, rows) + (
        "\n\nLosses are in nats per target token; the last is the mean of 20 steps. The stages "
        "have different targets, so their losses cannot be compared with each other.\n\n"
        + _cut(run)
    )


def _cut(run: Run) -> str:
    conversations = TokenStore(run.tokens("chat", "train"))
    rows = run.recipe.sft.seq_len
    longer = int((conversations.lengths > rows + 1).sum())
    return (
        f"{longer:,} of {conversations.counts.documents:,} conversations are longer than a row of "
        f"{rows} tokens; they were cut into pieces, and no target was lost."
    )


def _evaluation(run: Run, evaluations: dict[Any, Any]) -> str:
    rows = []
    for stage in STAGES:
        bits = evaluations[stage]["tasks"]["bits_per_byte"]
        low, high = bits["ci95"]
        rows.append(
            [
                TITLES[stage],
                f"{bits['score']:.3f} ({low:.3f} to {high:.3f})",
                f"{evaluations[stage]['chat_loss']:.3f}",
            ]
        )
    bits = evaluations["base"]["tasks"]["bits_per_byte"]
    return table(["stage", "bits per byte (95 % interval)", "loss on answers"], rows) + (
        f"\n\nMeasured on {bits['n']:,} held-out documents ({console.size(bits['text_bytes'])}) "
        "and on held-out conversations. Chance is 8 bits per byte; the loss on answers is in nats "
        "per token that the assistant wrote." + _by_source(evaluations)
    )


def _by_source(evaluations: dict[Any, Any]) -> str:
    """Bits per byte of each file or kind of held-out text, where there are several."""
    scores = {s: e["tasks"]["bits_per_byte"]["categories"] for s, e in evaluations.items()}
    if len(scores["base"]) < 2:
        return ""
    lines = [
        [name, f"{of['n']:,}", *(f"{scores[stage][name]['score']:.3f}" for stage in STAGES)]
        for name, of in scores["base"].items()
    ]
    return "\n\n" + table(["from", "documents", *(TITLES[s] for s in STAGES)], lines)


def _benchmarks(evaluations: dict[Any, Any]) -> list[str]:
    """The published benchmarks; nothing if their data was not there."""
    results = {
        stage: {n: t for n, t in e["tasks"].items() if n not in ("bits_per_byte", "exam")}
        for stage, e in evaluations.items()
    }
    if not any(results.values()):
        return []
    words = (
        "Published benchmarks, on a part of their items; in parentheses the 95 % interval. A score "
        "whose interval holds the chance line is called *at chance*. CORE and ChatCORE are means "
        "of scores drawn out so that guessing is 0 and everything right 1; with some of their "
        "tasks alone they cannot be compared with published ones."
    )
    return ["## Benchmarks", words, table(header(list(results)), rows(results))]


def _exam(run: Run, evaluations: dict[Any, Any]) -> list[str]:
    """The exam's table, and wrong answers to read; nothing if it was not taken."""
    taken = {s: e["tasks"]["exam"] for s, e in evaluations.items() if "exam" in e["tasks"]}
    if not taken:
        return []
    last = taken["sft"]
    rows = []
    for name, category in last["categories"].items():
        scores = [_exam_score(taken[s]["categories"].get(name)) for s in STAGES]
        rows.append([category["title"], *scores, f"{category['chance']:.0%}", category["note"]])
    overall = [_exam_score(taken[s]) for s in STAGES]
    rows.append(["**all**", *overall, f"{last['chance']:.0%}", ""])
    header = ["questions", *(TITLES[s] for s in STAGES), "always the same", "right is"]
    n = next(iter(last["categories"].values()))["n"]
    words = (
        f"{n} questions in each part that training never shows, answered with the likeliest "
        "tokens; in parentheses the 95 % interval (Wilson). *Always the same* is what the best "
        "constant answer would get. The base model, which knows no conversations, is asked in "
        "plain text after a few examples, where that makes sense. After finetuning "
        f"{last['empty']} answers were empty, and {last['broken_call']} calls of the calculator "
        "broken. All answers stand in `evaluation/`."
    )
    return ["## Exam", words, table(header, rows), _wrong_answers(run)]


def _exam_score(score: dict[str, Any] | None) -> str:
    if score is None:
        return ""
    low, high = score["ci95"]
    return f"{score['score']:.0%} ({low:.0%} to {high:.0%})"


WRONG_OF_EACH = 3


def _wrong_answers(run: Run) -> str:
    """The first wrong answers of every category after finetuning, folded away."""
    shown: dict[str, list[str]] = {}
    for wrong in files.read_json_lines(run.records("sft", "exam")):
        parts = shown.setdefault(wrong["category"], [])
        if not wrong["right"] and len(parts) < WRONG_OF_EACH:
            talk = [f"{m['role']}: {m['content']}" for m in wrong["prompt"]]
            talk += [f"right: {wrong['reference']}", f"said: {wrong['answer'] or '(nothing)'}"]
            parts.append(quote("\n".join(talk)))
    text = "\n\n".join(part for parts in shown.values() for part in parts) or "None."
    return f"<details>\n<summary>Some wrong answers</summary>\n\n{text}\n\n</details>"


def _samples(evaluations: dict[Any, Any]) -> str:
    parts = []
    for index, sample in enumerate(evaluations["base"]["samples"]):
        kind = "continues" if sample["kind"] == "beginning" else "answers"
        parts.append(f"### {sample['prompt']}")
        for stage in STAGES:
            said = evaluations[stage]["samples"][index]["answer"] or "(nothing)"
            parts.append(f"**{TITLES[stage]}** {kind}:\n\n{quote(said)}")
    return "\n\n".join(parts)


def quote(text: str) -> str:
    """A fenced block: what a model wrote is never read as Markdown or HTML."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"


def _timings(run: Run) -> str:
    timings, planned = run.timings(), run.manifest.predicted.get("phase_seconds", {})
    rows = [
        [phase, console.duration(t["seconds"]), console.size(t["peak_memory"])]
        for phase, t in timings.items()
    ]
    seconds, peak = _taken(run)
    rows.append(["**all**", console.duration(seconds), console.size(peak)])
    header = ["phase", "wall time", "peak memory so far"]
    if planned:
        header.append("planned")
        times = [planned[phase] for phase in timings]
        for row, time in zip(rows, [*times, sum(times)], strict=True):
            row.append(console.duration(time))
    return table(header, rows)


def _taken(run: Run) -> tuple[float, float]:
    """Seconds of all phases, and bytes of memory at most."""
    timings = run.timings().values()
    return (
        sum(t["seconds"] for t in timings),
        max((t["peak_memory"] for t in timings), default=0.0),
    )


def _forecast(run: Run, evaluations: dict[Any, Any]) -> list[str]:
    """What the plan said beforehand, beside what came; nothing if the recipe was given."""
    predicted = run.manifest.predicted
    if not predicted:
        return []
    seconds, memory = _taken(run)
    disk = sum(path.stat().st_size for path in run.directory.rglob("*") if path.is_file())
    measuring = predicted["measuring_seconds"]
    bits, low_high = predicted["bits_per_byte"], predicted["bits_per_byte"]["range"]
    came = evaluations[bits["stage"]]["tasks"]["bits_per_byte"]["score"]
    rows = [
        [
            "time, with measuring",
            console.duration(predicted["total_seconds"]),
            console.duration(measuring + seconds),
        ],
        [
            "bits per byte after pretraining",
            f"{bits['expected']:.3f} ({low_high[0]:.3f} to {low_high[1]:.3f})",
            f"{came:.3f}",
        ],
        ["memory at most", console.size(predicted["memory_bytes"]), console.size(memory)],
        ["disk", console.size(predicted["disk_bytes"]), console.size(disk)],
    ]
    return ["## The plan, and what came", table(["", "planned", "came"], rows)]
