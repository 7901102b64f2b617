"""A run with a personality: recorded, inherited, and never changed."""

from itertools import islice
from pathlib import Path

import pytest
from end_to_end import Bench

from firstwords.common.errors import UserError
from firstwords.data import corpora
from firstwords.data.starter.personality import Personality, read_personality
from firstwords.export.model_card import render_model_card
from firstwords.pipeline.request import TrainRequest, check_unchanged, new_manifest
from firstwords.runs import registry
from firstwords.runs.checkpoints import Checkpoint
from firstwords.runs.datasets import open_conversations
from firstwords.runs.differences import run_differences
from firstwords.runs.render import render_run
from firstwords.runs.run import Run
from firstwords.runs.summary import summarize


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(tmp_path)
    monkeypatch.setenv("FIRSTWORDS_HOME", str(made.home))
    return made


def write(folder: Path, name: str) -> Path:
    path = folder / f"{name}.toml"
    path.write_text(f'name = "{name}"\nowner = "Ada"\nabout = ["I am {name} indeed."]\n')
    return path


def request(bench: Bench, personality: Path | None, **changes: object) -> TrainRequest:
    start = TrainRequest("x", None, str(bench.text), "starter", recipe=bench.recipe)
    return start._replace(personality=personality)._replace(**changes)  # type: ignore[arg-type]


def make(bench: Bench, name: str, asked: TrainRequest) -> Run:
    return registry.create_run(bench.directory(name), new_manifest(asked))


def test_a_run_records_the_personality_and_speaks_with_it(bench: Bench, tmp_path: Path) -> None:
    path = write(tmp_path, "Pip")
    made = make(bench, "x", request(bench, path))
    assert made.manifest.personality == read_personality(path)
    path.unlink()  # the run has all of it
    run = registry.open_run("x")
    assert run.manifest == made.manifest
    talks = corpora.conversations(open_conversations(run), "train", 3)
    said = " ".join(m["content"] for talk in islice(talks, 150) for m in talk)
    assert "Pip" in said
    assert "Firstwords" not in said
    shown = render_run(summarize(run.directory))
    assert "personality" in shown
    assert "Pip" in shown
    card = render_model_card(run, "sft", Checkpoint(run.directory, 4), "hf", "x", "float32")
    assert "> I am Pip. I am Pip indeed." in card
    assert "belongs to Ada" in card


def test_another_personality_is_another_run(bench: Bench, tmp_path: Path) -> None:
    pip, other = write(tmp_path, "Pip"), write(tmp_path, "Rex")
    named, plain = make(bench, "x", request(bench, pip)), make(bench, "y", request(bench, None))
    check_unchanged(named, request(bench, pip))
    check_unchanged(named, request(bench, None))  # resuming needs no file
    for run, path in ((named, other), (plain, pip)):
        with pytest.raises(UserError, match="--personality differs from that of run"):
            check_unchanged(run, request(bench, path))
    assert [d.values[0] for d in run_differences([named, plain]) if d.name == "name"] == ["Pip"]


def test_the_recipe_of_a_run_brings_its_personality(bench: Bench, tmp_path: Path) -> None:
    make(bench, "x", request(bench, write(tmp_path, "Pip")))
    manifest = bench.directory("x") / "run.json"
    again = new_manifest(request(bench, None, recipe=manifest))
    assert again.personality == Personality(name="Pip", owner="Ada", about=("I am Pip indeed.",))
    other = new_manifest(request(bench, write(tmp_path, "Rex"), recipe=manifest))
    assert other.personality is not None
    assert other.personality.name == "Rex"


def test_a_personality_needs_the_starter_conversations(bench: Bench, tmp_path: Path) -> None:
    asked = request(bench, write(tmp_path, "Pip"), chat_data=str(bench.chat))
    with pytest.raises(UserError, match="--personality needs the starter conversations"):
        new_manifest(asked)
