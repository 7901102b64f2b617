"""A miniseries: models of several sizes, each with several amounts of text, and a law for them.

    L(N, D) = E + A / N^alpha + B / D^beta

The form is that of Hoffmann et al. (arXiv 2203.15556). What was measured and what was fitted stand
together in one JSON file, from which the planner chooses a model for a budget, and in a plot.
"""

import importlib.util
import itertools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from firstwords import console, files, machine, measure
from firstwords.bench.pretraining import alone, bits_per_byte, opened, pretrain, tokenizer_of
from firstwords.data.corpora import open_corpus
from firstwords.errors import UserError
from firstwords.forecast import data_of
from firstwords.model import flops_per_token, matmul_parameters
from firstwords.plan import SHARES, draft_recipe, with_tokens
from firstwords.recipe import SEQ_LEN, model_config
from firstwords.run import Run
from firstwords.scaling import Law
from firstwords.signals import Stop

SHAPES = ((2, 128, 2), (3, 128, 2), (4, 192, 2), (5, 256, 2), (6, 384, 3))
TOKENS = (0.25e6, 0.5e6, 1e6, 2e6)
MOST_FLOPS = 3e13  # of a run: the largest models see fewer tokens
PLANNED = (((3, 128, 2), 1e6), ((4, 192, 2), 1e6))  # also with little decay
BUDGET = 1800.0  # seconds: the plan whose vocabulary, batches and tokenizer the series has
EXPONENTS = np.arange(0.20, 0.81, 0.02)


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
    full = [
        (shape, tokens, True)
        for shape, tokens in itertools.product(SHAPES, TOKENS)
        if tokens * _flops(shape, vocab_size) <= MOST_FLOPS
    ]
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
    """The law with the least squares of relative errors on the points whose learning rate decayed.

    For given exponents it is linear in the rest; exponents are tried in steps of 0.02. `undecayed`
    compares the other points with it. Raises ValueError if no law fits.
    """
    decayed = [point for point in points if point.decayed]
    n, d, bits = _columns(decayed)
    best, law = np.inf, None
    for alpha, beta in itertools.product(EXPONENTS, EXPONENTS):
        terms = np.stack([np.ones_like(n), n**-alpha, d**-beta], axis=1) / bits[:, None]
        solution = np.linalg.lstsq(terms, np.ones_like(bits), rcond=None)[0]
        squares = float(np.mean((terms @ solution - 1) ** 2))
        if squares < best and (solution > 0).all():
            best, law = squares, (solution, alpha, beta)
    if law is None:
        raise ValueError("no law of this form fits the runs")
    (irreducible, a, b), alpha, beta = law
    fitted = Law(
        irreducible=irreducible,
        a=a,
        alpha=alpha,
        b=b,
        beta=beta,
        error=best**0.5,
        undecayed=1.0,
        runs=len(points),
        most_parameters=max(point.parameters for point in points),
        most_tokens=max(point.tokens for point in points),
    )
    ratios = [
        p.bits_per_byte / fitted.bits_per_byte(p.parameters, p.tokens)
        for p in points
        if not p.decayed
    ]
    return fitted.model_copy(update={"undecayed": float(np.mean(ratios)) if ratios else 1.0})


def _columns(points: list[Point]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    columns = np.array([(p.parameters, p.tokens, p.bits_per_byte) for p in points], dtype=float)
    return columns[:, 0], columns[:, 1], columns[:, 2]


def check_can_plot() -> None:
    """Raises UserError before hours of work whose plot could not be drawn."""
    if importlib.util.find_spec("matplotlib") is None:
        raise UserError("--out", "plots need matplotlib: pip install 'firstwords[plots]'")


def write(result: dict[str, Any], directory: Path) -> None:
    name = f"miniseries-{Path(result['source']).name}"
    files.write_json(directory / f"{name}.json", result)
    plot(result, directory / f"{name}.png")


def plot(result: dict[str, Any], path: Path) -> None:
    """Loss over compute: a line for each size, the law dashed, and the best size for a budget."""
    from matplotlib.figure import Figure

    points, law = [Point(**point) for point in result["points"]], Law(**result["law"])
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    sizes = sorted({(p.n_layer, p.n_embd, p.parameters) for p in points}, key=lambda s: s[2])
    for number, (n_layer, n_embd, parameters) in enumerate(sizes):
        of_size = [p for p in points if p.parameters == parameters and p.decayed]
        flops = _flops_of(n_layer, n_embd, result["vocab_size"])
        tokens = np.geomspace(min(TOKENS) / 2, 4 * max(TOKENS), 60)
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
    axes.set_xscale("log")
    axes.set_xlabel("training FLOPs")
    axes.set_ylabel("bits per byte of held-out text")
    axes.set_title(
        f"{result['source']}: L = {law.irreducible:.2f} + {law.a:.3g} / N^{law.alpha:.2f}"
        f" + {law.b:.3g} / D^{law.beta:.2f} (error {law.error:.1%})"
    )
    axes.grid(alpha=0.3)
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(path) as file:
        figure.savefig(file, format="png", dpi=120)


def _flops_of(n_layer: int, n_embd: int, vocab_size: int) -> int:
    return next(_flops(s, vocab_size) for s in SHAPES if s[:2] == (n_layer, n_embd))


def describe(result: dict[str, Any]) -> str:
    law = Law(**result["law"])
    lines = [
        f"{'layers':>6} {'channels':>8} {'in products':>12} {'tokens':>10} {'bits/byte':>10} "
        f"{'law':>7}"
    ]
    for point in (Point(**p) for p in result["points"]):
        expected = law.bits_per_byte(point.parameters, point.tokens)
        if not point.decayed:
            expected *= law.undecayed
        lines.append(
            f"{point.n_layer:>6} {point.n_embd:>8} {point.parameters:>12,} {point.tokens:>10,} "
            f"{point.bits_per_byte:>10.4f} {expected:>7.4f}"
            + ("" if point.decayed else "  (as the pipeline's pretraining)")
        )
    lines.append(
        f"L = {law.irreducible:.3f} + {law.a:.4g} / N^{law.alpha:.2f} + {law.b:.4g} / "
        f"D^{law.beta:.2f}; error {law.error:.1%}; {law.undecayed:.3f} times as much without the "
        "decay"
    )
    return "\n".join(lines)
