"""Wrong input: exit code 2 and one line with the problem and the fix."""

import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from end_to_end import COMMANDS, Bench, one_line, recipe, talk, write_lines

from firstwords.cli.main import cli, run_command
from firstwords.common import disk, packages
from firstwords.pipeline import request

Say = Callable[..., str]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(tmp_path)
    monkeypatch.setenv("FIRSTWORDS_HOME", str(made.home))
    monkeypatch.chdir(made.cwd)
    return made


@pytest.fixture
def refused(bench: Bench, capsys: pytest.CaptureFixture[str]) -> Say:
    """Return a function that runs a command, which must exit with 2, and returns its error line."""

    def run(*arguments: str) -> str:
        code = run_command(list(arguments))
        printed = capsys.readouterr()
        assert code == 2, printed.err
        assert printed.out == ""
        return one_line(printed.err)

    return run


def with_data(bench: Bench, data: Path | str, *more: str) -> list[str]:
    sources = ["--data", str(data), "--chat-data", str(bench.chat)]
    return ["train", "--recipe", str(bench.recipe), *sources, "--run", "x", *more]


def with_chat(bench: Bench, chat: Path | str) -> list[str]:
    sources = ["--data", str(bench.text), "--chat-data", str(chat)]
    return ["train", "--recipe", str(bench.recipe), *sources, "--run", "x"]


# --- help -----------------------------------------------------------------------------------------


def leaves(group: click.Group, *path: str) -> Iterator[Any]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, *path, name)
        else:
            words = " ".join([*path, name])
            yield pytest.param([*path, name], command, id=words)


@pytest.mark.parametrize(("path", "command"), list(leaves(cli)))
def test_help_explains_every_option(
    path: list[str], command: click.Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command([*path, "--help"]) == 0
    shown = capsys.readouterr().out
    for option in (p for p in command.params if isinstance(p, click.Option)):
        assert option.opts[0] in shown
        assert option.help, f"{' '.join(path)} {option.opts[0]} has no text"


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["--help"]) == 0
    shown = capsys.readouterr().out
    assert set(COMMANDS) <= set(cli.commands)
    assert all(re.search(rf"^  {command} +\S", shown, re.MULTILINE) for command in cli.commands)


# --- paths ---------------------------------------------------------------------------------------


def test_a_tilde_is_expanded_after_an_equals_sign(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(bench.root))
    assert run_command(["slurm", "init", "~/site.toml"]) == 0
    assert (bench.root / "site.toml").exists()
    assert not list(bench.cwd.iterdir())


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["plan", "--recipe", "a" * 300], "--recipe"),
        (["plan", "--recipe", "~nobodyhere/x"], "a user who does not exist"),
        (["export", "--format", "hf", f"--out={'a' * 300}/x"], "--out"),
        (["export", "--format", "hf", "--out=~nobodyhere/x"], "--out"),
        (["slurm", "init", "a" * 252], "too long"),
        (["train", "--data", "caf\udce9.txt"], r"caf\xe9.txt is not UTF-8"),
    ],
)
def test_a_path_that_cannot_be_is_reported(arguments: list[str], named: str, refused: Say) -> None:
    assert named in refused(*arguments)


def test_a_home_that_cannot_be_is_reported(refused: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTWORDS_HOME", "~nobodyhere/x")
    assert "FIRSTWORDS_HOME" in refused("chat", "-p", "Hi")


def test_a_recipe_may_have_a_byte_order_mark(bench: Bench) -> None:
    bench.recipe.write_bytes(b"\xef\xbb\xbf" + bench.recipe.read_bytes())
    sources = ["--data", str(bench.text), "--chat-data", str(bench.chat)]
    assert run_command(["plan", "--recipe", str(bench.recipe), *sources]) == 0


# --- options --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["train", "--wat"], "--wat"),
        (["wat"], "wat"),
        (["train", "--time", "soon"], "--time"),
        (["train", "--time", ""], "--time"),
        (["train", "--time", "1.5h"], "--time"),
        (["train", "--time", "-5m"], "--time"),
        (["train", "--time", "10 m"], "--time"),
        (["train", "--time", "9" * 400], "--time"),
        (["train", "--time", "nan"], "--time"),
        (["train", "--seed", "-1"], "--seed"),
        (["train", "--seed", "one"], "--seed"),
        (["train", "--run", "a/b"], "run name a/b"),
        (["train", "--run", ".."], "run name .."),
        (["train", "--run", ""], "run name"),
        (["train", "--recipe", "absent.json"], "absent.json"),
        (["train", "--recipe", "."], "--recipe"),
        (["train", "--data", "/no/such.txt"], "--data /no/such.txt"),
        (["train", "--chat-data", "/no/such.jsonl"], "--chat-data /no/such.jsonl"),
        (["train", "--data", "hub:nothing"], "--data hub:nothing"),
        (["train", "--chat-data", "hub:nothing"], "--chat-data hub:nothing"),
        (["plan", "--time", "1d"], "--time"),
        (["eval", "--stage", "final"], "--stage"),
        (["eval", "--max-items", "-1"], "--max-items"),
        (["chat", "-p", "  "], "-p"),
        (["chat", "--stage", "final"], "--stage"),
        (["chat", "--temperature", "-1"], "--temperature"),
        (["chat", "--top-p", "0"], "--top-p"),
        (["chat", "--max-tokens", "0"], "--max-tokens"),
    ],
    ids=" ".join,
)
def test_a_wrong_option_is_reported(arguments: list[str], named: str, refused: Say) -> None:
    assert named in refused(*arguments)


NUMBERS = [
    pytest.param(path, option, id=f"{' '.join(path)} {option.opts[0]}")
    for path, command in (parameters.values for parameters in leaves(cli))
    for option in command.params
    if isinstance(option.type, click.types.FloatParamType | click.types.IntParamType)
]


@pytest.mark.parametrize(("path", "option"), NUMBERS)
def test_no_option_takes_infinity(path: list[str], option: click.Option) -> None:
    for value in ("nan", "inf", "1e999", "9" * 400):
        with pytest.raises(click.BadParameter):
            option.type.convert(value, option, None)


def test_a_time_that_is_too_short_names_the_minimum(bench: Bench, refused: Say) -> None:
    sources = ["--data", str(bench.text), "--chat-data", str(bench.chat)]
    line = refused("train", "--time", "5s", *sources)
    assert "--time 5s" in line
    assert re.search(r"at least \d+s", line)


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 1")],
)
def test_out_of_memory_is_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def plan(*arguments: Any) -> Any:
        raise error

    monkeypatch.setattr(request, "make_plan", plan)
    assert run_command(["train"]) == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("firstwords: out of memory")
    assert "nothing is lost" in line


@pytest.mark.parametrize("number", disk.FAILURES)
def test_a_disk_that_fails_is_one_line(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def plan(*arguments: Any) -> Any:
        raise OSError(number, os.strerror(number), "/data/run.json")

    monkeypatch.setattr(request, "make_plan", plan)
    assert run_command(["train"]) == 1
    assert "(/data/run.json); " in one_line(capsys.readouterr().err)


def test_without_a_directory_for_temporary_files_tmpdir_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/no/such/directory"])
    monkeypatch.setattr(request, "make_plan", lambda *arguments: tempfile.mkdtemp())
    assert run_command(["train"]) == 1
    assert "set TMPDIR" in one_line(capsys.readouterr().err)


def test_a_time_of_zero_is_too_short(
    bench: Bench, refused: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plan(seconds: float, *rest: Any) -> Any:
        assert seconds == 0, f"planned for {seconds} s"
        return make_plan(seconds, *rest)

    make_plan = request.make_plan
    monkeypatch.setattr(request, "make_plan", plan)
    sources = ["--data", str(bench.text), "--chat-data", str(bench.chat)]
    assert "--time" in refused("train", "--time", "0s", *sources)


@pytest.mark.parametrize("command", ["pretrain", "midtrain", "sft", "eval", "report", "chat"])
def test_an_unknown_run_is_reported_with_the_existing_ones(
    command: str, bench: Bench, refused: Say
) -> None:
    assert "run lost does not exist" in refused(command, "--run", "lost")
    assert "firstwords train" in refused(command)  # no run at all
    make_run(bench, "known")
    assert "known" in refused(command, "--run", "lost")


def make_run(bench: Bench, name: str) -> Path:
    """Create a run without any work done."""
    from firstwords.pipeline.request import TrainRequest, new_manifest
    from firstwords.runs import registry

    request = TrainRequest(name, None, str(bench.text), str(bench.chat), None, bench.recipe)
    registry.create_run(bench.directory(name), new_manifest(request))
    return bench.directory(name)


# --- recipes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"{", "recipe.json"),
        (b"\xff\xfe", "recipe.json"),
        (b"[]", "recipe.json"),
        (b"", "recipe.json"),
        (json.dumps(recipe(n_threads=0)).encode(), "n_threads"),
        (json.dumps(recipe(colour="red")).encode(), "colour"),
        (json.dumps(recipe(model__n_layer="many")).encode(), "model.n_layer"),
        (json.dumps(recipe(pretrain__steps=-1)).encode(), "pretrain.steps"),
        (json.dumps({"recipe": recipe()}).encode(), "recipe.json"),  # half a run.json
    ],
    ids=[
        "not JSON",
        "not UTF-8",
        "a list",
        "empty",
        "0 threads",
        "unknown field",
        "wrong type",
        "no steps",
        "half a run.json",
    ],
)
def test_a_mistake_in_a_recipe_is_reported_with_the_field(
    content: bytes, named: str, bench: Bench, refused: Say
) -> None:
    bench.recipe.write_bytes(content)
    assert named in refused(*bench.train())
    assert not (bench.directory("x") / "run.json").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"model__vocab_size": 100},
        {"pretrain__seq_len": 128},
        {"model__n_kv_head": 3},
        {"seed": 10**25},
    ],
    ids=str,
)
def test_a_recipe_that_cannot_work_is_refused(
    change: dict[str, Any], bench: Bench, refused: Say
) -> None:
    bench.recipe.write_text(json.dumps(recipe(**change)))
    assert refused(*bench.train())


def test_diverging_training_is_one_line(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    rates = {"matrix_lr": 1e30, "embedding_lr": 1e30}
    bench.recipe.write_text(json.dumps(recipe(optimizer=rates)))
    assert run_command(bench.train()) == 1
    assert "diverged" in one_line(capsys.readouterr().err)


# --- text -----------------------------------------------------------------------------------------


def test_a_directory_without_text_is_reported(bench: Bench, refused: Say) -> None:
    (bench.root / "nothing").mkdir()
    (bench.root / "nothing" / "picture.png").write_bytes(b"")
    assert f"--data {bench.root / 'nothing'}" in refused(*with_data(bench, bench.root / "nothing"))


@pytest.mark.parametrize("content", ["", " \n\n "], ids=["empty", "blank"])
@pytest.mark.parametrize(
    "planned",
    [
        pytest.param(True, id="planned"),
        pytest.param(False, id="with a recipe"),
    ],
)
def test_an_empty_text_is_reported(content: str, planned: bool, bench: Bench, refused: Say) -> None:
    empty = bench.root / "empty.txt"
    empty.write_text(content)
    arguments = with_data(bench, empty)
    if planned:
        at = arguments.index("--recipe")
        arguments = arguments[:at] + arguments[at + 2 :]
    assert "empty.txt" in refused(*arguments)


def test_empty_conversations_are_reported(bench: Bench, refused: Say) -> None:
    empty = bench.root / "empty.jsonl"
    empty.write_text("")
    assert "empty.jsonl" in refused(*with_chat(bench, empty))


def test_a_text_without_held_out_part_is_refused_before_training(
    bench: Bench, refused: Say
) -> None:
    single = bench.root / "single.txt"
    single.write_text("One document only. " * 250)
    refused(*with_data(bench, single))
    assert not list(bench.directory("x").glob("checkpoints/*"))


def test_a_text_smaller_than_a_batch_is_reported_with_its_tokens(
    bench: Bench, refused: Say
) -> None:
    small = bench.root / "small.txt"
    small.write_text("<|endoftext|>".join(["Hello there."] * 5))
    line = refused(*with_data(bench, small))
    assert re.search(r"has only 40 tokens .*fewer than the 256 of a batch", line)


def test_a_text_that_was_too_small_may_grow(bench: Bench, refused: Say) -> None:
    """The hint of the error works: add data and run the same command again."""
    small = bench.root / "small.txt"
    small.write_text("<|endoftext|>".join(["Hello there."] * 5))
    refused(*with_data(bench, small))
    small.write_bytes(bench.text.read_bytes())
    assert run_command(with_data(bench, small)) == 0


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("bad.jsonl", b'{"text": "fine"}\n' * 6 + b'{"text": oops}\n', "bad.jsonl, line 7"),
        ("bad.jsonl", b'{"text": "fine"}\n\n\n{"txt": "oops"}\n', "bad.jsonl, line 4"),
        ("bad.jsonl", b'{"text": "fine"}\n["no object"]\n', "bad.jsonl, line 2"),
        ("bad.jsonl", b'{"text": "fine"}\n{"text": 5}\n', "bad.jsonl, line 2"),
        ("bad.jsonl", b'{"text": "fine"}\n{"text": "\xff"}\n', "bad.jsonl, line 2"),
        ("bad.jsonl", b'{"text": "fine"}\n' + b'{"text": "\\ud800"}\n' * 9, "bad.jsonl, line"),
        ("bad.txt", b"one\ntwo\nthr\xffee\n", "bad.txt, line 3"),
        ("bad.jsonl.gz", b"not compressed", "bad.jsonl.gz"),
        ("bad.parquet", b"PAR1 and nothing more", "bad.parquet"),
        ("bad.docx", b"", "--data"),
    ],
    ids=[
        "not JSON",
        "no text",
        "no object",
        "no string",
        "not UTF-8 in JSON",
        "half a character",
        "not UTF-8",
        "not gzip",
        "not parquet",
        "unknown kind",
    ],
)
def test_a_damaged_text_is_reported_with_the_line(
    name: str, content: bytes, named: str, bench: Bench, refused: Say
) -> None:
    (bench.root / name).write_bytes(content)
    assert named in refused(*with_data(bench, bench.root / name))


def test_line_numbers_beyond_the_first_block_are_right(bench: Bench, refused: Say) -> None:
    path = bench.root / "long.jsonl"
    record = json.dumps({"text": "x" * 1000}) + "\n"
    path.write_text(record * 3000 + "oops\n" + record * 10)
    tokenizer_reads_all = json.dumps(recipe(tokenizer_bytes=10_000_000))
    bench.recipe.write_text(tokenizer_reads_all)
    assert "long.jsonl, line 3001" in refused(*with_data(bench, path))


def test_parquet_without_a_text_column_names_those_it_has(bench: Bench, refused: Say) -> None:
    path = bench.root / "body.parquet"
    pq.write_table(pa.table({"body": ["text"], "id": [1]}), path)
    line = refused(*with_data(bench, path))
    assert "body.parquet" in line
    assert "body, id" in line
    assert '"text"' in line


def test_a_text_column_of_numbers_is_refused(bench: Bench, refused: Say) -> None:
    path = bench.root / "numbers.parquet"
    pq.write_table(pa.table({"text": [1, 2]}), path)
    assert "numbers.parquet" in refused(*with_data(bench, path))


# --- conversations --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"messages": [{"role": "assistant", "content": "Hi"}]}, "message 1"),
        (
            {
                "messages": [
                    {"role": "user", "content": "Hi"},
                    {"role": "user", "content": "Hi"},
                    {"role": "assistant", "content": "Hi"},
                ]
            },
            "message 2",
        ),
        ({"messages": [{"role": "user", "content": "Hi"}]}, "last message"),
        ({"messages": [{"role": "robot", "content": "Hi"}]}, "robot"),
        ({"messages": [{"role": "user", "content": ""}]}, "message 1"),
        ({"messages": []}, "messages"),
        ({"text": "Hi"}, "messages"),
        ([1], "messages"),
        (talk("\ud800", "Hi"), "\\ud800"),
    ],
    ids=[
        "assistant first",
        "user twice",
        "user last",
        "unknown role",
        "no text",
        "no messages",
        "other field",
        "no object",
        "half a character",
    ],
)
def test_an_invalid_conversation_is_reported_with_the_line(
    record: Any, reason: str, bench: Bench, refused: Say
) -> None:
    path = write_lines(bench.root / "odd.jsonl", [talk("Hi", "Hello")] * 4 + [record])
    line = refused(*with_chat(bench, path))
    assert "odd.jsonl, line 5" in line
    assert reason in line


def test_conversations_as_plain_text_are_refused(bench: Bench, refused: Say) -> None:
    assert "text.txt" in refused(*with_chat(bench, bench.text))


# --- runs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["train", "pretrain", "eval", "chat", "report"])
def test_a_damaged_run_json_is_reported_and_left_unchanged(
    command: str, bench: Bench, refused: Say
) -> None:
    path = make_run(bench, "x") / "run.json"
    path.write_text(path.read_text()[:-40])
    (path.parent / "checkpoints" / "run.json").unlink()  # the copy
    before = path.read_bytes()
    assert str(path) in refused(*([command, "--run", "x"]))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("command", "first"),
    [
        ("pretrain", "firstwords tokenizer --run x"),
        ("midtrain", "firstwords pretrain --run x"),
        ("sft", "firstwords midtrain --run x"),
        ("report", "firstwords tokenizer --run x"),
        ("eval", "firstwords train --run x"),
        ("chat", "firstwords train --run x"),
    ],
)
def test_a_stage_out_of_order_names_the_command_to_run_first(
    command: str, first: str, bench: Bench, refused: Say
) -> None:
    make_run(bench, "x")
    assert first in refused(command, "--run", "x")


@pytest.mark.parametrize("damage", ["truncated", "bit flipped", "another's"])
def test_a_damaged_tokenizer_is_reported_and_can_be_trained_again(
    damage: str, bench: Bench, refused: Say
) -> None:
    assert run_command(bench.train(command="tokenizer")) == 0
    path = bench.directory("x") / "tokenizer" / "tokenizer.json"
    whole = path.read_bytes()
    damaged = {
        "truncated": whole[: len(whole) // 2],
        "bit flipped": bytes([whole[0] ^ 1]) + whole[1:],
        "another's": whole.replace(b"<|im_start|>", b"<|im_begin|>"),
    }
    path.write_bytes(damaged[damage])
    assert "first run: firstwords tokenizer --run x" in refused("pretrain", "--run", "x")
    assert run_command(["tokenizer", *bench.train()[1:]]) == 0
    assert path.read_bytes() == whole


@pytest.mark.parametrize("option", ["--time", "--seed", "--data", "--chat-data", "--recipe"])
def test_other_options_for_a_run_that_exists_are_refused(
    option: str, bench: Bench, refused: Say
) -> None:
    path = make_run(bench, "x") / "run.json"
    before = path.read_bytes()
    other = bench.root / "other.json"
    other.write_text(json.dumps(recipe(pretrain=99)))
    chat = bench.root / "more.jsonl"
    chat.write_bytes(bench.chat.read_bytes())
    value = {
        "--time": "2h",
        "--seed": "7",
        "--data": "starter",
        "--chat-data": str(chat),
        "--recipe": str(other),
    }
    line = refused("train", "--run", "x", option, value[option])
    assert option in line
    assert "--run NAME" in line
    assert path.read_bytes() == before
    assert sorted(p.name for p in path.parent.iterdir()) == ["checkpoints", "lock", "run.json"]


def test_wrong_input_for_a_new_run_leaves_no_run_behind(bench: Bench, refused: Say) -> None:
    refused(*with_data(bench, "/no/such.txt"))
    assert not (bench.directory("x") / "run.json").exists()
    assert "there is no run" in refused("eval")


def test_a_home_that_cannot_be_created_is_one_line(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTWORDS_HOME", str(bench.text / "home"))  # below a file
    assert run_command(bench.train()) in (1, 2)
    assert "text.txt" in one_line(capsys.readouterr().err)


def test_a_missing_extra_is_reported_with_its_install_command(
    refused: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(**_: object) -> None:
        raise ModuleNotFoundError("No module named 'uvicorn'", name="uvicorn")

    monkeypatch.setattr(cli.commands["serve"], "callback", absent)
    monkeypatch.setattr(sys, "executable", "/my venv/python")
    for pip, command in (
        (object(), "'/my venv/python' -m pip install"),
        (None, "uv pip install --python '/my venv/python'"),  # as in an environment of uv
    ):
        monkeypatch.setattr(packages, "find_spec", lambda name, pip=pip: pip)
        problem = "this command needs uvicorn, which is not installed"
        assert f"{problem}; run: {command} 'firstwords[serve]'" in refused("serve")


def test_a_full_gpu_has_its_own_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(**_: object) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(cli.commands["plan"], "callback", full)
    assert run_command(["plan"]) == 1
    assert "the GPU is out of memory" in capsys.readouterr().err
