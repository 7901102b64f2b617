"""The model card (README.md) of an exported model, with the figures of its run."""

from typing import Any

from firstwords.common.markdown import table
from firstwords.common.units import format_duration
from firstwords.data.starter.personality import Personality
from firstwords.evaluation.table import table_rows
from firstwords.model.size import matmul_parameters
from firstwords.recipe import Stage
from firstwords.report.headline import make_headline, render_headline
from firstwords.runs.checkpoints import Checkpoint
from firstwords.runs.run import Run

TRANSFORMERS_EXAMPLE = """from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
model = AutoModelForCausalLM.from_pretrained(".")
messages = [{"role": "user", "content": "Hello! Who are you?"}]
prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
inputs = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
answer = model.generate(**inputs, max_new_tokens=80)[0, inputs["input_ids"].shape[1] :]
print(tokenizer.decode(answer, skip_special_tokens=True))
"""


def render_model_card(
    run: Run, stage: Stage, checkpoint: Checkpoint, kind: str, name: str, dtype: str
) -> str:
    """Return the model card of a checkpoint exported as `name` in the format `kind`."""
    evaluation = run.read_evaluation(stage)
    sections = [
        _front_matter(),
        f"# {name}",
        render_headline(make_headline(run, stage, evaluation)),
        *_personality(run, stage),
        "## Use",
        _usage(kind, name, dtype),
    ]
    sections += ["## Training", _training(run, stage, checkpoint)]
    if evaluation:
        sections += ["## Scores", _scores(stage, evaluation["tasks"])]
    return "\n\n".join(sections) + "\n"


def _personality(run: Run, stage: Stage) -> list[str]:
    """Return a paragraph in which the model introduces itself, if it has a personality."""
    own = run.personality_of(stage)
    if own is None:
        return []
    about, quote = introduce(own)
    return [f"{about} It says of itself:\n\n> {quote}"]


def introduce(personality: Personality) -> tuple[str, str]:
    """Return what the model is called and whose it is, and what it says of itself."""
    owner = f" It belongs to {personality.owner}." if personality.owner else ""
    about = f"The model's name is {personality.name}.{owner}"
    return about, " ".join([f"I am {personality.name}.", *personality.about])


def _front_matter() -> str:
    lines = ["---", "library_name: transformers", "pipeline_tag: text-generation"]
    return "\n".join([*lines, "language: en", "tags: [firstwords, small]", "---"])


def _usage(kind: str, name: str, dtype: str) -> str:
    if kind == "gguf":
        return (
            "```bash\n"
            f"llama-cli -m {name}-{dtype}.gguf -cnv\n"
            f"ollama create {name} -f Modelfile && ollama run {name}\n"
            "```"
        )
    return f"```python\n{TRANSFORMERS_EXAMPLE}```"


def _training(run: Run, stage: Stage, checkpoint: Checkpoint) -> str:
    sources, recipe = run.manifest.sources, run.recipe
    lines = []
    for name in recipe.stages[: recipe.stages.index(stage) + 1]:
        config = recipe.stage(name)
        steps = checkpoint.step if name == stage else config.steps
        data = sources.text_line if name == "pretrain" else sources.chat_line
        lines.append([name, f"`{data}`", f"{steps:,}", f"{steps * config.batch_tokens:,}"])
    origin = run.manifest.origin
    start = f"It starts from the model of another run ({origin}). " if origin else ""
    return (
        table(["stage", "data", "steps", "tokens"], lines)
        + f"\n\n{start}{matmul_parameters(recipe.model) / 1e6:.2f}M matmul parameters. "
        f"Seed {recipe.seed}, {recipe.dtype}, {format_duration(run.total_seconds())} on "
        f"{run.manifest.machine.get('cpu', 'a CPU')}. The full recipe is in the run's `run.json`."
    )


def _scores(stage: Stage, tasks: dict[str, Any]) -> str:
    return table(["task", stage, "chance"], table_rows({stage: tasks})) + (
        "\n\nThe 95 % interval is in parentheses; a score whose interval includes chance is marked "
        "*at chance*."
    )
