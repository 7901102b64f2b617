"""`import firstwords`: open and train runs, talk to their models, show them in notebooks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from end_to_end import recipe
from factories import save_step, tiny_run

import firstwords
from firstwords.common.errors import UserError
from firstwords.recipe import REQUIRED_STAGES, ModelConfig, Stage
from firstwords.runs import checkpoints
from firstwords.runs.run import Run
from firstwords.tokenizer.bpe import Tokenizer


@pytest.fixture
def run(tiny_model: ModelConfig, tiny_tokenizer: Tokenizer) -> Run:
    run = tiny_run("toy", tiny_model, tiny_tokenizer)
    for number, stage in enumerate(REQUIRED_STAGES):
        save_step(run, stage, 20 - 5 * (stage == "sft"), tiny_tokenizer, seed=number)
    return run


def test_import_is_quick_and_names_are_found() -> None:
    code = "import sys, firstwords; print('torch' in sys.modules, dir(firstwords.open_run))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("False [")
    with pytest.raises(AttributeError, match="no attribute 'opne_run'"):
        firstwords.opne_run  # noqa: B018


def test_answers_are_streams_and_texts(run: Run) -> None:
    toy = firstwords.open_run("toy")
    answer = toy.chat("Hello", temperature=0, max_tokens=8)
    pieces = list(answer)
    assert "".join(pieces) == str(answer) == str(toy.chat("Hello", temperature=0, max_tokens=8))
    chat = toy.conversation(temperature=0, max_tokens=8)
    first = str(chat.send("Hello"))
    chat.send("And then?")
    assert [message["content"] for message in chat.messages[:2]] == ["Hello", first]
    assert str(toy.generate("The old fox", "pretrain", seed=1, max_tokens=8)) == str(
        toy.generate("The old fox", "pretrain", seed=1, max_tokens=8)
    )
    with pytest.raises(ValueError, match="empty"):
        toy.chat(" ")
    with pytest.raises(ValueError, match="tokens"):
        toy.generate("word " * 5000)


def test_logits_are_those_of_the_model(run: Run) -> None:
    toy = firstwords.open_run()
    ids = [toy.tokenizer.pad_id, *toy.tokenizer.encode("The old fox")]
    logits_TV = toy.logits("The old fox", stage="midtrain")
    expected_TV = toy.model("midtrain")(torch.tensor([ids]))[0]
    assert torch.equal(logits_TV, expected_TV.detach())
    assert not torch.allclose(logits_TV, toy.logits("The old fox"))


def test_notebooks_show_runs_xrays_and_curves(run: Run) -> None:
    toy = firstwords.open_run("toy")
    assert "<table>" in toy._repr_html_()
    assert "finished stages" in repr(toy)
    xray = toy.xray("a <b> fox", generate=2, temperature=0)
    assert [stage["stage"] for stage in xray.document["stages"]] == ["sft"]
    assert xray._repr_html_().startswith("<iframe")
    assert "<b> fox" not in xray._repr_html_()
    assert toy.curves.steps["sft"] == []
    assert "No training steps" in toy.curves._repr_html_()


def test_checksums_are_verified_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    verified = []
    verify = checkpoints.verify_checkpoint

    def count(directory: Path) -> None:
        verified.append(directory.parent.name)
        verify(directory)

    monkeypatch.setattr(checkpoints, "verify_checkpoint", count)
    toy = firstwords.open_run("toy")
    for _ in range(2):
        str(toy.chat("Hello", max_tokens=2))
        str(toy.chat("Hello", "sft", max_tokens=2))
    assert verified.count("sft") <= 2  # of the model, and of the tokenizer in it
    verified.clear()
    assert repr(toy) == repr(toy)
    assert len(verified) == len(REQUIRED_STAGES)


@pytest.mark.parametrize("first", ["sft", None])
def test_the_latest_stage_is_loaded_once(run: Run, first: Stage | None) -> None:
    toy = firstwords.open_run("toy")
    model = toy.model(first)
    assert toy.model("sft") is model
    assert toy.model() is model
    assert toy.model("midtrain") is not model


def test_errors_say_what_to_do(run: Run) -> None:
    with pytest.raises(UserError, match="does not exist") as caught:
        firstwords.open_run("other")
    assert "toy" in caught.value.hint
    with pytest.raises(UserError, match="is missing"):
        _ = firstwords.open_run("toy").report
    with pytest.raises(UserError, match="not a duration"):
        firstwords.train("new", time="five minutes")
    assert [listed.name for listed in firstwords.list_runs()] == ["toy"]


@pytest.mark.slow
def test_train_reports_every_step_and_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recipe.json").write_text(json.dumps(recipe(pretrain=6, midtrain=4, sft=3)))
    seen: list[tuple[str, int]] = []

    def on_step(stage: str, step: object) -> None:
        seen.append((stage, step.step))  # type: ignore[attr-defined]
        if seen[-1] == ("midtrain", 2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        firstwords.train("toy", recipe="recipe.json", on_step=on_step)
    run = firstwords.train("toy", on_step=lambda stage, step: seen.append((stage, step.step)))
    assert seen[-3:] == [("sft", 1), ("sft", 2), ("sft", 3)]
    assert [len(steps) for steps in run.curves.steps.values()] == [6, 4, 3]
    assert run.curves._repr_html_().count("<svg") == 4
    assert isinstance(str(run.chat("Hello", max_tokens=4)), str)
    assert "toy" in run.report.html
    assert run.report.markdown.startswith("# ")
    assert Path("report.html").exists()
