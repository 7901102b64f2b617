"""Plot a miniseries: loss over compute."""

from pathlib import Path
from typing import Any

import numpy as np

from firstwords.bench.law_fit import Point, law_formula
from firstwords.common import files
from firstwords.model.size import flops_per_token, matmul_parameters
from firstwords.planning.model_sizes import MODEL_SIZES, SEQ_LEN, model_config
from firstwords.planning.scaling_law import ScalingLaw


def plot_series(result: dict[str, Any], path: Path) -> None:
    """Write a PNG with the runs of each size, the law's line for it, and the lowest loss that the
    law expects of any size that the planner knows."""
    from matplotlib.figure import Figure

    points, law = [Point(**point) for point in result["points"]], ScalingLaw(**result["law"])
    vocab_size = result["vocab_size"]
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot(xscale="log")
    fewest_tokens = min(point.tokens for point in points)
    decayed = [point for point in points if point.decayed]
    sizes = sorted({(p.n_layer, p.n_embd, p.parameters) for p in decayed}, key=lambda s: s[2])
    for number, (n_layer, n_embd, parameters) in enumerate(sizes):
        of_size = [point for point in decayed if point.parameters == parameters]
        flops = _flops_per_token(n_layer, n_embd, vocab_size)
        tokens = np.geomspace(fewest_tokens / 2, 2 * law.max_tokens, 60)
        axes.plot(
            flops * tokens,
            [law.bits_per_byte(parameters, t) for t in tokens],
            color=f"C{number}",
            linewidth=1,
            linestyle="--",
        )
        axes.plot(
            [flops * point.tokens for point in of_size],
            [point.bits_per_byte for point in of_size],
            "o",
            color=f"C{number}",
            label=f"{n_layer} x {n_embd}, {parameters / 1e6:.2f}M matmul parameters",
        )
    compute = np.geomspace(*axes.get_xlim(), 200)
    lowest = [_lowest_bits(law, flops, vocab_size) for flops in compute]
    axes.plot(compute, lowest, "k", alpha=0.15, linewidth=6, label="the best of all sizes")
    axes.set_xlabel("training FLOPs")
    axes.set_ylabel("bits per byte of held-out text")
    axes.set_title(f"{result['source']}: {law_formula(law)} (error {law.error:.1%})")
    axes.grid(alpha=0.3)
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.atomic_writer(path) as file:
        figure.savefig(file, format="png", dpi=120)


def _flops_per_token(n_layer: int, n_embd: int, vocab_size: int) -> int:
    any_heads = 1  # they share the channels, so that their number changes nothing
    return flops_per_token(model_config((n_layer, n_embd, any_heads), vocab_size), SEQ_LEN)


def _lowest_bits(law: ScalingLaw, flops: float, vocab_size: int) -> float:
    """Return the bits per byte that the law expects of the best size for so many FLOPs."""
    models = [model_config(shape, vocab_size) for shape in MODEL_SIZES]
    return min(
        law.bits_per_byte(matmul_parameters(model), flops / flops_per_token(model, SEQ_LEN))
        for model in models
    )
