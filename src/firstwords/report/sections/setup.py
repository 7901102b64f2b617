"""Sections on the setup: machine, recipe, parameters, comparison with a GPU node."""

from firstwords.common.markdown import paragraphs, table
from firstwords.common.units import format_duration, format_size
from firstwords.model.size import flops_per_token
from firstwords.planning import estimates, gpus
from firstwords.recipe import STAGES
from firstwords.report.sections.evaluation import STAGE_TITLES
from firstwords.runs.run import Run


def render_machine(run: Run) -> str:
    """The machine, and how the recipe uses it."""
    m, recipe = run.manifest.machine, run.recipe
    rates = run.manifest.predicted.get("settings", {}).get("matmul_gflops", {})
    measured = ", ".join(f"{dtype} {rate:,.0f} GFLOP/s" for dtype, rate in rates.items())
    system = f"{m.get('system', '')}, Python {m.get('python', '')}, PyTorch {m.get('torch', '')}"
    rows = [
        ["processor", f"{m.get('cpu', '')}, {m.get('cores', '')} cores"],
        ["GPUs", ", ".join(m.get("gpus", [])) or "none"],
        ["memory", format_size(m.get("memory_bytes", 0))],
        ["system", system],
        ["matmul speed", measured or "not measured"],
        [
            "training uses",
            f"{recipe.device}, {recipe.n_threads} threads, {recipe.dtype}, {recipe.step_kind} "
            "training step",
        ],
    ]
    return table(["item", "value"], rows)


def render_recipe(run: Run) -> str:
    """The model's shape, and the length of each stage."""
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
            STAGE_TITLES[stage],
            f"{config.steps:,}",
            f"{config.batch_tokens:,}",
            f"{config.tokens:,}",
            f"{config.lr_scale:g}",
        ]
        for stage in recipe.stages
        for config in [recipe.stage(stage)]
    ]
    return paragraphs(
        table(["item", "value"], shape),
        table(["stage", "steps", "tokens per step", "tokens", "learning rate scale"], stages),
        "The complete recipe is in `run.json`. To train with it again, run `firstwords train "
        "--recipe run.json --run NAME`.",
    )


def render_parameters(run: Run) -> str:
    """Parameters and training FLOPs per token of each part of the model."""
    model, seq_len = run.recipe.model, run.recipe.pretrain.seq_len
    parameters = estimates.parameters(model)
    all_parameters, n_matmul = parameters.pop("all"), parameters.pop("matmul")
    all_flops = flops_per_token(model, seq_len)
    flops = {name: 6 * parameters[name] for name in ("attention", "mlp", "output head")}
    flops["attention scores"] = all_flops - 6 * n_matmul
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
    header = ["part", "parameters", "share", "FLOPs per training token", "share"]
    explanation = (
        "Each matmul parameter takes six FLOPs per training token: a multiplication and an "
        "addition in the forward pass, and twice that in the backward pass. The embedding is "
        "looked up, which takes none. Attention scores have no parameters; they compare every "
        "token with those before it in its row."
    )
    return paragraphs(table(header, rows), explanation)


def render_gpu_comparison(run: Run) -> str:
    """The same training on a node of GPUs; empty if the run did not record its time."""
    tokens = estimates.all_tokens(run.recipe)
    flops = tokens * flops_per_token(run.recipe.model, run.recipe.pretrain.seq_len)
    seconds = sum(t["seconds"] for name, t in run.timings().items() if name in STAGES)
    if not seconds:
        return ""
    node_seconds = flops / gpus.REFERENCE_NODE_FLOPS_PER_SECOND
    price = gpus.REFERENCE_DOLLARS_PER_GPU_HOUR
    dollars = node_seconds / 3600 * gpus.GPUS_PER_NODE * price
    days_per_node_hour = gpus.REFERENCE_NODE_FLOPS_PER_SECOND / (flops / seconds) / 24
    return (
        f"Training took {flops:.2e} FLOPs: {tokens:,} tokens at {flops / tokens / 1e6:.1f}M each. "
        f"This machine needed {format_duration(seconds)}, at {flops / seconds / 1e9:,.0f} GFLOP/s. "
        f"A node of {gpus.GPUS_PER_NODE} H100 GPUs at {gpus.GPU_UTILIZATION:.0%} of their peak "
        f"speed would need {node_seconds:.2g} seconds, or {dollars:.2g} dollars at {price:g} "
        "dollars per GPU hour, although a model this small cannot keep it busy. An hour of that "
        f"node equals {days_per_node_hour:,.0f} days of this machine."
    )
