"""The glossary, with this run's own values beside the words."""

from firstwords import console
from firstwords.evaluation.benchmark import at_chance
from firstwords.evaluation.table import number
from firstwords.glossary import TERMS
from firstwords.model import flops_per_token, n_parameters
from firstwords.recipe import STAGES
from firstwords.report.markdown import table
from firstwords.report.results import Evaluations
from firstwords.run import Run, course, read_metrics


def explained(run: Run, evaluations: Evaluations) -> str:
    """A row for every term: its value here, where it has one, and what it means."""
    values = here(run) | measured(run, evaluations)
    return table(
        ["word", "here", "what it means"],
        [[term.name, values.get(term.name, ""), term.words] for term in TERMS],
    )


def here(run: Run) -> dict[str, str]:
    """What the recipe says."""
    recipe, model = run.recipe, run.recipe.model
    tokens = [f"{recipe.stage(stage).tokens:,}" for stage in STAGES]
    return {
        "parameter": f"{n_parameters(model):,}",
        "vocabulary": f"{model.vocab_size:,}",
        "context": f"{model.max_seq_len} tokens",
        "layer": str(model.n_layer),
        "attention head": f"{model.n_head} in a layer",
        "token": f"{' + '.join(tokens)} read",
        "batch": f"{recipe.base.batch_tokens:,} tokens",
        "step": " + ".join(f"{recipe.stage(stage).steps:,}" for stage in STAGES),
        "learning rate": f"{recipe.optimizer.matrix_lr:g} at its peak, for matrices",
        "momentum": f"{recipe.optimizer.muon_momentum:g}",
        "seed": str(recipe.seed),
        "FLOP": f"{flops_per_token(model, recipe.base.seq_len) / 1e6:.1f}M a training token",
    }


def measured(run: Run, evaluations: Evaluations) -> dict[str, str]:
    """What came of it."""
    last = evaluations["sft"]["tasks"]
    base = read_metrics(run.metrics("base"))
    went = course(base)
    values = {
        "bits per byte": f"{last['bits_per_byte']['score']:.3f}",
        "loss": f"{went.last_loss:.3f} at the end of pretraining",
        "gradient norm": f"{base[-1]['gradient']:.2f} in the last step of pretraining",
        "throughput": f"{run.recipe.base.tokens / went.seconds:,.0f} tokens/s",
        "time budget": console.duration(run.manifest.time),
    }
    for name, task in last.items():
        if name != "bits_per_byte" and "score" in task:
            chance = " (at chance)" if at_chance(task) else ""
            title = "exam" if name == "exam" else task["title"].partition(" (")[0]
            values[title] = number(name, task, task["score"]) + chance
    return values
