"""What was trained, on which machine, by which recipe, and what it is made of."""

from firstwords import console, forecast
from firstwords.model import flops_per_token, n_parameters
from firstwords.plan import DOLLARS_PER_GPU_HOUR, NODE_FLOPS, NODE_GPUS
from firstwords.recipe import STAGES
from firstwords.report.markdown import paragraphs, table
from firstwords.report.results import TITLES, Evaluations
from firstwords.run import Run


def summary(run: Run, evaluations: Evaluations) -> str:
    total = sum(t["seconds"] for t in run.timings().values())
    bits = evaluations["sft"]["tasks"]["bits_per_byte"]
    sources = run.manifest.sources
    return (
        f"A model of {n_parameters(run.recipe.model) / 1e6:.2f}M parameters, trained "
        f"in {console.duration(total)} (budget {console.duration(run.manifest.time)}) on text from "
        f"`{sources.data}` and conversations from `{sources.chat_data}`. After finetuning it needs "
        f"{bits['score']:.3f} bits for a byte of text it has not seen; guessing needs 8."
    )


def machine(run: Run) -> str:
    m, recipe = run.manifest.machine, run.recipe
    rates = run.manifest.predicted.get("settings", {}).get("matmul_gflops", {})
    measured = ", ".join(f"{dtype} {rate:,.0f} GFLOP/s" for dtype, rate in rates.items())
    system = f"{m.get('system', '')}, Python {m.get('python', '')}, PyTorch {m.get('torch', '')}"
    used = "compiled" if recipe.compile else "eager"
    rows = [
        ["processor", f"{m.get('cpu', '')}, {m.get('cores', '')} cores"],
        ["GPUs", ", ".join(m.get("gpus", [])) or "none"],
        ["memory", console.size(m.get("memory_bytes", 0))],
        ["system", system],
        ["matrix products", measured or "not measured"],
        [
            "used",
            f"{recipe.device}, {recipe.n_threads} threads, {recipe.dtype}, {used}, "
            f"{recipe.attention} attention",
        ],
    ]
    return table(["", ""], rows)


def recipe(run: Run) -> str:
    recipe, model = run.recipe, run.recipe.model
    shape = [
        ["layers, channels, heads", f"{model.n_layer}, {model.n_embd}, {model.n_head}"],
        [
            "MLP width, vocabulary, context",
            f"{model.n_hidden}, {model.vocab_size:,}, {model.max_seq_len}",
        ],
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
    return paragraphs(
        table(["", ""], shape),
        table(["stage", "steps", "tokens a step", "tokens", "learning rate"], stages),
        "The whole recipe stands in `run.json`; `firstwords train --recipe run.json "
        "--run NAME` repeats it.",
    )


def parts(run: Run) -> str:
    """Parameters, and the work of a token, of each part of the model."""
    model, seq_len = run.recipe.model, run.recipe.base.seq_len
    parameters = forecast.parameters(model)
    all_parameters, in_products = parameters.pop("all"), parameters.pop("in products")
    all_flops = flops_per_token(model, seq_len)
    flops = {name: 6 * parameters[name] for name in ("attention", "mlp", "output head")}
    flops["attention scores"] = all_flops - 6 * in_products
    rows = [
        [
            name,
            f"{parameters[name]:,}" if name in parameters else "",
            f"{parameters[name] / all_parameters:.0%}" if name in parameters else "",
            f"{flops[name] / 1e6:.2f}M" if name in flops else "",
            f"{flops[name] / all_flops:.0%}" if name in flops else "",
        ]
        for name in dict.fromkeys((*parameters, *flops))
    ]
    rows.append(["**all**", f"{all_parameters:,}", "", f"{all_flops / 1e6:.2f}M", ""])
    header = ["part", "parameters", "share", "FLOPs a training token", "share"]
    words = (
        "A parameter in a matrix product costs six operations for each token that is learned from: "
        "a multiplication and an addition forwards, and twice that backwards. The embedding is "
        "looked up, which costs nothing. Attention scores have no parameters; they compare every "
        "token with those before it in its row."
    )
    return paragraphs(table(header, rows), words)


def elsewhere(run: Run) -> str:
    """What the same work would be on a node of GPUs; nothing where its time was not kept."""
    tokens = forecast.all_tokens(run.recipe)
    flops = tokens * flops_per_token(run.recipe.model, run.recipe.base.seq_len)
    here = sum(t["seconds"] for name, t in run.timings().items() if name in STAGES)
    if not here:
        return ""
    there = flops / NODE_FLOPS
    dollars = there / 3600 * NODE_GPUS * DOLLARS_PER_GPU_HOUR
    return (
        f"Training took {flops:.2e} operations: {tokens:,} tokens times "
        f"{flops / tokens / 1e6:.1f}M. Here that was {console.duration(here)}, "
        f"{flops / here / 1e9:,.0f} GFLOP/s. A node of {NODE_GPUS} H100 GPUs that does 40 % of its "
        f"peak would need {there:.2g} seconds, which cost {dollars:.2g} dollars at "
        f"{DOLLARS_PER_GPU_HOUR:g} dollars for a GPU-hour; a model this small would not keep it "
        f"busy. The other way round, an hour of that node is "
        f"{NODE_FLOPS / (flops / here) / 24:,.0f} days of this machine."
    )
