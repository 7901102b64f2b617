"""What a shown command becomes before it runs. All else runs as it is written.

- A training command with no other options than `--time` and `--run` counts as the run of one minute
  that exists already: its run is a copy of that one, so the command finds every phase done. Its
  `--time T` becomes `--time 60s`. (A plan for 60 s would fail on a slow machine, so plans keep
  their times.)
- Any other training command gets a recipe of a few steps instead of its budget.
- `--max-items 0`, which asks all questions of an exam, becomes `--max-items 40`.
- `FILE_OR_DIRECTORY` becomes a small file of text or conversations, `PATH/run.json` that of the run
  `steps`, which the row above it in README makes.
- `firstwords serve` runs under ask_server.py, which asks it, opens its pages and stops it.
"""

import json
import re
import shlex
import sys
from pathlib import Path

from end_to_end import recipe, talk, write_lines

TRAINING = re.compile(
    r"(?P<program>bash scripts/local_cpu_train\.sh|firstwords (?:train|tokenizer))"
    r"(?P<options>(?: +[^\s|;&#]+)*)"
)


class Inputs:
    """The small files that commands get: a recipe of a few steps, text, and conversations."""

    def __init__(self, directory: Path) -> None:
        self.recipe = directory / "short.json"
        self.text, self.talks = directory / "text.jsonl", directory / "talks.jsonl"

    def write(self) -> None:
        few_steps = recipe(4, 4, 4, model__max_seq_len=256, exam_items=1, tokenizer_bytes=50_000)
        self.recipe.write_text(json.dumps(few_steps))
        documents = [{"text": f"Number {n} went to the river and came back."} for n in range(200)]
        write_lines(self.text, documents)
        write_lines(self.talks, [talk(f"And {n}?", "Yes.") for n in range(200)])


def substitute(script: str, inputs: Inputs, runs: Path) -> str:
    """Return the script to run, for a home directory with these runs."""

    def shorten(training: re.Match[str]) -> str:
        if not _starts_another_run(training):
            return re.sub(r"--time \S+", "--time 60s", training[0])
        if "--recipe" in training["options"]:
            return training[0]
        options = re.sub(r" --time \S+", "", training["options"])
        return f"{training['program']}{options} --recipe {_quoted(inputs.recipe)}"

    script = TRAINING.sub(shorten, script)
    ask_server = shlex.join([sys.executable, str(Path(__file__).with_name("ask_server.py"))])
    script = re.sub("^firstwords serve", f"{ask_server} \\g<0>", script, flags=re.MULTILINE)
    for shown, instead in {
        "--max-items 0": "--max-items 40",
        "--chat-data FILE_OR_DIRECTORY": f"--chat-data {_quoted(inputs.talks)}",
        "FILE_OR_DIRECTORY": _quoted(inputs.text),
        "PATH/run.json": _quoted(runs / "steps" / "run.json"),
    }.items():
        script = script.replace(shown, instead)
    return script


def runs_to_copy(script: str) -> set[str]:
    """Return the runs that a script uses and does not make: copies of the run of one minute."""
    trainings = list(TRAINING.finditer(script))
    used = {*re.findall(r"--run (\S+)", script), *map(_run_name, trainings)}
    return used - {_run_name(training) for training in trainings if _starts_another_run(training)}


def _starts_another_run(training: re.Match[str]) -> bool:
    other_options = re.sub(r"--(?:time|run) \S+", "", training["options"]).strip()
    return bool(other_options) or training["program"] == "firstwords tokenizer"


def _run_name(training: re.Match[str]) -> str:
    named = re.search(r"--run (\S+)", training["options"])
    return named[1] if named else "default"


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
