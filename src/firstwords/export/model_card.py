"""The README of an exported model: every number is the run's own."""

from typing import Any

from firstwords import console, files
from firstwords.checkpoint import Checkpoint
from firstwords.evaluation.table import rows
from firstwords.model import matmul_parameters, n_parameters
from firstwords.recipe import STAGES, Stage
from firstwords.report.markdown import table
from firstwords.run import Run

LEARNED = {
    "base": "has read text and continues it; it knows no conversations",
    "mid": "has read text and conversations, and writes both",
    "sft": "answers in a conversation",
}

TRANSFORMERS = """from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
model = AutoModelForCausalLM.from_pretrained(".")
messages = [{"role": "user", "content": "Hello! Who are you?"}]
prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
inputs = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
answer = model.generate(**inputs, max_new_tokens=80)[0, inputs["input_ids"].shape[1] :]
print(tokenizer.decode(answer, skip_special_tokens=True))
"""


def render(run: Run, stage: Stage, found: Checkpoint, kind: str, name: str, dtype: str) -> str:
    sections = [_front(), f"# {name}", _what(run, stage), "## Use", _use(kind, name, dtype)]
    sections += ["## Training", _training(run, stage, found)]
    if run.evaluation(stage).exists():
        sections += ["## Scores", _scores(run, stage)]
    sections += ["## Limits", _limits(run)]
    return "\n\n".join(sections) + "\n"


def _front() -> str:
    lines = ["---", "library_name: transformers", "pipeline_tag: text-generation"]
    return "\n".join([*lines, "language: en", "tags: [firstwords, small]", "---"])


def _what(run: Run, stage: Stage) -> str:
    model = run.recipe.model
    return (
        f"A language model of {n_parameters(model) / 1e6:.2f}M parameters "
        f"({model.n_layer} layers, {model.n_embd} channels, vocabulary {model.vocab_size:,}, "
        f"context {model.max_seq_len} tokens), raised with Firstwords {run.manifest.firstwords}. "
        f"It {LEARNED[stage]}."
    )


def _use(kind: str, name: str, dtype: str) -> str:
    if kind == "gguf":
        return (
            "```bash\n"
            f"llama-cli -m {name}-{dtype}.gguf -cnv\n"
            f"ollama create {name} -f Modelfile && ollama run {name}\n"
            "```"
        )
    return f"```python\n{TRANSFORMERS}```"


def _training(run: Run, stage: Stage, found: Checkpoint) -> str:
    sources, recipe = run.manifest.sources, run.recipe
    lines = []
    for name in STAGES[: STAGES.index(stage) + 1]:
        config = recipe.stage(name)
        steps = found.step if name == stage else config.steps
        data = sources.data if name == "base" else sources.chat_data
        lines.append([name, f"`{data}`", f"{steps:,}", f"{steps * config.batch_tokens:,}"])
    seconds = sum(timing["seconds"] for timing in run.timings().values())
    return (
        table(["stage", "data", "steps", "tokens"], lines)
        + f"\n\n{matmul_parameters(recipe.model) / 1e6:.2f}M parameters take part in matrix "
        f"products. Seed {recipe.seed}, {recipe.dtype}, {console.duration(seconds)} on "
        f"{run.manifest.machine.get('cpu', 'a CPU')}. The whole recipe stands in the run's "
        "`run.json`."
    )


def _scores(run: Run, stage: Stage) -> str:
    tasks: dict[str, Any] = files.read_json(run.evaluation(stage))["tasks"]
    return table(["", stage, "chance"], rows({stage: tasks})) + (
        "\n\nIn parentheses the 95 % interval; a score whose interval holds the chance line is "
        "called *at chance*."
    )


def _limits(run: Run) -> str:
    return (
        "A model of this size knows what it was taught and little else. It states what is wrong as "
        "readily as what is right, forgets what was said some "
        f"{run.recipe.model.max_seq_len // 2} words ago, and was not trained to refuse anything. "
        "It is for learning and for play; nothing should depend on its answers."
    )
