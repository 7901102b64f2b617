"""The labs' own little model: raised once, as every run is, for the labs that ask a trained one.

A minute is too little for the whole curriculum. What it learns is forty countries, who it is, and
to say hello. It is a run like any other, in `labs` in $FIRSTWORDS_HOME, and goes on after an
interruption; FIRSTWORDS_HOME=.../labs firstwords chat --run school talks to it.
"""

from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from firstwords import __version__, console, files, machine, pipeline
from firstwords import run as runs
from firstwords.conversation import Messages
from firstwords.data import starter
from firstwords.data.starter.facts import Fact, topic
from firstwords.data.starter.phrase import pick, source, whole
from firstwords.data.starter.questions import about
from firstwords.data.starter.talk import as_messages
from firstwords.errors import UserError
from firstwords.labs.lab import Setting
from firstwords.labs.small import recipe
from firstwords.recipe import Recipe
from firstwords.run import Manifest, Run, Sources
from firstwords.signals import Stop

COUNTRIES = 40
STEPS = {"base": (150, 1.0), "mid": (100, 0.8), "sft": (200, 0.6)}  # and the share of the rates
DOCUMENTS, CONVERSATIONS = 6_000, 8_000
SENTENCES = 8
RELATIONS = ("capital", "continent")
KINDS = ("countries", "countries", "identity", "smalltalk")


def asked(setting: Setting) -> Run:
    """The run that the user named, or else the school's. Raises UserError."""
    if setting.run is not None:
        return runs.open_run(setting.run)
    directory = home() / "runs" / "school"
    directory.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(directory / "lock", timeout=0), Stop().listening() as stop:
            files.remove_leftovers(directory)
            return _raised(directory, setting, stop)
    except Timeout:
        raise UserError(
            "another check is raising the labs' own model", "wait until it is done"
        ) from None


def home() -> Path:
    return machine.home() / "labs"


def _raised(directory: Path, setting: Setting, stop: Stop) -> Run:
    run = _opened(directory, setting)
    if not run.finished("sft"):
        console.say("first the labs' own little model is raised, once")
        machine.setup(run.recipe.n_threads)
        for phase in pipeline.PHASES[:-1]:
            pipeline.run_phase(run, phase, stop)
    return run


def _opened(directory: Path, setting: Setting) -> Run:
    """The run, started now if it has not been."""
    if runs.exists(directory):
        return runs.open_directory(directory)
    text, chat = directory / "text.jsonl", directory / "chat.jsonl"
    files.write_json_lines(text, ({"text": one} for one in documents(setting.scaled(DOCUMENTS))))
    talks = conversations(setting.scaled(CONVERSATIONS))
    files.write_json_lines(chat, ({"messages": messages} for messages in talks))
    return runs.create(
        directory,
        Manifest(
            firstwords=__version__,
            created=runs.now(),
            time=1.0,
            sources=Sources(data=str(text), chat_data=str(chat)),
            recipe=_recipe(setting),
            machine=machine.describe(),
            predicted={},
        ),
    )


def _recipe(setting: Setting) -> Recipe:
    made = recipe(setting, 1)
    stages = {
        name: made.base.model_copy(update={"steps": setting.scaled(steps), "lr_scale": lr_scale})
        for name, (steps, lr_scale) in STEPS.items()
    }
    return made.model_copy(update={**stages, "echo": 0.04})


def facts() -> list[Fact]:
    """What the school teaches of its countries."""
    subjects = list(topic("countries").values())[::4][:COUNTRIES]
    return [fact for own in subjects for fact in own if fact.relation in RELATIONS]


def documents(count: int) -> Iterator[str]:
    known = facts()
    for index in range(count):
        r = source(0, "school text", index)
        yield " ".join(pick(r, known).told(r) for _ in range(SENTENCES))


def conversations(count: int) -> Iterator[Messages]:
    """About countries, about itself, and small talk."""
    known = facts()
    for index in range(count):
        r = source(0, "school talk", index)
        kind = pick(r, KINDS)
        if kind == "countries":
            messages = as_messages([about(r, pick(r, known)) for _ in range(whole(r, 1, 3))])
        else:
            messages = starter.conversation(0, index, kind).messages
        yield [dict(message) for message in messages]
