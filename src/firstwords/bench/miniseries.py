"""Train a miniseries: models of several sizes, each with several amounts of text, and a law fitted
to their losses.

Runs and law go into one JSON document, by which the planner chooses a model for a budget, and into
a plot.
"""

from pathlib import Path
from typing import Any

from firstwords.bench.law_fit import Point, fit, law_formula
from firstwords.bench.law_plot import plot_series
from firstwords.bench.pretraining import (
    measure_bits_per_byte,
    open_or_create_run,
    pretrain,
    pretrain_only,
    train_tokenizer,
)
from firstwords.common import console, devices, files, hardware, paths
from firstwords.common.signals import StopSignal
from firstwords.data.corpora import open_corpus
from firstwords.model.size import flops_per_token, matmul_parameters
from firstwords.planning import autotune
from firstwords.planning.draft import draft_recipe
from firstwords.planning.estimates import DatasetSize, dataset_size
from firstwords.planning.model_sizes import SEQ_LEN, model_config
from firstwords.planning.scaling_law import ScalingLaw
from firstwords.planning.stage_steps import from_random, with_steps_for_tokens
from firstwords.recipe import Recipe
from firstwords.runs.run import Run

Shape = tuple[int, int, int]  # layers, channels, heads

# Tokens by shape, with decay. Long runs of the small models show the value of text, short runs of
# the large models that of size. A law fitted without the two longest was 8 and 25 % too low for
# half an hour (docs/lab-notebook.md#law-beyond-its-runs); with them it was 0.5 % too low.
DECAYED_RUNS: dict[Shape, tuple[float, ...]] = {
    (2, 128, 2): (0.25e6, 0.5e6, 1e6, 2e6, 8e6),
    (3, 128, 2): (0.25e6, 0.5e6, 1e6, 2e6, 4e6),
    (4, 192, 2): (0.25e6, 0.5e6, 1e6, 2e6, 6e6),
    (5, 256, 2): (0.25e6, 1e6),
}
# Runs with the little decay of the pipeline's pretraining.
UNDECAYED_RUNS: tuple[tuple[Shape, float], ...] = (
    ((3, 128, 2), 1e6),
    ((3, 128, 2), 4e6),
    ((4, 192, 2), 2e6),
    ((4, 192, 2), 6e6),
)
BUDGET_SECONDS = 1800.0  # of the plan whose vocabulary, batches and tokenizer the series uses


def grid(vocab_size: int) -> list[tuple[Shape, float, bool]]:
    """Return (shape, tokens, whether the learning rate decays to its end), the cheapest first."""
    runs = [(shape, tokens, True) for shape, amounts in DECAYED_RUNS.items() for tokens in amounts]
    runs += [(shape, tokens, False) for shape, tokens in UNDECAYED_RUNS]

    def flops(run: tuple[Shape, float, bool]) -> float:
        return run[1] * flops_per_token(model_config(run[0], vocab_size), SEQ_LEN)

    return sorted(runs, key=flops)


def run_series(source: str, stop: StopSignal) -> dict[str, Any]:
    """Train the missing runs of the series on `source`, and fit the law. Raises UserError."""
    text, chat = open_corpus(source, "--data"), open_corpus("starter", "--chat-data")
    settings = autotune.machine_settings(BUDGET_SECONDS)
    devices.configure_torch(settings.n_threads)
    draft = draft_recipe(BUDGET_SECONDS, 0, settings, text.is_starter)
    draft = draft.replace(compile=draft.kernel == "pytorch" and hardware.has_compiler())
    vocab_size = draft.model.vocab_size
    data = dataset_size(text, chat, vocab_size)
    home = paths.home() / "miniseries" / (data.kind if text.is_starter else Path(source).name)
    points: list[Point] = []
    first_run: Run | None = None
    planned = grid(vocab_size)
    with console.progress("miniseries", len(planned), "runs") as meter:
        for shape, tokens, decayed in planned:
            recipe = _recipe(draft, shape, tokens, decayed, data)
            suffix = "" if decayed else "-planned"
            name = f"{shape[0]}x{shape[1]}-{recipe.pretrain.tokens}{suffix}"
            run = open_or_create_run(home / name, recipe, text.name)
            points.append(_train_point(run, first_run, decayed, stop))
            first_run = first_run or run
            meter.advance(1, name)
    return {
        "kind": data.kind,
        "machine": devices.describe_machine(),
        "source": Path(source).name,
        "vocab_size": vocab_size,
        "points": [point._asdict() for point in points],
        "law": fit(points).model_dump(),
    }


def _recipe(draft: Recipe, shape: Shape, tokens: float, decayed: bool, data: DatasetSize) -> Recipe:
    recipe = draft.replace(model=model_config(shape, draft.model.vocab_size))
    if decayed:
        return pretrain_only(recipe, tokens)
    schedules = from_random(data)
    return with_steps_for_tokens(recipe, tokens / schedules["pretrain"].fraction, data, schedules)


def _train_point(run: Run, like: Run | None, decayed: bool, stop: StopSignal) -> Point:
    """Train and measure a run, unless that has been done. `like` has the tokenizer."""
    path = run.directory / "result.json"
    if not path.exists():
        train_tokenizer(run, stop, like)
        pretrain(run, stop)
        files.write_json(path, measure_bits_per_byte(run))
    model = run.recipe.model
    return Point(
        model.n_layer,
        model.n_embd,
        matmul_parameters(model),
        run.recipe.pretrain.tokens,
        decayed,
        files.read_json(path)["score"],
        run.timings()["pretrain"]["seconds"],
    )


def write_series(result: dict[str, Any], directory: Path) -> None:
    """Write the document and its plot into `directory`."""
    name = f"miniseries-{Path(result['source']).name}"
    files.write_json(directory / f"{name}.json", result)
    plot_series(result, directory / f"{name}.png")


def render_series(result: dict[str, Any]) -> str:
    """Render the runs and the law as text."""
    law = ScalingLaw(**result["law"])
    lines = [
        f"{'layers':>6} {'channels':>8} {'matmul params':>13} {'tokens':>10} {'bits/byte':>10} "
        f"{'law':>7}"
    ]
    for point in (Point(**p) for p in result["points"]):
        expected = law.bits_per_byte(point.parameters, point.tokens)
        if not point.decayed:
            expected *= law.undecayed_factor(point.tokens)
        lines.append(
            f"{point.n_layer:>6} {point.n_embd:>8} {point.parameters:>13,} {point.tokens:>10,} "
            f"{point.bits_per_byte:>10.4f} {expected:>7.4f}"
            + ("" if point.decayed else "  (little decay)")
        )
    lines.append(f"{law_formula(law)}; error {law.error:.1%}")
    lines.append(
        f"with little decay: {law.undecayed:.3f} x (D / 1e6)^{law.undecayed_growth:.3f} times as "
        f"much; error {law.undecayed_error:.1%}"
    )
    return "\n".join(lines)
