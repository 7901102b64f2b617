"""The trace is the real step: the same bytes, the right counts, lines that exist."""

import ast
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from end_to_end import one_line

import firstwords
from firstwords import checkpoint
from firstwords import run as runs
from firstwords.cli import run_command
from firstwords.data.rows import Batches
from firstwords.distributed import Exchange, World
from firstwords.model import IGNORE, Transformer, matmul_parameters
from firstwords.optimizer import Optimizer
from firstwords.recipe import ModelConfig, OptimizerConfig, Recipe, StageConfig
from firstwords.run import Run
from firstwords.tokenizer import Tokenizer
from firstwords.trace import hooks
from firstwords.trace.entries import Entry
from firstwords.trace.subject import Request, opened
from firstwords.trace.walk import Trace, walk
from firstwords.training import loss_function, torch_dtype, train

TEXT = "The old fox jumped over seven stones."
SOURCE = Path(firstwords.__file__).parent.parent


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_model: ModelConfig,
    tiny_tokenizer: Tokenizer,
    random_model: Callable[..., Transformer],
) -> Run:
    """A run with a model after midtraining and another after finetuning, none of them trained."""
    stage = StageConfig(steps=10, batch_rows=4, micro_rows=2, seq_len=64, warmup_steps=4)
    recipe = Recipe(
        n_threads=1, tokenizer_bytes=1000, model=tiny_model, base=stage, mid=stage, sft=stage
    )
    manifest = runs.Manifest(
        firstwords="0",
        created=runs.now(),
        time=60,
        sources=runs.Sources(),
        recipe=recipe,
        machine={},
        predicted={},
    )
    home = tmp_path_factory.mktemp("trace")
    made = runs.create(home / "runs" / "toy", manifest)
    tiny_tokenizer.save(made.tokenizer_path)
    for seed, name in enumerate(("mid", "sft")):
        model = random_model(tiny_model, seed)
        optimizer = Optimizer(model, OptimizerConfig(), torch.float32)
        optimizer.steps = 10
        checkpoint.save(made.checkpoints(name), model, tiny_tokenizer, optimizer.state())
    return made


@pytest.fixture
def run(made: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("FIRSTWORDS_HOME", str(made.directory.parents[1]))
    return made


@pytest.fixture(scope="module")
def both(made: Run) -> tuple[Trace, Trace]:
    """Of a text, and of a conversation."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRSTWORDS_HOME", str(made.directory.parents[1]))
        return traced(), traced(answer="It jumped.")


def traced(**request: Any) -> Trace:
    with opened(Request(**{"text": TEXT} | request)) as subject:
        return walk(subject)


def entries(trace: Trace) -> Iterator[Entry]:
    return (entry for part in trace.parts for entry in part.entries)


# --- the step -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("answer", [None, "It jumped."])
def test_being_watched_changes_no_byte_of_the_step(
    run: Run, answer: str | None, dtype: str
) -> None:
    with opened(Request(TEXT, answer)) as subject:
        recipe = subject.recipe.model_copy(update={"dtype": dtype})
        subject = subject._replace(recipe=recipe)
        alone = checkpoint.load_model(run.newest_of("sft")[1].directory)
        optimizer = Optimizer(alone, recipe.optimizer, torch_dtype(recipe))
        losses = []

        def once(step: Any) -> bool:
            losses.append(step.loss)
            return False

        batches = Batches(subject.rows, 1, recipe.seed)
        train(
            loss_function(alone, recipe),
            optimizer,
            batches,
            subject.config,
            once,
            Exchange(World(), alone),
        )
        trace = walk(subject)
        assert trace.loss_before == losses[0]
        for name, tensor in subject.model.state_dict().items():
            assert torch.equal(tensor, alone.state_dict()[name]), name


def test_losses_are_those_of_the_model(run: Run) -> None:
    with opened(Request(TEXT)) as subject:
        x_BT, y_BT = Batches(subject.rows, 1, 0).batch(0)
        before = subject.model.loss(x_BT, y_BT).item()
        trace = walk(subject)
        after_N = subject.model.loss(x_BT, y_BT, reduction="none")
    assert trace.loss_before == pytest.approx(before, rel=1e-5)
    assert trace.loss_after == pytest.approx(after_N.mean().item(), rel=1e-5)
    assert trace.loss_after < trace.loss_before
    shares = [target.after for target in trace.targets]
    assert shares == pytest.approx(after_N.neg().exp().tolist(), rel=1e-4)
    said = [target.before for target in trace.targets]
    assert -sum(math.log(share) for share in said if share) / len(said) == pytest.approx(
        before, rel=1e-4
    )


def test_a_fresh_model_guesses_and_learns_from_the_step(run: Run) -> None:
    trace = traced(fresh=True)
    assert (trace.stage, trace.step) == ("fresh", 0)
    assert trace.loss_before == pytest.approx(math.log(run.recipe.model.vocab_size), rel=0.05)
    assert trace.loss_after < trace.loss_before


def test_the_rate_is_that_of_a_stages_first_step(both: tuple[Trace, Trace]) -> None:
    assert both[0].learning_rate == pytest.approx(1 / 4)


@pytest.mark.parametrize("index", [0, 1])
def test_flops_are_the_products_of_the_step(
    both: tuple[Trace, Trace], tiny_model: ModelConfig, index: int
) -> None:
    trace, model = both[index], tiny_model
    places = len(trace.targets)
    learned = sum(target.target is not None for target in trace.targets)
    eighth = max(1, places // 8)
    at_head = learned + -learned % eighth
    head = model.n_embd * model.vocab_size
    products = (matmul_parameters(model) - head) * places + head * at_head
    scores = model.n_layer * model.n_head * model.head_dim * places**2
    assert trace.flops.forward == 2 * products + 4 * scores
    assert trace.flops.backward == 4 * products + 10 * scores
    assert (
        trace.flops.by_formula
        == 6 * matmul_parameters(model) * places
        + 12 * (model.n_layer * model.n_head * model.head_dim * places // 2) * places
    )
    assert trace.flops.optimizer > 0


def test_gradients_and_updates_are_those_of_the_parameters(run: Run) -> None:
    with opened(Request(TEXT)) as subject:
        old = {name: p.detach().clone() for name, p in subject.model.named_parameters()}
        x_BT, y_BT = Batches(subject.rows, 1, 0).batch(0)
        subject.model.loss(x_BT, y_BT).backward()
        gradients = {name: p.grad.norm().item() for name, p in subject.model.named_parameters()}
        subject.model.zero_grad(set_to_none=True)
        trace = walk(subject)
        new = dict(subject.model.named_parameters())
    assert {change.name for change in trace.changes} == set(old)
    assert trace.changes[0].name == "lm_head.weight"
    assert trace.changes[-1].name == "embed_tokens.weight"
    for change in trace.changes:
        assert change.gradient == pytest.approx(gradients[change.name], rel=1e-3)
        moved = (new[change.name] - old[change.name]).norm().item()
        assert change.update == pytest.approx(moved)
        assert change.relative == pytest.approx(moved / old[change.name].norm().item())
        is_matrix = new[change.name].ndim == 2 and change.name.startswith("layers.")
        assert change.optimizer == ("Muon" if is_matrix else "AdamW")


# --- what is said about it ------------------------------------------------------------------------


def sizes(model: ModelConfig, trace: Trace) -> dict[str, int]:
    return {
        "row": 1,
        "tokens": len(trace.targets),
        "channels": model.n_embd,
        "heads": model.n_head,
        "key-value heads": model.n_kv_head,
        "channels of a head": model.head_dim,
        "hidden units": model.n_hidden,
        "tokens of the vocabulary": model.vocab_size,
    }


def test_shapes_in_words_are_true(both: tuple[Trace, Trace], tiny_model: ModelConfig) -> None:
    trace = both[0]
    known = sizes(tiny_model, trace)
    told = set()
    for part in trace.parts:
        for entry in part.entries if part.name in ("start", "block", "end") else ():
            counted = re.findall(r"([\d,]+) ([a-z][a-z -]*?)(?: x |$)", entry.shape_in_words)
            for size, what in counted:
                told.add(what)
                if what == "heads" and entry.title == "rotation":  # of queries, then of keys
                    assert int(size) in (known["heads"], known["key-value heads"])
                elif what != "places":
                    assert int(size.replace(",", "")) == known[what], entry.title
    assert told == {*known, "places"}


def test_every_place_in_the_code_is_where_it_is_said_to_be(both: tuple[Trace, Trace]) -> None:
    for entry in chain(*map(entries, both)):
        for place in filter(None, (entry.place, entry.caller)):
            path = SOURCE / place.file
            lines = path.read_text(encoding="utf-8").splitlines()
            assert lines[place.line - 1].strip() == place.code
            spans = [
                (node.lineno, node.end_lineno)
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                if isinstance(node, ast.FunctionDef) and node.name == place.function.split(".")[-1]
            ]
            assert any(first <= place.line <= last for first, last in spans), place


def test_the_line_names_the_module_or_operation(both: tuple[Trace, Trace]) -> None:
    signs = {"add": "+", "mul": "*", "div": "/", "getitem": "["}
    for entry in entries(both[0]):
        *_, last = entry.hook.split(".")
        if entry.operations and entry.hook != entry.place.function:  # a function as a whole
            line = f"{entry.caller.code if entry.caller else ''} {entry.place.code}"
            word = "adam.step" if last == "_fused_adamw_" else signs.get(last, last)
            assert word in line, entry


def test_everything_that_happens_has_its_why_and_every_why_happens(
    both: tuple[Trace, Trace],
) -> None:
    assert {entry.hook for entry in chain(*map(entries, both))} == set(hooks.HOOKS)


def test_a_module_without_a_hook_is_shown_all_the_same(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(hooks.HOOKS, "self_attn.v_proj")
    (first,) = [part for part in traced().parts if part.block == 0]
    found = next(entry for entry in first.entries if entry.hook == "self_attn.v_proj")
    assert (found.title, found.why) == ("self_attn.v_proj", "")
    assert "linear" in found.operations


def test_a_blocks_entries_are_in_the_order_of_the_data(both: tuple[Trace, Trace]) -> None:
    blocks = [part for part in both[0].parts if part.block is not None]
    assert [part.block for part in blocks] == [0, 1]
    titles = [entry.hook for entry in blocks[0].entries]
    assert titles == [
        "input_layernorm",
        "self_attn.q_proj",
        "self_attn.k_proj",
        "self_attn.v_proj",
        "self_attn.q_norm",
        "rotate",
        "self_attn.k_norm",
        "rotate",
        "Attention.forward.scaled_dot_product_attention",
        "self_attn.o_proj",
        "Block.forward.add",
        "post_attention_layernorm",
        "mlp.gate_proj",
        "MLP.forward.silu",
        "mlp.up_proj",
        "MLP.forward.mul",
        "mlp.down_proj",
        "Block.forward.add",
    ]
    assert [entry.hook for entry in blocks[1].entries] == titles


def test_values_are_those_of_the_last_token(run: Run) -> None:
    with opened(Request(TEXT)) as subject:
        x_BT, _ = Batches(subject.rows, 1, 0).batch(0)
        states_TC = subject.model.hidden(x_BT)[0].detach()
        trace = walk(subject)
    final = next(entry for entry in entries(trace) if entry.hook == "norm")
    assert final.values == pytest.approx(states_TC[-1, :4].tolist(), rel=1e-4)
    assert final.rms == pytest.approx(states_TC.square().mean().sqrt().item(), rel=1e-4)


def test_finetuning_learns_the_answer_alone_and_midtraining_everything(
    run: Run, both: tuple[Trace, Trace], tiny_tokenizer: Tokenizer
) -> None:
    learned = [t.target for t in both[1].targets if t.target is not None]
    assert tiny_tokenizer.decode(learned) == "It jumped.<|im_end|>"
    everything = traced(answer="It jumped.", stage="mid").targets
    assert all(target.target is not None for target in everything)


def test_the_row_is_the_text(both: tuple[Trace, Trace], tiny_tokenizer: Tokenizer) -> None:
    targets = both[0].targets
    assert tiny_tokenizer.decode(t.target for t in targets) == TEXT
    assert [t.token for t in targets[1:]] == [t.target for t in targets[:-1]]


# --- the command ----------------------------------------------------------------------------------


def contents(directory: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_it_reads_well_in_a_pipe_and_leaves_the_run_alone(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    before = contents(run.directory)
    assert run_command(["trace", TEXT, "--layer", "1"]) == 0
    said = capsys.readouterr().out
    assert contents(run.directory) == before
    assert max(map(len, said.splitlines())) <= 80
    assert "\x1b" not in said
    assert "Block 0: the same" in said
    assert "\nBlock 1 ─" in said
    for hook in hooks.HOOKS.values():
        assert hook.title in said or hook.title == "the conversation"


def test_json_is_one_document_and_markdown_a_file(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "step.md"
    text = "a | b ``` *c* <b>"
    assert run_command(["trace", text, "--json", "--out", str(out)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["run"] == "toy"
    assert document["stage"] == "sft"
    assert document["loss_after"] < document["loss_before"]
    places = [entry["place"] for part in document["parts"] for entry in part["entries"]]
    assert all((SOURCE / place["file"]).is_file() for place in places)
    page = out.read_text(encoding="utf-8")
    assert page.startswith("# One training step of run toy")
    assert f"````text\ntext: {text}\n````" in page
    tables = re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE)
    assert len(tables) == 5
    for table in tables:
        assert len({line.replace(r"\|", "").count("|") for line in table.splitlines()}) == 1


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["trace", TEXT, "--run", "absent"], "--run absent"),
        (["trace", ""], "the text"),
        (["trace", " \n"], "the text"),
        (["trace", "word " * 100], "tokens"),
        (["trace", TEXT, "--chat", "--answer", "word " * 100], "tokens"),
        (["trace", TEXT, "--chat", "--answer", " "], "--answer"),
        (["trace", TEXT, "--answer", "Yes."], "--chat"),
        (["trace", TEXT, "--stage", "base"], "base"),
        (["trace", TEXT, "--fresh", "--stage", "sft"], "--stage"),
        (["trace", TEXT, "--layer", "2"], "--layer 2"),
        (["trace", "\udcff"], "UTF-8"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(
    run: Run, arguments: list[str], names: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert names in one_line(said.err)


def test_a_place_that_cannot_be_written_is_said(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert run_command(["trace", TEXT, "--out", str(tmp_path / "file" / "step.md")]) == 2
    assert "--out" in one_line(capsys.readouterr().err)


def test_a_text_of_one_token_is_a_row(run: Run) -> None:
    trace = traced(text="a")
    assert len(trace.targets) == 1
    assert trace.targets[0].target != IGNORE
