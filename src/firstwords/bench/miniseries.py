"""A miniseries: models of several sizes, each with several amounts of text, and a law for them.

    L(N, D) = E + (A / N^alpha + B / D^beta)^kappa

`scaling.py` says where the form comes from. What was measured and what was fitted stand
together in one JSON file, from which the planner chooses a model for a budget, and in a plot.
"""

import itertools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from firstwords import console, files, machine, measure
from firstwords.bench.pretraining import alone, bits_per_byte, opened, pretrain, tokenizer_of
from firstwords.data.corpora import open_corpus
from firstwords.forecast import data_of
from firstwords.model import flops_per_token, matmul_parameters
from firstwords.plan import LADDER, SHARES, draft_recipe, with_tokens
from firstwords.recipe import SEQ_LEN, model_config
from firstwords.run import Run
from firstwords.scaling import Law
from firstwords.signals import Stop

# Long runs of the small models say how much text is worth, short ones of the large ones how much
# size is. The two longest are as long as the pretraining of half an hour: a law that was fitted
# without them promised 8 and 25 % less than they came to (docs/lab-notebook.md).
SERIES = {
    (2, 128, 2): (0.25e6, 0.5e6, 1e6, 2e6, 8e6),
    (3, 128, 2): (0.25e6, 0.5e6, 1e6, 2e6, 4e6),
    (4, 192, 2): (0.25e6, 0.5e6, 1e6, 2e6, 6e6, 16e6),
    (5, 256, 2): (0.25e6, 1e6),
}
PLANNED = (  # also with the little decay of the pipeline
    ((3, 128, 2), 1e6),
    ((3, 128, 2), 4e6),
    ((4, 192, 2), 2e6),
    ((4, 192, 2), 6e6),
)
BUDGET = 1800.0  # seconds: the plan whose vocabulary, batches and tokenizer the series has
ALPHAS, BETAS = np.arange(0.2, 2.01, 0.05), np.arange(0.2, 1.41, 0.05)
KAPPAS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 1.75, 2.0)
LEAST_FITTING = 0.1  # error of a law that says anything
IRREDUCIBLE = np.arange(0.0, 0.91, 0.1)  # of the lowest loss of the series


class Point(NamedTuple):
    """A run: what it was made of and what came of it."""

    n_layer: int
    n_embd: int
    parameters: int  # in matrix products
    tokens: int
    decayed: bool
    bits_per_byte: float
    seconds: float


def grid(vocab_size: int) -> list[tuple[tuple[int, int, int], float, bool]]:
    """(shape, tokens, whether the learning rate decays to its end), the cheapest first."""
    full = [(shape, tokens, True) for shape, amounts in SERIES.items() for tokens in amounts]
    points = full + [(shape, tokens, False) for shape, tokens in PLANNED]
    return sorted(points, key=lambda point: point[1] * _flops(point[0], vocab_size))


def _flops(shape: tuple[int, int, int], vocab_size: int) -> int:
    return flops_per_token(model_config(shape, vocab_size), SEQ_LEN)


def run_series(source: str, stop: Stop) -> dict[str, Any]:
    """Train what is missing of the series on `source`, and fit the law. Raises UserError."""
    text, chat = open_corpus(source, "--data"), open_corpus("starter", "--chat-data")
    known = measure.settings(BUDGET)
    machine.setup(known.n_threads)
    draft = draft_recipe(BUDGET, 0, known, text.is_starter)
    draft = draft.model_copy(update={"compile": machine.can_compile()})
    data = data_of(text, chat, draft.model.vocab_size)
    home = machine.home() / "miniseries" / (data.kind if text.is_starter else Path(source).name)
    points: list[Point] = []
    first: Run | None = None
    wanted = grid(draft.model.vocab_size)
    with console.progress("miniseries", len(wanted), "runs") as meter:
        for shape, tokens, decayed in wanted:
            model = model_config(shape, draft.model.vocab_size)
            recipe = draft.model_copy(update={"model": model})
            recipe = (
                alone(recipe, tokens)
                if decayed
                else with_tokens(recipe, tokens / SHARES["base"], data)
            )
            name = f"{shape[0]}x{shape[1]}-{recipe.base.tokens}{'' if decayed else '-planned'}"
            run = opened(home / name, recipe, text.name)
            points.append(_point(run, first, decayed, stop))
            first = first or run
            meter.advance(1, name)
    return {
        "kind": data.kind,
        "machine": machine.describe(),
        "source": Path(source).name,
        "vocab_size": draft.model.vocab_size,
        "points": [point._asdict() for point in points],
        "law": fit(points).model_dump(),
    }


def _point(run: Run, like: Run | None, decayed: bool, stop: Stop) -> Point:
    path = run.directory / "result.json"
    if not path.exists():
        tokenizer_of(run, stop, like)
        pretrain(run, stop)
        files.write_json(path, bits_per_byte(run))
    model = run.recipe.model
    return Point(
        model.n_layer,
        model.n_embd,
        matmul_parameters(model),
        run.recipe.base.tokens,
        decayed,
        files.read_json(path)["score"],
        run.timings()["base"]["seconds"],
    )


def fit(points: list[Point]) -> Law:
    """The law with the least squares of relative errors on the points whose learning rate decayed;
    `undecayed` compares the other points with it. Raises ValueError if no law fits."""
    decayed = [point for point in points if point.decayed]
    lowest = min(point.bits_per_byte for point in decayed)
    fits = (_fit(decayed, e * lowest, k) for e, k in itertools.product(IRREDUCIBLE, KAPPAS))
    best = min(fits, key=lambda law: law.error)
    if best.error > LEAST_FITTING:
        raise ValueError("no law of this form fits the runs")
    best = best.model_copy(
        update={
            "runs": len(points),
            "most_parameters": max(point.parameters for point in points),
            "most_tokens": max(point.tokens for point in points),
        }
    )
    return best.model_copy(update=_undecayed(best, points))


def _fit(points: list[Point], irreducible: float, kappa: float) -> Law:
    """The best law with these two. A and B, given all exponents, are a linear problem in the
    kappa-th root of the loss, with weights that make its errors those of the loss, to first order.
    The error is infinite if A or B would be negative for all exponents."""
    n, d, bits = _columns(points)
    root = (bits - irreducible) ** (1 / kappa)
    weight = kappa * (bits - irreducible) / root / bits
    x_AP = n ** -ALPHAS[:, None] * weight
    y_BP = d ** -BETAS[:, None] * weight
    xx_A, yy_B, xy_AB = (x_AP**2).sum(1), (y_BP**2).sum(1), x_AP @ y_BP.T
    x_A, y_B = x_AP @ (root * weight), y_BP @ (root * weight)
    determinant_AB = xx_A[:, None] * yy_B - xy_AB**2
    a_AB = (x_A[:, None] * yy_B - y_B * xy_AB) / determinant_AB
    b_AB = (y_B * xx_A[:, None] - x_A[:, None] * xy_AB) / determinant_AB
    terms_ABP = (
        a_AB[:, :, None] * n ** -ALPHAS[:, None, None] + b_AB[:, :, None] * d ** -BETAS[:, None]
    )
    possible_AB = (a_AB > 0) & (b_AB > 0)
    fitted_ABP = irreducible + np.maximum(terms_ABP, 0) ** kappa
    error_AB = np.sqrt(np.mean((fitted_ABP / bits - 1) ** 2, axis=2))
    error_AB[~possible_AB] = np.inf
    best = np.unravel_index(error_AB.argmin(), error_AB.shape)
    return Law(
        irreducible=float(irreducible),
        a=float(a_AB[best]),
        alpha=float(ALPHAS[best[0]]),
        b=float(b_AB[best]),
        beta=float(BETAS[best[1]]),
        kappa=kappa,
        error=float(error_AB[best]),
        undecayed=1.0,
        undecayed_growth=0.0,
        undecayed_error=0.0,
        runs=len(points),
        most_parameters=0,
        most_tokens=0,
    )


def _undecayed(law: Law, points: list[Point]) -> dict[str, float]:
    """How much higher the runs ended whose learning rate stayed high than the law expects of those
    whose rate decays: a straight line in logarithms, level if all have as many tokens."""
    high = [point for point in points if not point.decayed]
    ratios = [
        (p.tokens / 1e6, p.bits_per_byte / law.bits_per_byte(p.parameters, p.tokens)) for p in high
    ]
    if not ratios:
        return {}
    tokens, ratio = np.log(np.array(ratios)).T
    level = len(set(tokens)) == 1
    growth, first = (0.0, ratio.mean()) if level else np.polyfit(tokens, ratio, 1)
    errors = np.exp(first + growth * tokens - ratio) - 1
    return {
        "undecayed": float(np.exp(first)),
        "undecayed_growth": float(growth),
        "undecayed_error": float(np.sqrt(np.mean(errors**2))),
    }


def _columns(points: list[Point]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    columns = np.array([(p.parameters, p.tokens, p.bits_per_byte) for p in points], dtype=float)
    return columns[:, 0], columns[:, 1], columns[:, 2]


def write(result: dict[str, Any], directory: Path) -> None:
    name = f"miniseries-{Path(result['source']).name}"
    files.write_json(directory / f"{name}.json", result)
    plot(result, directory / f"{name}.png")


def plot(result: dict[str, Any], path: Path) -> None:
    """Loss over compute: for each size its runs and the law's line, and the least that the law
    expects of any size that the planner knows."""
    from matplotlib.figure import Figure

    points, law = [Point(**point) for point in result["points"]], Law(**result["law"])
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot(xscale="log")
    decayed = {(p.n_layer, p.n_embd, p.parameters) for p in points if p.decayed}
    sizes = sorted(decayed, key=lambda size: size[2])
    for number, (n_layer, n_embd, parameters) in enumerate(sizes):
        of_size = [p for p in points if p.parameters == parameters and p.decayed]
        flops = _flops_of(n_layer, n_embd, result["vocab_size"])
        tokens = np.geomspace(min(p.tokens for p in points) / 2, 2 * law.most_tokens, 60)
        color = f"C{number}"
        axes.plot(
            flops * tokens,
            [law.bits_per_byte(parameters, t) for t in tokens],
            color=color,
            linewidth=1,
            linestyle="--",
        )
        axes.plot(
            [flops * p.tokens for p in of_size],
            [p.bits_per_byte for p in of_size],
            "o",
            color=color,
            label=f"{n_layer} x {n_embd}, {parameters / 1e6:.2f}M in products",
        )
    low, high = axes.get_xlim()
    compute = np.geomspace(low, high, 200)
    least = [_least(law, c, result["vocab_size"]) for c in compute]
    axes.plot(compute, least, "k", alpha=0.15, linewidth=6, label="the best of all sizes")
    axes.set_xlabel("training FLOPs")
    axes.set_ylabel("bits per byte of held-out text")
    axes.set_title(f"{result['source']}: {_formula(law)} (error {law.error:.1%})")
    axes.grid(alpha=0.3)
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(path) as file:
        figure.savefig(file, format="png", dpi=120)


def _least(law: Law, flops: float, vocab_size: int) -> float:
    """Bits per byte that the law expects of the planner's best model for so many FLOPs."""
    models = [model_config(shape, vocab_size) for shape in LADDER]
    return min(
        law.bits_per_byte(matmul_parameters(model), flops / flops_per_token(model, SEQ_LEN))
        for model in models
    )


def _flops_of(n_layer: int, n_embd: int, vocab_size: int) -> int:
    return next(_flops(s, vocab_size) for s in SERIES if s[:2] == (n_layer, n_embd))


def describe(result: dict[str, Any]) -> str:
    law = Law(**result["law"])
    lines = [
        f"{'layers':>6} {'channels':>8} {'in products':>12} {'tokens':>10} {'bits/byte':>10} "
        f"{'law':>7}"
    ]
    for point in (Point(**p) for p in result["points"]):
        expected = law.bits_per_byte(point.parameters, point.tokens)
        if not point.decayed:
            expected *= law.without_decay(point.tokens)
        lines.append(
            f"{point.n_layer:>6} {point.n_embd:>8} {point.parameters:>12,} {point.tokens:>10,} "
            f"{point.bits_per_byte:>10.4f} {expected:>7.4f}"
            + ("" if point.decayed else "  (as the pipeline's pretraining)")
        )
    lines.append(
        f"{_formula(law)}; error {law.error:.1%}; without the decay {law.undecayed:.3f} times as "
        f"much at a million tokens, growing with their power {law.undecayed_growth:.3f}; error "
        f"{law.undecayed_error:.1%}"
    )
    return "\n".join(lines)


def _formula(law: Law) -> str:
    return (
        f"L = {law.irreducible:.3f} + ({law.a:.4g} / N^{law.alpha:.2f} + "
        f"{law.b:.4g} / D^{law.beta:.2f})^{law.kappa:g}"
    )
