"""Damaged and missing files in a run: no traceback, and training ends with the same weights."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from damage import (
    COMMANDS,
    DAMAGES,
    complaint,
    damaged_files,
    make_states,
    model_sum,
    train,
    try_command,
)
from end_to_end import Bench

from firstwords.cli.main import run_command

pytestmark = pytest.mark.slow

N_TRIES = 70  # of the commands that take a moment
# What training needs, and what may stop it after it trained for an hour.
TRAINED = (
    ("pretraining", "tokenizer/tokenizer.json", "flip_a_bit"),
    ("pretraining", "metrics/pretrain.jsonl", "replace_with_directory"),
    ("between", "tokens/text/train/00000/ids.npy", "flip_a_bit"),
    ("finished", "evaluation/sft.json", "truncate"),
)


@pytest.fixture(scope="module")
def tries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bench, dict[str, Path]]]:
    with pytest.MonkeyPatch.context() as patch:
        yield make_states(tmp_path_factory.mktemp("damage"), patch)


def test_no_command_ends_in_a_traceback(
    tries: tuple[Bench, dict[str, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, states = tries
    monkeypatch.setenv("FIRSTWORDS_HOME", str(bench.home))
    cases = [
        (state, name, damage, command)
        for state, directory in states.items()
        for name in damaged_files(directory)
        for damage in DAMAGES
        for command in COMMANDS
        if command != "train"
    ]
    complaints = {}
    for number, case in enumerate(random.Random(0).sample(cases, N_TRIES)):
        state, name, damage, command = case
        run = Path(shutil.copytree(states[state], bench.directory(f"tried-{number}")))
        DAMAGES[damage](run / name)
        if wrong := complaint(try_command(bench, command, run.name)):
            complaints[case] = wrong
        shutil.rmtree(run)
    assert complaints == {}


@pytest.mark.parametrize(("state", "name", "damage"), TRAINED)
def test_training_makes_again_what_it_needs(
    state: str,
    name: str,
    damage: str,
    tries: tuple[Bench, dict[str, Path]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bench, states = tries
    monkeypatch.setenv("FIRSTWORDS_HOME", str(bench.home))
    monkeypatch.chdir(bench.cwd)
    run = Path(shutil.copytree(states[state], bench.directory(f"{damage}-{Path(name).stem}")))
    DAMAGES[damage](run / name)
    capsys.readouterr()
    assert run_command(train(bench, run.name)) == 0
    assert f"note: {run}" in capsys.readouterr().err
    assert model_sum(run) == model_sum(states["finished"])
