"""Compare a plan with other time budgets on the same machine, and with a node of GPUs."""

from typing import Any

from firstwords.model.size import flops_per_token, matmul_parameters
from firstwords.planning import estimates, scaling_law
from firstwords.planning.autotune import MachineSettings
from firstwords.planning.choose_model import choose_model, steps_within
from firstwords.planning.draft import draft_recipe, vocab_size_for
from firstwords.planning.estimates import DatasetSize
from firstwords.planning.gpus import REFERENCE_NODE
from firstwords.planning.model_sizes import MODEL_SIZES, SEQ_LEN, model_config
from firstwords.recipe import ModelConfig

COMPARISON_SECONDS = (600.0, 1800.0, 3600.0, 10800.0)
NODE_SECONDS = 1800.0


def compare_budgets(
    settings: MachineSettings, flops_per_second: float, data: DatasetSize, memory: float
) -> list[dict[str, Any]]:
    """Return a row for each budget: the model that a plan would choose, its tokens, and the bits
    per byte to expect with the learning rate decayed (None outside the law's fitted range)."""
    rows, starter = [], data.kind == "starter"
    for seconds in COMPARISON_SECONDS:
        draft = draft_recipe(seconds, 0, settings, starter)
        set_steps = steps_within(seconds, flops_per_second, data)
        recipe = choose_model(draft, data, memory, set_steps)
        tokens = estimates.all_tokens(recipe)
        rows.append(_row("this machine", seconds, recipe.model, tokens, data.kind))
    return [*rows, _node_row(data.kind, vocab_size_for(COMPARISON_SECONDS[-1], starter))]


def _node_row(kind: scaling_law.Kind, vocab_size: int) -> dict[str, Any]:
    """The best model for the reference node, with unlimited data and memory."""
    law = scaling_law.load_law(kind)
    flops = NODE_SECONDS * REFERENCE_NODE.flops_per_second
    candidates = [
        (model, flops / flops_per_token(model, SEQ_LEN))
        for shape in MODEL_SIZES
        for model in [model_config(shape, vocab_size)]
    ]
    model, tokens = min(
        candidates, key=lambda pair: law.bits_per_byte(matmul_parameters(pair[0]), pair[1])
    )
    name = f"{REFERENCE_NODE.number} {REFERENCE_NODE.name} GPUs"
    return _row(name, NODE_SECONDS, model, tokens, kind)


def _row(
    machine: str, seconds: float, model: ModelConfig, tokens: float, kind: scaling_law.Kind
) -> dict[str, Any]:
    n, law = matmul_parameters(model), scaling_law.load_law(kind)
    return {
        "machine": machine,
        "seconds": seconds,
        "n_layer": model.n_layer,
        "n_embd": model.n_embd,
        "matmul_parameters": n,
        "tokens": round(tokens),
        "bits_per_byte": law.bits_per_byte(n, tokens) if law.covers(n, tokens) else None,
    }
