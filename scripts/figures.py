"""Formats and tables that show the figures of docs/results.json in the pages."""

from collections.abc import Callable
from typing import Any

from firstwords.common.markdown import quote, table
from firstwords.common.units import format_duration, format_size
from firstwords.inference.batch import MAX_CACHE_BYTES
from firstwords.model.size import flops_per_token, matmul_parameters
from firstwords.planning import choose_model, estimates, gpus, model_sizes
from firstwords.planning.model_sizes import SEQ_LEN, model_config
from firstwords.recipe import REQUIRED_STAGES, ModelConfig

Results = dict[str, Any]
SHOWN_PROMPTS = ("Once upon a time", "What is the capital of France?")


def _plain(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def round_duration(seconds: float) -> str:
    """Format seconds as a whole number of the largest unit that fits at least twice."""
    units = (("years", 31_557_600), ("days", 86_400), ("hours", 3600), ("minutes", 60))
    for name, length in units:
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {name}"
    return f"{seconds:,.0f} seconds" if seconds >= 1 else "less than a second"


FORMS: dict[str, Callable[[Any], str]] = {
    "": _plain,
    "about": round_duration,
    "bits": lambda value: f"{value:.2f}",
    "duration": format_duration,
    "loss": lambda value: f"{value:.2f}",
    "millions": lambda value: f"{value / 1e6:,.1f} million",
    "petaflops": lambda value: f"{value / 1e15:.1f} petaFLOP/s",
    "percent": lambda value: f"{value:.0%}".replace("%", " %"),
    "rate": lambda value: f"{value:,.0f}",
    "size": format_size,
}


def budgets(results: Results) -> str:
    """Return the plans for several time budgets."""
    rows = [
        [
            f"`--time {row['time']}`",
            f"{row['n_layer']} x {row['n_embd']}",
            f"{row['parameters'] / 1e6:.1f} M",
            f"{row['tokens'] / 1e6:,.1f} M",
            f"{row['bits_per_byte']:.2f}",
            format_size(row["memory_bytes"]),
            format_size(row["disk_bytes"]),
        ]
        for row in results["plans"]
    ]
    header = ["", "layers x channels", "parameters", "tokens", "bits per byte", "memory", "disk"]
    return table(header, rows)


BUDGET_QUESTIONS = (
    "Hello! Who are you?",
    "What is the capital of France?",
    "Tell me a short story about a dog.",
)
MAX_SHOWN_CHARACTERS = 240


def measured_budgets(results: Results) -> str:
    """Return what runs of several time budgets came to."""
    rows = [
        [
            f"`--time {row['time']}`",
            row["dtype"],
            f"{row['n_layer']} x {row['n_embd']}",
            format_duration(row["seconds"]),
            "{:.0%} ({:.0%} to {:.0%})".format(row["exam"]["score"], *row["exam"]["ci95"]),
        ]
        for row in results["budgets"]
    ]
    return table(["", "products in", "layers x channels", "took", "exam (95 % interval)"], rows)


def budget_answers(results: Results) -> str:
    """Return the same questions, answered after several time budgets."""
    lines = []
    for question in BUDGET_QUESTIONS:
        lines += ["", f"> {question}"]
        for row in results["budgets"]:
            answer = " ".join(row["answers"][question].split())
            shown = answer[:MAX_SHOWN_CHARACTERS] + "…" * (len(answer) > MAX_SHOWN_CHARACTERS)
            lines.append(f"{row['time']:<4} {row['dtype']:<9} {shown}")
    return quote("\n".join(lines[1:]))


def stages(results: Results) -> str:
    """Return the figures of the three training stages."""
    rows = [
        [
            stage,
            f"{row['steps']:,}",
            f"{row['tokens'] / 1e6:.1f} million",
            format_duration(results["actual"]["phases"][stage]),
            f"{row['first_loss']:.2f} to {row['last_loss']:.2f}",
            f"{row['bits_per_byte']:.3f}",
            f"{row['answer_loss']:.2f}",
            "" if row["exam"] is None else FORMS["percent"](row["exam"]),
        ]
        for stage, row in results["stages"].items()
    ]
    header = ["stage", "steps", "tokens", "time", "loss", "bits per byte", "loss on answers"]
    return table([*header, "exam"], rows)


def memory(results: Results) -> str:
    """Return what a run needs memory for."""
    rows = [
        ["Python and PyTorch", format_size(estimates.PROCESS_BYTES), "always"],
        [
            "weights, gradients, optimizer state",
            f"{estimates.BYTES_PER_PARAMETER} bytes per parameter",
            "in training",
        ],
        [
            "activations for the backward pass",
            f"{estimates.BYTES_PER_ACTIVATION_CHANNEL} bytes per token, layer and channel",
            "in training",
        ],
        [
            "logits",
            f"{estimates.BYTES_PER_LOGIT} bytes per token and vocabulary entry",
            "in training",
        ],
        ["the compiler", format_size(estimates.COMPILER_BYTES), "if training steps are compiled"],
        [
            "KV cache",
            f"up to {format_size(1.5 * MAX_CACHE_BYTES)}",
            "in evaluation",
        ],
    ]
    return table(["for", "memory", "when"], rows)


def compression(results: Results) -> str:
    """Return how many bytes a token stands for."""
    names = {"train": "training text", "held_out": "held-out text", "chat": "conversations"}
    rates = results["tokenizer"]["bytes_per_token"]
    return table(["text", "bytes per token"], [[names[n], f"{r:.2f}"] for n, r in rates.items()])


def exam(results: Results) -> str:
    """Return the scores of the exam's parts after SFT, best first."""
    parts = sorted(results["exam"]["parts"].values(), key=lambda part: -part["score"])
    percent = FORMS["percent"]
    rows = [[part["title"], percent(part["score"]), percent(part["chance"])] for part in parts]
    return table(["part", "score", "best constant answer"], rows)


def samples(results: Results) -> str:
    """Return what each stage answers to the same prompts."""
    lines = []
    for answers in zip(*(results["samples"][stage] for stage in REQUIRED_STAGES), strict=True):
        if answers[0]["prompt"] in SHOWN_PROMPTS:
            lines += ["", f"> {answers[0]['prompt']}"]
            for stage, answer in zip(REQUIRED_STAGES, answers, strict=True):
                lines.append(f"{stage:<8} {' '.join(answer['answer'].split())[:160]}".rstrip())
    return quote("\n".join(lines[1:]))


# --- other machines -------------------------------------------------------------------------------

GPU_FLOPS = gpus.REFERENCE_NODE_FLOPS_PER_SECOND / gpus.GPUS_PER_NODE


def comparison(results: Results) -> str:
    """Return the models that the planner chooses for other times, and for eight GPUs."""
    rows = []
    for row in results["comparison"]:
        bits = row["bits_per_byte"]
        rows.append(
            [
                f"{row['machine']}, {round_duration(row['seconds'])}",
                f"{row['n_layer']} x {row['n_embd']}",
                _number(row["matmul_parameters"]),
                _number(row["tokens"]),
                _text(row["tokens"]),
                "outside the fitted range" if bits is None else f"{bits:.2f}",
            ]
        )
    header = ["machine and time", "layers x channels", "matmul parameters", "tokens"]
    return table([*header, "as text", "bits per byte"], rows)


def same_work(results: Results) -> str:
    """Return how long each machine takes for three training runs."""
    this_machine = results["planned"]["tokens_per_second"] * results["planned"]["flops_per_token"]
    machines = {
        results["machine"]["cpu"] + f", {results['machine']['cores']} cores": (this_machine, 0),
        "1 H100 GPU": (GPU_FLOPS, 1),
        "8 H100 GPUs, one node": (8 * GPU_FLOPS, 8),
        "64 H100 GPUs, eight nodes": (64 * GPU_FLOPS, 64),
    }
    price = f"machine (${gpus.REFERENCE_DOLLARS_PER_GPU_HOUR:.2f} per GPU hour)"
    header = [
        price,
        *(f"{work.name}: {_number(work.flops)} FLOP" for work in training_runs(results)),
    ]
    rows = []
    for name, (rate, n_gpus) in machines.items():
        times = [work.flops / rate for work in training_runs(results)]
        rows.append([name, *(round_duration(t) + _price(n_gpus * t / 3600) for t in times)])
    return table(header, rows)


class TrainingRun:
    """A model trained on a number of tokens."""

    def __init__(self, name: str, model: ModelConfig, tokens: float) -> None:
        self.name, self.model, self.tokens = name, model, tokens
        self.flops = flops_per_token(model, SEQ_LEN) * tokens


def training_runs(results: Results) -> list[TrainingRun]:
    """Return the documented run, the planner's run for half an hour on eight GPUs, and its largest
    model with the most tokens that it would plan."""
    node = results["comparison"][-1]
    vocab = results["model"]["vocab_size"]
    run = ModelConfig.model_validate(results["model"])
    shapes = {(layers, channels): heads for layers, channels, heads in model_sizes.MODEL_SIZES}
    shape = node["n_layer"], node["n_embd"]
    largest = model_config(model_sizes.MODEL_SIZES[-1], vocab)
    most = choose_model.MAX_TOKENS_PER_PARAMETER * matmul_parameters(largest)
    return [
        TrainingRun("this run", run, sum(s["tokens"] for s in results["stages"].values())),
        TrainingRun(
            "half an hour on 8 GPUs", model_config((*shape, shapes[shape]), vocab), node["tokens"]
        ),
        TrainingRun("the largest model size", largest, most),
    ]


def _number(value: float) -> str:
    for size, word in ((1e18, "quintillion"), (1e15, "quadrillion"), (1e12, "trillion")):
        if value >= size:
            return f"{value / size:,.0f} {word}"
    return f"{value / 1e9:,.1f} billion" if value >= 1e9 else f"{value / 1e6:,.1f} million"


def _text(tokens: float) -> str:
    return format_size(tokens * estimates.BYTES_PER_TOKEN[2048])


def _price(gpu_hours: float) -> str:
    dollars = gpus.REFERENCE_DOLLARS_PER_GPU_HOUR * gpu_hours
    return f", ${dollars:,.0f}" if dollars >= 0.5 else ""


TABLES: dict[str, Callable[[Results], str]] = {
    "budget-answers": budget_answers,
    "budgets": budgets,
    "comparison": comparison,
    "compression": compression,
    "exam": exam,
    "measured-budgets": measured_budgets,
    "memory": memory,
    "same-work": same_work,
    "samples": samples,
    "stages": stages,
}
