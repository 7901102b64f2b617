"""The labs' own small model, trained once, for the labs that finetune a trained model.

A minute is too short for the whole starter curriculum, so it learns forty countries, its identity
and small talk. It is a run like any other, in `labs` of $FIRSTWORDS_HOME, and resumes after an
interruption. To talk to it: FIRSTWORDS_HOME=.../labs firstwords chat --run small-model
"""

from collections.abc import Iterator
from pathlib import Path

from filelock import Timeout

from firstwords import __version__
from firstwords.common import console, devices, files, hardware, paths
from firstwords.common.errors import UserError
from firstwords.common.locks import exclusive_lock
from firstwords.common.signals import StopSignal
from firstwords.data import starter
from firstwords.data.starter.conversations import as_messages
from firstwords.data.starter.fact_questions import ask_fact
from firstwords.data.starter.facts import Fact, facts_by_subject
from firstwords.data.starter.rng import choose, randint, seeded_rng
from firstwords.labs.lab import LabSettings
from firstwords.labs.short_training import short_recipe
from firstwords.pipeline.phases import run_phase
from firstwords.recipe import REQUIRED_STAGES, Recipe
from firstwords.runs import registry
from firstwords.runs.manifest import Manifest, Sources, now
from firstwords.runs.run import Run
from firstwords.tokenizer.chat_format import Messages
from firstwords.training.session import Session

RUN_NAME = "small-model"
N_COUNTRIES = 40
STEPS_AND_LR_SCALE = {"pretrain": (150, 1.0), "midtrain": (100, 0.8), "sft": (200, 0.6)}
N_DOCUMENTS, N_CONVERSATIONS = 6_000, 8_000
SENTENCES_PER_DOCUMENT = 8
RELATIONS = ("capital", "continent")
KINDS = ("countries", "countries", "identity", "smalltalk")


def open_trained_run(settings: LabSettings) -> Run:
    """Return the run that the learner named, or else that of the labs' small model, which is
    trained if it has not been. Raises UserError."""
    if settings.run_name is not None:
        return registry.open_run(settings.run_name)
    directory = paths.home() / "labs" / "runs" / RUN_NAME
    files.make_directory(directory)
    try:
        with exclusive_lock(directory / "lock"), StopSignal().listening() as stop:
            files.remove_temporaries(directory)
            return _train_small_model(directory, settings, stop)
    except Timeout:
        raise UserError(
            "the labs' own small model is being trained by another process", "wait until it is done"
        ) from None


def _train_small_model(directory: Path, settings: LabSettings, stop: StopSignal) -> Run:
    run = _open_or_create_run(directory, settings)
    if not run.finished("sft"):
        console.say("training the labs' own small model (once)")
        devices.configure_torch(run.recipe.n_threads)
        for phase in ("tokenizer", *REQUIRED_STAGES):
            run_phase(Session(run, stop=stop), phase)
    return run


def _open_or_create_run(directory: Path, settings: LabSettings) -> Run:
    if registry.run_exists(directory):
        return registry.open_run_directory(directory)
    text, chat = directory / "text.jsonl", directory / "chat.jsonl"
    documents = generate_documents(settings.scaled(N_DOCUMENTS))
    files.write_json_lines(text, ({"text": document} for document in documents))
    conversations = generate_conversations(settings.scaled(N_CONVERSATIONS))
    files.write_json_lines(chat, ({"messages": messages} for messages in conversations))
    manifest = Manifest(
        firstwords=__version__,
        created=now(),
        time=1.0,
        sources=Sources(data=str(text), chat_data=str(chat)),
        recipe=_recipe(settings),
        machine=devices.describe_machine(),
        predicted={},
    )
    return registry.create_run(directory, manifest)


def _recipe(settings: LabSettings) -> Recipe:
    recipe = short_recipe(settings, 1)
    stages = {
        name: recipe.pretrain.replace(steps=settings.scaled(steps), lr_scale=lr_scale)
        for name, (steps, lr_scale) in STEPS_AND_LR_SCALE.items()
    }
    kernel = "native" if hardware.has_compiler() else "pytorch"
    return recipe.replace(**stages, repeat_fraction=0.04, kernel=kernel)


def country_facts() -> list[Fact]:
    """Return the facts about countries that the small model learns."""
    countries = list(facts_by_subject("countries").values())[::4][:N_COUNTRIES]
    return [fact for facts in countries for fact in facts if fact.relation in RELATIONS]


def generate_documents(count: int) -> Iterator[str]:
    """Yield documents about countries."""
    facts = country_facts()
    for index in range(count):
        r = seeded_rng(0, "school text", index)
        yield " ".join(choose(r, facts).statement(r) for _ in range(SENTENCES_PER_DOCUMENT))


def generate_conversations(count: int) -> Iterator[Messages]:
    """Yield conversations about countries, about the model itself, and small talk."""
    facts = country_facts()
    for index in range(count):
        r = seeded_rng(0, "school talk", index)
        kind = choose(r, KINDS)
        if kind == "countries":
            messages = as_messages([ask_fact(r, choose(r, facts)) for _ in range(randint(r, 1, 3))])
        else:
            messages = starter.conversation(0, index, kind).messages
        yield [dict(message) for message in messages]
