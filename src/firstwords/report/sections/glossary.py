"""The glossary section: every term with its value in this run."""

import html

from firstwords.common.markdown import table
from firstwords.common.units import format_duration
from firstwords.evaluation.benchmark import at_chance
from firstwords.evaluation.table import format_score
from firstwords.model.size import flops_per_token, n_parameters
from firstwords.report.glossary import TERMS
from firstwords.report.sections.evaluation import Evaluations, last_evaluation
from firstwords.runs.metrics import read_metrics, summarize_loss
from firstwords.runs.run import Run


def render_glossary(run: Run, evaluations: Evaluations) -> str:
    """A table of all terms: value in this run if there is one, and definition."""
    values = recipe_values(run) | measured_values(run, evaluations)
    return table(
        ["term", "this run", "definition"],
        [[term.name, values.get(term.name, ""), term.definition] for term in TERMS],
    )


def render_folded_glossary(run: Run, evaluations: Evaluations) -> str:
    """The same as HTML, folded: it is longer than the rest of the report."""
    values = recipe_values(run) | measured_values(run, evaluations)
    terms = "".join(
        f"<div><dt>{html.escape(term.name)}</dt>{_render_value(values.get(term.name))}"
        f"<dd>{html.escape(term.definition)}</dd></div>"
        for term in TERMS
    )
    summary = f"<summary>All {len(TERMS)} terms, with their values in this run</summary>"
    return f'<details class="glossary">{summary}<dl>{terms}</dl></details>'


def _render_value(value: str | None) -> str:
    return f'<dd class="value">this run: {html.escape(value)}</dd>' if value else ""


def recipe_values(run: Run) -> dict[str, str]:
    """Return the values that the recipe sets, by term."""
    recipe, model = run.recipe, run.recipe.model
    tokens = [f"{recipe.stage(stage).tokens:,}" for stage in recipe.stages]
    return {
        "parameter": f"{n_parameters(model):,}",
        "vocabulary": f"{model.vocab_size:,}",
        "context": f"{model.max_seq_len} tokens",
        "layer": str(model.n_layer),
        "attention head": f"{model.n_head} per layer",
        "token": f"{' + '.join(tokens)} in training",
        "batch": f"{recipe.pretrain.batch_tokens:,} tokens",
        "step": " + ".join(f"{recipe.stage(stage).steps:,}" for stage in recipe.stages),
        "learning rate": f"peak {recipe.optimizer.matrix_lr:g} for matrices",
        "momentum": f"{recipe.optimizer.muon_momentum:g}",
        "seed": str(recipe.seed),
        "FLOP": f"{flops_per_token(model, recipe.pretrain.seq_len) / 1e6:.1f}M per training token",
    }


def measured_values(run: Run, evaluations: Evaluations) -> dict[str, str]:
    """Return the values measured in training and evaluation, by term."""
    results = last_evaluation(evaluations)["tasks"]
    values = {
        "bits per byte": f"{results['bits_per_byte']['score']:.3f}",
        "time budget": format_duration(run.manifest.time),
    }
    metrics = read_metrics(run.metrics("pretrain"))
    if summary := summarize_loss(metrics):
        speed = run.recipe.pretrain.batch_tokens / summary.seconds_per_step
        values |= {
            "loss": f"{summary.last_loss:.3f} at the end of pretraining",
            "gradient norm": f"{metrics[-1]['grad_norm']:.2f} in the last step of pretraining",
            "throughput": f"{speed:,.0f} tokens/s",
        }
    for name, task in results.items():
        if name != "bits_per_byte" and "score" in task:
            chance = " (at chance)" if at_chance(task) else ""
            title = "exam" if name == "exam" else task["title"].partition(" (")[0]
            values[title] = format_score(name, task, task["score"]) + chance
    return values
