"""The five phases of `firstwords train`, in order. A phase that is done is not done again."""

from collections.abc import Callable
from typing import NamedTuple

from firstwords import console, files, machine
from firstwords.distributed import World
from firstwords.errors import UserError
from firstwords.evaluation.stage import evaluate_stages, is_evaluated
from firstwords.model import matmul_parameters
from firstwords.recipe import STAGES, Recipe, Stage
from firstwords.run import Run, course, read_metrics
from firstwords.signals import Stop
from firstwords.stages import tokenizer
from firstwords.stages.midtrain import midtrain
from firstwords.stages.pretrain import pretrain
from firstwords.stages.sft import finetune


class Phase(NamedTuple):
    name: str
    title: str
    work: Callable[[Run, Stop], None]
    done: Callable[[Run], bool]
    summary: Callable[[Run], str]
    together: bool = True  # of all processes, or the leader's alone


def _stage_summary(stage: Stage) -> Callable[[Run], str]:
    def summary(run: Run) -> str:
        metrics = read_metrics(run.metrics(stage))
        went = course(metrics)
        tokens = run.recipe.stage(stage).tokens
        return (
            f"{tokens:,} tokens in {len(metrics):,} steps; loss "
            f"{went.first_loss:.3f} to {went.last_loss:.3f}; "
            f"{tokens / went.seconds:,.0f} tokens/s"
        )

    return summary


def _evaluation_summary(run: Run) -> str:
    tasks = {stage: files.read_json(run.evaluation(stage))["tasks"] for stage in STAGES}
    bits = (f"{stage} {task['bits_per_byte']['score']:.3f}" for stage, task in tasks.items())
    exams = [f"{s} {task['exam']['score']:.0%}" for s, task in tasks.items() if "exam" in task]
    lines = ["bits per byte of held-out text: " + ", ".join(bits)]
    if exams:
        lines.append("right answers in the exam: " + ", ".join(exams))
    return "\n".join(lines)


def _stage(title: str, stage: Stage, work: Callable[[Run, Stop], None]) -> Phase:
    return Phase(stage, title, work, lambda run: bool(run.finished(stage)), _stage_summary(stage))


PHASES = (
    Phase(
        "tokenizer",
        "Tokenizer",
        tokenizer.train_tokenizer,
        tokenizer.is_trained,
        tokenizer.describe,
        together=False,
    ),
    _stage("Base pretraining", "base", pretrain),
    _stage("Midtraining", "mid", midtrain),
    _stage("Supervised finetuning", "sft", finetune),
    Phase(
        "evaluation",
        "Evaluation",
        lambda run, stop: evaluate_stages(run),
        is_evaluated,
        _evaluation_summary,
    ),
)


def unfinished(run: Run) -> list[Phase]:
    return [phase for phase in PHASES if not phase.done(run)]


def run_phase(run: Run, phase: Phase, stop: Stop) -> None:
    left = time_left(run, phase)
    console.header(
        f"Phase {PHASES.index(phase) + 1} of {len(PHASES)} · {phase.title}"
        + (f" · about {console.duration(left)} left in all" if left else "")
    )
    before = "done before: " if phase.done(run) else ""
    run.world.barrier()  # so that all have looked before anyone works
    if not before:
        with run.timed(phase.name):
            if phase.together or run.world.leads:
                phase.work(run, stop)
            run.world.barrier()
        machine.release_freed_memory()
    took = console.duration(run.timings().get(phase.name, {}).get("seconds", 0.0))
    console.say(f"{before}{phase.summary(run)} ({took})")


def time_left(run: Run, phase: Phase) -> float:
    """Seconds that this phase and those after it will take: as planned, times how much longer than
    planned the phases before it took. 0 if nothing was planned, or nothing is left to do."""
    planned, taken = run.manifest.predicted.get("phase_seconds", {}), run.timings()
    at = PHASES.index(phase)
    before = [p.name for p in PHASES[:at] if p.name in planned and p.name in taken]
    as_planned = sum(planned[name] for name in before)
    slower = sum(taken[name]["seconds"] for name in before) / as_planned if as_planned > 30 else 1.0
    left = [p.name for p in PHASES[at:] if p.name in planned and not p.done(run)]
    already = taken.get(phase.name, {"seconds": 0.0})["seconds"] if left else 0.0
    return max(0.0, slower * sum(planned[name] for name in left) - already)


def prepare(run: Run) -> None:
    """Set this process up the way the recipe says, and say what is about to be trained."""
    recipe, predicted = run.recipe, run.manifest.predicted
    if recipe.compile and not machine.can_compile():
        raise UserError(
            "the recipe asks for compiling, but there is no C++ compiler here",
            'install g++, or train another run from a recipe with "compile": false',
        )
    check_device(recipe, run.world)
    machine.setup(max(1, recipe.n_threads // run.world.local_size))
    model = recipe.model
    console.say(
        f"run {run.name} in {run.directory}\n"
        f"model: {model.n_layer} layers x {model.n_embd} channels, {model.n_head} heads, "
        f"vocabulary {model.vocab_size:,}; {matmul_parameters(model) / 1e6:.2f}M in products\n"
        f"machine: {run.manifest.machine.get('cpu', 'unknown')}, {_workers(run)}, "
        f"{recipe.dtype}, {'compiled' if recipe.compile else 'eager'}"
    )
    if predicted and run.world.size == 1:
        times = ", ".join(
            f"{name} {console.duration(s)}" for name, s in predicted["phase_seconds"].items()
        )
        console.say(f"plan: {times}, at {predicted['tokens_per_second']:,.0f} tokens/s")


def check_device(recipe: Recipe, world: World) -> None:
    """Raises UserError where the recipe's device is not, or not for every process."""
    device, processes = recipe.device, world.local_size
    if device != "cpu" and machine.gpu() != device:
        raise UserError(
            f"the recipe trains on a GPU ({device}), and PyTorch finds none here",
            "continue where there is one, or train another run from the recipe with "
            "--set device=cpu",
        )
    here = len(machine.gpu_names())
    if device != "cpu" and processes > here:
        raise UserError(
            f"{processes} processes on this node need as many GPUs, and it has {here}",
            f"start torchrun with --nproc-per-node {here}",
        )


def _workers(run: Run) -> str:
    threads = max(1, run.recipe.n_threads // run.world.local_size)
    gpu = "" if run.recipe.device == "cpu" else ", a GPU each" * (run.world.size > 1) or ", a GPU"
    if run.world.size == 1:
        return f"{threads} threads{gpu}"
    return f"{run.world.size} processes of {threads} threads{gpu}"
