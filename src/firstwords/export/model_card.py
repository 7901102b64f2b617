"""The model card (README.md) of an exported model, with the figures of its run."""

from typing import Any

from firstwords.common.markdown import table
from firstwords.common.units import format_duration
from firstwords.evaluation.table import table_rows
from firstwords.model.size import matmul_parameters, n_parameters
from firstwords.recipe import STAGES, Stage
from firstwords.runs.checkpoints import Checkpoint
from firstwords.runs.run import Run

ABILITIES = {
    "pretrain": "continues text; it was not trained on conversations",
    "midtrain": "continues text and conversations",
    "sft": "answers in a conversation",
}

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
    sections = [
        _front_matter(),
        f"# {name}",
        _summary(run, stage),
        "## Use",
        _usage(kind, name, dtype),
    ]
    sections += ["## Training", _training(run, stage, checkpoint)]
    if evaluation := run.read_evaluation(stage):
        sections += ["## Scores", _scores(stage, evaluation["tasks"])]
    sections += ["## Limitations", _limitations(run)]
    return "\n\n".join(sections) + "\n"


def _front_matter() -> str:
    lines = ["---", "library_name: transformers", "pipeline_tag: text-generation"]
    return "\n".join([*lines, "language: en", "tags: [firstwords, small]", "---"])


def _summary(run: Run, stage: Stage) -> str:
    model = run.recipe.model
    return (
        f"A language model of {n_parameters(model) / 1e6:.2f}M parameters "
        f"({model.n_layer} layers, {model.n_embd} channels, vocabulary {model.vocab_size:,}, "
        f"context {model.max_seq_len} tokens), trained with Firstwords {run.manifest.firstwords}. "
        f"It {ABILITIES[stage]}."
    )


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
    for name in STAGES[: STAGES.index(stage) + 1]:
        config = recipe.stage(name)
        steps = checkpoint.step if name == stage else config.steps
        data = sources.data if name == "pretrain" else sources.chat_data
        lines.append([name, f"`{data}`", f"{steps:,}", f"{steps * config.batch_tokens:,}"])
    seconds = sum(timing["seconds"] for timing in run.timings().values())
    return (
        table(["stage", "data", "steps", "tokens"], lines)
        + f"\n\n{matmul_parameters(recipe.model) / 1e6:.2f}M matmul parameters. "
        f"Seed {recipe.seed}, {recipe.dtype}, {format_duration(seconds)} on "
        f"{run.manifest.machine.get('cpu', 'a CPU')}. The full recipe is in the run's `run.json`."
    )


def _scores(stage: Stage, tasks: dict[str, Any]) -> str:
    return table(["", stage, "chance"], table_rows({stage: tasks})) + (
        "\n\nThe 95 % interval is in parentheses; a score whose interval includes chance is marked "
        "*at chance*."
    )


def _limitations(run: Run) -> str:
    return (
        "A model of this size knows little beyond its training data. It states falsehoods as "
        "confidently as facts, its context holds only about "
        f"{run.recipe.model.max_seq_len // 2} words, and it was not trained to refuse harmful "
        "requests. Use it to learn and to experiment; do not rely on its answers."
    )
