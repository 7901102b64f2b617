"""How the pages show figures of docs/results.json: one of them in a sentence, or tables."""

from collections.abc import Callable
from typing import Any

from firstwords import console, forecast, plan
from firstwords.inference.batch import CACHE_BYTES
from firstwords.model import flops_per_token, matmul_parameters
from firstwords.recipe import SEQ_LEN, STAGES, ModelConfig, model_config
from firstwords.report.markdown import quote, table
from firstwords.report.results import TITLES

Results = dict[str, Any]
SHOWN = ("Once upon a time", "What is the capital of France?")  # of the samples


def _plain(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def about(seconds: float) -> str:
    """A time in the unit in which one thinks of it."""
    units = (("years", 31_557_600), ("days", 86_400), ("hours", 3600), ("minutes", 60))
    for name, length in units:
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {name}"
    return f"{seconds:,.0f} seconds" if seconds >= 1 else "less than a second"


FORMS: dict[str, Callable[[Any], str]] = {
    "": _plain,
    "about": about,
    "bits": lambda value: f"{value:.2f}",
    "duration": console.duration,
    "loss": lambda value: f"{value:.2f}",
    "millions": lambda value: f"{value / 1e6:,.1f} million",
    "petaflops": lambda value: f"{value / 1e15:.1f} petaFLOP/s",
    "percent": lambda value: f"{value:.0%}".replace("%", " %"),
    "rate": lambda value: f"{value:,.0f}",
    "size": console.size,
}


def budgets(results: Results) -> str:
    """What the plan says for several times."""
    rows = [
        [
            f"`--time {row['time']}`",
            f"{row['n_layer']} x {row['n_embd']}",
            f"{row['parameters'] / 1e6:.1f} M",
            f"{row['tokens'] / 1e6:,.1f} M",
            f"{row['bits_per_byte']:.2f}",
            console.size(row["memory_bytes"]),
            console.size(row["disk_bytes"]),
        ]
        for row in results["plans"]
    ]
    header = ["", "layers x channels", "weights", "tokens", "bits per byte", "memory", "disk"]
    return table(header, rows)


def stages(results: Results) -> str:
    """The three stages of the run side by side."""
    rows = [
        [
            TITLES[stage],
            f"{row['steps']:,}",
            f"{row['tokens'] / 1e6:.1f} million",
            console.duration(results["came"]["phases"][stage]),
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
    """Where a run's memory goes."""
    rows = [
        ["Python and PyTorch", console.size(forecast.PROGRAM), "always"],
        [
            "weights, gradients, what the optimizer remembers",
            f"{forecast.OF_PARAMETER} bytes for a parameter",
            "in training",
        ],
        [
            "what the backward pass needs",
            f"{forecast.OF_CHANNEL} bytes for a channel of a token in a layer",
            "in training",
        ],
        [
            "probabilities of the next token",
            f"{forecast.OF_LOGIT} bytes for a token and a word of the vocabulary",
            "in training",
        ],
        ["the compiler", console.size(forecast.COMPILER), "if steps are compiled"],
        ["keys and values of answers", f"up to {console.size(1.5 * CACHE_BYTES)}", "in evaluation"],
    ]
    return table(["what", "how much", "when"], rows)


def compression(results: Results) -> str:
    names = {"train": "text it learned from", "held_out": "held-out text", "chat": "conversations"}
    rates = results["tokenizer"]["bytes_per_token"]
    return table(["", "bytes per token"], [[names[n], f"{r:.2f}"] for n, r in rates.items()])


def exam(results: Results) -> str:
    """The exam's parts after finetuning, the best first."""
    parts = sorted(results["exam"]["parts"].values(), key=lambda part: -part["score"])
    percent = FORMS["percent"]
    rows = [[part["title"], percent(part["score"]), percent(part["chance"])] for part in parts]
    return table(["questions", "right", "always the same answer"], rows)


def samples(results: Results) -> str:
    """What each stage says to the same words."""
    lines = []
    for answers in zip(*(results["samples"][stage] for stage in STAGES), strict=True):
        if answers[0]["prompt"] in SHOWN:
            said = (" ".join(answer["answer"].split())[:160] for answer in answers)
            lines += ["", f"> {answers[0]['prompt']}"]
            lines += [f"{s:<4} {a}" for s, a in zip(STAGES, said, strict=True)]
    return quote("\n".join(lines[1:]))


# --- other machines -------------------------------------------------------------------------------

GPU_FLOPS = plan.NODE_FLOPS / plan.NODE_GPUS


def comparison(results: Results) -> str:
    """What the planner would raise in other times, and on eight GPUs."""
    rows = []
    for row in results["comparison"]:
        bits = row["bits_per_byte"]
        rows.append(
            [
                f"{row['machine']}, {about(row['seconds'])}",
                f"{row['n_layer']} x {row['n_embd']}",
                _number(row["matmul_parameters"]),
                _number(row["tokens"]),
                _text(row["tokens"]),
                "beyond the law" if bits is None else f"{bits:.2f}",
            ]
        )
    header = ["machine and time", "layers x channels", "parameters in products", "tokens"]
    return table([*header, "as text", "bits per byte"], rows)


def same_work(results: Results) -> str:
    """How long each machine takes for three pieces of work."""
    here = results["planned"]["tokens_per_second"] * results["planned"]["flops_per_token"]
    machines = {
        results["machine"]["cpu"] + f", {results['machine']['cores']} cores": (here, 0),
        "1 H100 GPU": (GPU_FLOPS, 1),
        "8 H100 GPUs, one node": (8 * GPU_FLOPS, 8),
        "64 H100 GPUs, eight nodes": (64 * GPU_FLOPS, 64),
    }
    price = f"machine (an hour of a GPU: ${plan.DOLLARS_PER_GPU_HOUR:.2f})"
    header = [price, *(f"{work.name}: {_number(work.flops)} FLOP" for work in works(results))]
    rows = []
    for name, (rate, gpus) in machines.items():
        times = [work.flops / rate for work in works(results)]
        rows.append([name, *(about(t) + _price(gpus * t / 3600) for t in times)])
    return table(header, rows)


class Work:
    """So many tokens through a model."""

    def __init__(self, name: str, model: ModelConfig, tokens: float) -> None:
        self.name, self.model, self.tokens = name, model, tokens
        self.flops = flops_per_token(model, SEQ_LEN) * tokens


def works(results: Results) -> list[Work]:
    """The run of these pages; the planner's model for eight GPUs and half an hour; and its largest
    with the tokens that are worth reading."""
    node = results["comparison"][-1]
    vocab = results["model"]["vocab_size"]
    run = ModelConfig.model_validate(results["model"])
    shapes = {(layers, channels): heads for layers, channels, heads in plan.LADDER}
    shape = node["n_layer"], node["n_embd"]
    largest = model_config(plan.LADDER[-1], vocab)
    most = plan.MOST_TOKENS_PER_PARAMETER * matmul_parameters(largest)
    return [
        Work("this run", run, sum(s["tokens"] for s in results["stages"].values())),
        Work("8 GPUs' half hour", model_config((*shape, shapes[shape]), vocab), node["tokens"]),
        Work("the ladder's top", largest, most),
    ]


def _number(value: float) -> str:
    for size, word in ((1e18, "quintillion"), (1e15, "quadrillion"), (1e12, "trillion")):
        if value >= size:
            return f"{value / size:,.0f} {word}"
    return f"{value / 1e9:,.1f} billion" if value >= 1e9 else f"{value / 1e6:,.1f} million"


def _text(tokens: float) -> str:
    return console.size(tokens * forecast.BYTES_PER_TOKEN[2048])


def _price(gpu_hours: float) -> str:
    dollars = plan.DOLLARS_PER_GPU_HOUR * gpu_hours
    return f", ${dollars:,.0f}" if dollars >= 0.5 else ""


TABLES: dict[str, Callable[[Results], str]] = {
    "budgets": budgets,
    "comparison": comparison,
    "compression": compression,
    "exam": exam,
    "memory": memory,
    "same-work": same_work,
    "samples": samples,
    "stages": stages,
}
