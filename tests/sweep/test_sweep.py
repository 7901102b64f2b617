"""`firstwords sweep`: variants and seeds, resuming, the ledger, and what the results say."""

import functools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from factories import make_recipe, save_step, tiny_run
from hypothesis import given
from hypothesis import strategies as st

from firstwords.common import files
from firstwords.common.errors import UserError
from firstwords.recipe import ModelConfig
from firstwords.runs import registry
from firstwords.sweep import plan, results, run_sweep
from firstwords.sweep.ledger import ledger_path, read_experiments
from firstwords.sweep.run_sweep import fill_places
from firstwords.sweep.spec import SweepSpec, read_spec
from firstwords.tokenizer.bpe import Tokenizer

# Trains nothing: copies a finished run, whose score follows from its recipe and seed.
TRAINER = """
import json, pathlib, shutil, sys
home, name, recipe = pathlib.Path(sys.argv[1]), sys.argv[2], json.load(open(sys.argv[3]))
if (home / "fail").exists() and "faster" in name:
    sys.exit(1)
directory = home / "runs" / name
shutil.copytree(home / "template", directory)
manifest = json.loads((directory / "run.json").read_text())
(directory / "run.json").write_text(json.dumps(manifest | {"recipe": recipe}))
rate, seed = recipe["optimizer"]["matrix_lr"], recipe["seed"]
score = {"title": "", "score": 10 * rate + 0.01 * seed, "chance": 0, "ci95": [0, 1], "n": 10}
categories = {"facts": score | {"note": ""}}
tasks = {"bits_per_byte": score | {"text_bytes": 1, "categories": {}}}
tasks["exam"] = score | {"categories": categories, "empty": 0, "broken_call": 0}
document = {"stage": "sft", "step": 20, "tasks": tasks, "chat_loss": 1.0, "samples": []}
(directory / "evaluation").mkdir()
(directory / "evaluation" / "sft.json").write_text(json.dumps(document))
with (home / "trained").open("a") as log:
    print(name, file=log)
"""
SPEC = """
time = "1m"
equal = "tokens"
seeds = [0, 1, 2]
recipe = "recipe.json"
[changes.base]
[changes.faster]
"optimizer.matrix_lr" = 0.05
"""
Sweep = Callable[..., tuple[int, str, str]]


@pytest.fixture
def sweep(
    home: Path,
    tmp_path: Path,
    tiny_model: ModelConfig,
    tiny_tokenizer: Tokenizer,
    monkeypatch: pytest.MonkeyPatch,
    call_command: Sweep,
) -> Sweep:
    """Run the command with a spec and a trainer that takes no time."""
    monkeypatch.chdir(tmp_path)
    run = tiny_run("template", tiny_model, tiny_tokenizer)
    save_step(run, "sft", 20, tiny_tokenizer)
    run.directory.rename(home / "template")
    files.write_json(Path("recipe.json"), make_recipe(model=tiny_model).model_dump())
    Path("trainer.py").write_text(TRAINER)
    Path("rates.toml").write_text(SPEC)
    command = f"{sys.executable} trainer.py {home} {{run}} {{recipe}}"

    return functools.partial(call_command, "sweep", "rates.toml", "--command", command)


def test_all_variants_are_trained_once_and_compared(sweep: Sweep, home: Path) -> None:
    code, out, err = sweep()
    assert code == 0
    trained = (home / "trained").read_text().split()
    assert trained == [f"rates.{v}.{seed}" for seed in range(3) for v in ("base", "faster")]
    assert "Run 6 of 6 · faster, seed 2" in err
    assert "faster is better than base by 42.0 ± 0.0 points on the exam." in out
    assert registry.open_run("rates.faster.1").recipe.seed == 1
    code, again, err = sweep()
    assert (code, again) == (0, out)
    assert len((home / "trained").read_text().split()) == 6
    code, shown, err = sweep("--show", "--json")
    assert [line["seed"] for line in json.loads(shown)] == [0, 1, 2, 0, 1, 2]
    assert err == ""


def test_a_failed_run_is_left_out_and_tried_again(sweep: Sweep, home: Path) -> None:
    (home / "fail").touch()
    code, out, err = sweep()
    assert code == 1
    assert "rates.faster.0 did not finish" in err
    assert {line["variant"] for line in read_experiments("rates")} == {"base"}
    (home / "fail").unlink()
    code, out, _ = sweep()
    assert code == 0
    assert "faster is better" in out


def test_a_label_trains_again_beside_the_others(sweep: Sweep, home: Path) -> None:
    sweep()
    code, out, _ = sweep("--label", "idea")
    assert code == 0
    assert "rates.base.idea.2" in (home / "trained").read_text()
    assert "No difference can be told between base (idea) and base" in out


def test_changed_code_is_named(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep()
    monkeypatch.setattr("firstwords.sweep.run_sweep.code_digest", lambda: "other")
    _, _, err = sweep()
    assert "rates.base.0 was trained with other code; --label NAME" in err


def test_a_line_that_a_kill_cut_short_does_not_damage_the_next(sweep: Sweep) -> None:
    sweep()
    whole = ledger_path().read_text()
    ledger_path().write_text(whole[:-30])
    code, _, err = sweep()  # records the last run again, since its line is not readable
    assert code == 0
    assert "experiments.jsonl is damaged; ignoring 1 of its 6 lines" in err
    lines = ledger_path().read_text().splitlines()
    assert lines[:5] == whole.splitlines()[:5]
    assert json.loads(lines[6])["run"] == "rates.faster.2"
    assert len(read_experiments("rates")) == 6


def test_the_ledger_is_read_once_before_training(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_reads = 0

    def count(*args: Any) -> list[dict[str, Any]]:
        nonlocal n_reads
        n_reads += 1
        return read_experiments(*args)

    monkeypatch.setattr("firstwords.sweep.run_sweep.read_experiments", count)
    sweep()
    assert n_reads == 1


def test_damaged_lines_of_the_ledger_are_left_out(sweep: Sweep) -> None:
    sweep()
    with ledger_path().open("a") as file:
        file.write('{"sweep": "rates"}\nnonsense\n{"half')
    code, _, err = sweep("--show")
    assert code == 0
    assert "ignoring 3 of its 9 lines" in err


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ('time = "soon"', "is not a duration"),
        ("seeds = [1, 1]", "must be different"),
        ("seeds = []", "seeds is not valid"),
        ('[changes."a b"]', "is not a name"),
        ("colour = 1", "colour is not valid"),
        ('command = "train"', "needs {run} and {recipe}"),
        ('command = "train \'{run} {recipe}"', "is not valid"),
        ('equal = "money"', "equal is not valid"),
        ("[changes", "is not valid"),
    ],
)
def test_a_wrong_spec_names_the_field(tmp_path: Path, changed: str, problem: str) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text(changed)
    with pytest.raises(UserError, match=problem):
        read_spec(path)


def test_a_wrong_setting_names_the_variant(sweep: Sweep) -> None:
    path = Path("rates.toml")
    path.write_text(path.read_text() + '"model.n_layers" = 3\n')
    code, _, err = sweep()
    assert code == 2
    assert "[changes.faster] model.n_layers=3 names no field" in err


def test_a_changed_spec_needs_another_name(sweep: Sweep) -> None:
    sweep()
    path = Path("rates.toml")
    path.write_text(path.read_text().replace("0.05", "0.06"))
    code, _, err = sweep()
    assert code == 2
    assert "give this one another name with --name" in err
    assert sweep("--name", "rates-2")[0] == 0


def test_equal_time_scales_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    base = make_recipe()
    slower = make_recipe(model__n_layer=3, pretrain__steps=7)
    monkeypatch.setattr(plan.autotune, "measure_alternately", lambda *_: (200.0, 100.0))
    equal = plan._with_equal_time(base, {"base": base, "slower": slower})
    assert equal["base"] == base
    assert [equal["slower"].stage(stage).steps for stage in ("pretrain", "sft")] == [10, 10]


def test_an_unknown_command_is_named(sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = sweep("--command", "no-such-program {run} {recipe}")
    assert code == 2
    assert "cannot run no-such-program" in err


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_the_interval_holds_the_mean_of_equal_values_only_there(values: list[float]) -> None:
    mean = results.mean_of(values)
    assert min(values) - 1e-9 <= mean.mean <= max(values) + 1e-9
    assert mean.half_width is not None
    assert (mean.half_width > 1e-12) == (max(values) - min(values) > 1e-12)


def test_the_interval_is_students() -> None:
    """The example: 95 % of 3 values with a standard deviation of 1 is 4.303 / sqrt(3)."""
    assert results.mean_of([1.0, 2.0, 3.0]).half_width == pytest.approx(2.485, abs=0.01)
    assert results.mean_of([1.0]).half_width is None


def experiment(variant: str, seed: int, exam: float | None, bits: float) -> dict[str, Any]:
    scores = {"exam": exam and {"score": exam}, "bits_per_byte": {"score": bits}}
    return {"variant": variant, "label": "", "seed": seed, "tokens": 1, "seconds": 1, **scores}


def test_verdicts_need_more_than_one_seed_and_say_which_way() -> None:
    one_seed = [experiment("a", 0, 0.5, 1.0), experiment("b", 0, 0.9, 0.9)]
    assert "one seed in common" in results.verdicts(one_seed)[0]
    assert "no seed in common" in results.verdicts([*one_seed[:1], experiment("b", 1, 0.9, 1)])[0]
    without_exam = [
        experiment(variant, seed, None, bits + 0.001 * seed)
        for seed in range(3)
        for variant, bits in (("a", 1.0), ("b", 1.1))
    ]
    assert results.verdicts(without_exam) == ["b is worse than a by 0.100 ± 0.000 bits per byte."]


def test_seeds_and_command_may_change_later() -> None:
    spec = SweepSpec(seeds=(0,))
    assert spec.seconds == 1800
    assert SweepSpec.model_validate({**dict(spec), "seeds": (0, 1)}).seeds == (0, 1)


def test_the_option_of_a_mixture_is_repeated_in_the_command() -> None:
    words = ["train", "--run", "{run}", "--chat-data", "{chat_data}", "--data={data}"]
    places = {"run": "a.b", "chat_data": ("own file:0.3", "starter:0.7"), "data": "starter"}
    assert fill_places(words, places) == [
        *("train", "--run", "a.b"),
        *("--chat-data", "own file:0.3", "--chat-data", "starter:0.7"),
        "--data=starter",
    ]


def test_every_run_of_a_sweep_starts_from_the_same_model(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []

    def run(words: list[str]) -> subprocess.CompletedProcess[str]:
        started.append(words)
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(subprocess, "run", run)
    spec = SweepSpec(from_run="first:midtrain")
    job = run_sweep.Job("baseline", 0, "rates.baseline.0", make_recipe(), {})
    run_sweep._train(spec, job, "recipe.json")
    assert started[0][-2:] == ["--from", "first:midtrain"]
