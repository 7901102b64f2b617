"""A trace shows the real training step: the same bytes, correct counts, existing lines of code."""

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
from factories import save_tokenizer

import firstwords
from firstwords.cli.main import run_command
from firstwords.data.dataloader import IGNORE_INDEX, BatchSampler
from firstwords.inspect.trace import hooks
from firstwords.inspect.trace.entries import TraceEntry
from firstwords.inspect.trace.inputs import TraceInput, TraceRequest, open_input
from firstwords.inspect.trace.trace_step import Trace, trace_step
from firstwords.model import hf_format
from firstwords.model.size import matmul_parameters
from firstwords.model.transformer import Transformer
from firstwords.recipe import ModelConfig, Recipe, StageConfig
from firstwords.runs import registry
from firstwords.runs.manifest import Manifest, Sources, now
from firstwords.runs.run import Run
from firstwords.tokenizer.bpe import Tokenizer
from firstwords.training import checkpoint
from firstwords.training.loop import train
from firstwords.training.setup import build

TEXT = "The old fox jumped over seven stones."
SOURCE = Path(firstwords.__file__).parent.parent


@pytest.fixture(scope="module")
def untrained_run(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_model: ModelConfig,
    tiny_tokenizer: Tokenizer,
    random_model: Callable[..., Transformer],
) -> Run:
    """A run with a midtrained and a finetuned model, both with random weights."""
    stage = StageConfig(steps=10, batch_size=4, micro_batch_size=2, seq_len=64, warmup_steps=4)
    recipe = Recipe(
        n_threads=1,
        kernel="native",
        tokenizer_bytes=1000,
        model=tiny_model,
        pretrain=stage,
        midtrain=stage,
        sft=stage,
    )
    manifest = Manifest(
        firstwords="0",
        created=now(),
        time=60,
        sources=Sources(),
        recipe=recipe,
        machine={},
        predicted={},
    )
    home = tmp_path_factory.mktemp("trace")
    run = registry.create_run(home / "runs" / "toy", manifest)
    save_tokenizer(run, tiny_tokenizer)
    for seed, name in enumerate(("midtrain", "sft")):
        state = build(recipe, random_model(tiny_model, seed))
        for parameter in state.model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        state.optimizer.step(0.0)  # AdamW has state from the first step on
        state.optimizer.steps = 10
        checkpoint.save_checkpoint(
            run.checkpoints(name), state.model, tiny_tokenizer, state.optimizer.state()
        )
    return run


@pytest.fixture
def run(untrained_run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("FIRSTWORDS_HOME", str(untrained_run.directory.parents[1]))
    return untrained_run


@pytest.fixture(scope="module")
def traces(untrained_run: Run) -> tuple[Trace, Trace, Trace]:
    """Traces of a text, of a conversation, and of a text with plain attention."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRSTWORDS_HOME", str(untrained_run.directory.parents[1]))
        return trace_text(), trace_text(answer="It jumped."), trace_with_plain_attention()


def trace_text(**request: Any) -> Trace:
    with open_input(TraceRequest(**{"text": TEXT} | request)) as inputs:
        return trace_step(inputs)


def trace_with_plain_attention() -> Trace:
    with open_input(TraceRequest(TEXT)) as inputs:
        return trace_step(with_plain_attention(inputs))


def with_plain_attention(inputs: TraceInput) -> TraceInput:
    model = Transformer(inputs.recipe.model, "plain")
    model.load_state_dict(inputs.model.state_dict())
    return inputs._replace(model=model, recipe=inputs.recipe.replace(attention="plain"))


def entries(trace: Trace) -> Iterator[TraceEntry]:
    return (entry for part in trace.parts for entry in part.entries)


# --- the step -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("answer", [None, "It jumped."])
def test_recording_changes_no_byte_of_the_step(run: Run, answer: str | None, dtype: str) -> None:
    with open_input(TraceRequest(TEXT, answer)) as inputs:
        recipe = inputs.recipe.replace(dtype=dtype)
        inputs = inputs._replace(recipe=recipe)
        model = hf_format.load_model(run.newest_of("sft")[1].directory)
        batches = BatchSampler(inputs.rows, 1, recipe.seed)
        step = next(train(build(recipe, model), batches, inputs.config))
        trace = trace_step(inputs)
        assert trace.loss_before == step.loss
        for name, tensor in inputs.model.state_dict().items():
            assert torch.equal(tensor, model.state_dict()[name]), name


def test_losses_are_those_of_the_model(run: Run) -> None:
    with open_input(TraceRequest(TEXT)) as inputs:
        x_BT, y_BT = BatchSampler(inputs.rows, 1, 0).batch(0)[:2]
        before = inputs.model.loss(x_BT, y_BT).item()
        trace = trace_step(inputs)
        after_N = inputs.model.loss(x_BT, y_BT, reduction="none")
    assert trace.loss_before == pytest.approx(before, rel=1e-5)
    assert trace.loss_after == pytest.approx(after_N.mean().item(), rel=1e-5)
    assert trace.loss_after < trace.loss_before
    after = [target.after for target in trace.targets]
    assert after == pytest.approx(after_N.neg().exp().tolist(), rel=1e-4)
    before_N = [target.before for target in trace.targets]
    assert -sum(math.log(p) for p in before_N if p) / len(before_N) == pytest.approx(
        before, rel=1e-4
    )


def test_initial_weights_predict_uniformly_and_the_step_lowers_the_loss(run: Run) -> None:
    trace = trace_text(fresh=True)
    assert (trace.stage, trace.step) == ("fresh", 0)
    assert trace.loss_before == pytest.approx(math.log(run.recipe.model.vocab_size), rel=0.05)
    assert trace.loss_after < trace.loss_before


def test_learning_rate_is_that_of_the_first_step_of_a_stage(traces: tuple[Trace, ...]) -> None:
    assert traces[0].learning_rate == pytest.approx(1 / 4)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_flops_are_the_matrix_products_of_the_step(
    traces: tuple[Trace, ...], tiny_model: ModelConfig, index: int
) -> None:
    trace, model = traces[index], tiny_model
    positions = len(trace.targets)
    n_targets = sum(target.target is not None for target in trace.targets)
    eighth = max(1, positions // 8)
    at_head = n_targets + -n_targets % eighth
    head = model.n_embd * model.vocab_size
    products = (matmul_parameters(model) - head) * positions + head * at_head
    scores = model.n_layer * model.n_head * model.head_dim * positions**2
    assert trace.flops.forward == 2 * products + 4 * scores
    # The fused kernel computes the scores again in backward, plain attention keeps them.
    assert trace.flops.backward == 4 * products + (8 if index == 2 else 10) * scores
    assert (
        trace.flops.by_formula
        == 6 * matmul_parameters(model) * positions
        + 12 * (model.n_layer * model.n_head * model.head_dim * positions // 2) * positions
    )
    assert trace.flops.optimizer > 0


def test_gradients_and_updates_are_those_of_the_parameters(run: Run) -> None:
    with open_input(TraceRequest(TEXT)) as inputs:
        old = {name: p.detach().clone() for name, p in inputs.model.named_parameters()}
        x_BT, y_BT = BatchSampler(inputs.rows, 1, 0).batch(0)[:2]
        inputs.model.loss(x_BT, y_BT).backward()
        gradients = {name: p.grad.norm().item() for name, p in inputs.model.named_parameters()}
        inputs.model.zero_grad(set_to_none=True)
        trace = trace_step(inputs)
        new = dict(inputs.model.named_parameters())
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


# --- entries --------------------------------------------------------------------------------------


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


def test_shapes_in_words_match_the_model(
    traces: tuple[Trace, ...], tiny_model: ModelConfig
) -> None:
    trace = traces[0]
    known = sizes(tiny_model, trace)
    seen = set()
    for part in trace.parts:
        for entry in part.entries if part.name in ("start", "block", "end") else ():
            counted = re.findall(r"([\d,]+) ([a-z][a-z -]*?)(?: x |$)", entry.shape_in_words)
            for size, what in counted:
                seen.add(what)
                if what == "heads" and entry.title == "rotary position":  # of queries, then of keys
                    assert int(size) in (known["heads"], known["key-value heads"])
                elif what != "positions":
                    assert int(size.replace(",", "")) == known[what], entry.title
    assert seen == {*known, "positions"}


def test_every_source_line_exists_in_its_function(traces: tuple[Trace, ...]) -> None:
    for entry in chain(*map(entries, traces)):
        for line in filter(None, (entry.line, entry.caller)):
            path = SOURCE / line.file
            lines = path.read_text(encoding="utf-8").splitlines()
            assert lines[line.line - 1].strip() == line.code
            spans = [
                (node.lineno, node.end_lineno)
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                if isinstance(node, ast.FunctionDef) and node.name == line.function.split(".")[-1]
            ]
            assert any(first <= line.line <= last for first, last in spans), line


def test_source_line_contains_the_module_or_operation(traces: tuple[Trace, ...]) -> None:
    signs = {"add": "+", "mul": "*", "div": "/", "getitem": "["}
    for entry in entries(traces[0]):
        *_, last = entry.hook.split(".")
        if entry.operations and entry.hook != entry.line.function:  # a function as a whole
            code = f"{entry.caller.code if entry.caller else ''} {entry.line.code}"
            word = "adam.step" if last == "_fused_adamw_" else signs.get(last, last)
            assert word in code, entry


def test_every_operation_has_a_hook_and_every_hook_occurs(
    traces: tuple[Trace, ...],
) -> None:
    assert {entry.hook for entry in chain(*map(entries, traces))} == set(hooks.HOOKS)


def test_module_without_a_hook_is_shown_without_an_explanation(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(hooks.HOOKS, "self_attn.v_proj")
    (first,) = [part for part in trace_text().parts if part.block == 0]
    found = next(entry for entry in first.entries if entry.hook == "self_attn.v_proj")
    assert (found.title, found.why) == ("self_attn.v_proj", "")
    assert "linear" in found.operations


def test_entries_of_a_block_are_in_the_order_of_the_data(traces: tuple[Trace, ...]) -> None:
    blocks = [part for part in traces[0].parts if part.block is not None]
    assert [part.block for part in blocks] == [0, 1]
    titles = [entry.hook for entry in blocks[0].entries]
    assert titles == [
        "input_layernorm",
        "self_attn.q_proj",
        "self_attn.k_proj",
        "self_attn.v_proj",
        "self_attn.q_norm",
        "apply_rope",
        "self_attn.k_norm",
        "apply_rope",
        "fused_attention.scaled_dot_product_attention",
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


def test_plain_attention_has_an_entry_with_its_flops(traces: tuple[Trace, ...]) -> None:
    fused, plain = traces[0], traces[2]
    (fused_entry,) = block_entries(fused, "fused_attention.scaled_dot_product_attention")
    (plain_entry,) = block_entries(plain, "plain_attention")
    assert plain_entry.title == fused_entry.title == "attention"
    assert plain_entry.flops == fused_entry.flops > 0
    assert plain_entry.shape == fused_entry.shape
    assert plain_entry.values == pytest.approx(fused_entry.values, rel=1e-4, abs=1e-6)
    assert plain_entry.caller is not None
    assert "self.attend" in plain_entry.caller.code
    assert [entry.flops for entry in block_entries(plain, "apply_rope")] == [0, 0]
    assert plain.flops.forward == fused.flops.forward
    assert plain.loss_before == pytest.approx(fused.loss_before, rel=1e-5)


def block_entries(trace: Trace, hook: str) -> list[TraceEntry]:
    (block,) = [part for part in trace.parts if part.block == 0]
    return [entry for entry in block.entries if entry.hook == hook]


def test_model_is_loaded_with_the_attention_of_the_recipe(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = run.recipe.replace(attention="plain")
    monkeypatch.setattr(Run, "recipe", property(lambda run: recipe))
    for fresh in (False, True):
        hooks_used = {entry.hook for entry in entries(trace_text(fresh=fresh))}
        assert "plain_attention" in hooks_used
        assert "fused_attention.scaled_dot_product_attention" not in hooks_used


def test_values_are_those_of_the_last_position(run: Run) -> None:
    with open_input(TraceRequest(TEXT)) as inputs:
        x_BT = BatchSampler(inputs.rows, 1, 0).batch(0).x_BT
        states_TC = inputs.model.hidden(x_BT)[0].detach()
        trace = trace_step(inputs)
    final = next(entry for entry in entries(trace) if entry.hook == "norm")
    assert final.values == pytest.approx(states_TC[-1, :4].tolist(), rel=1e-4)
    assert final.rms == pytest.approx(states_TC.square().mean().sqrt().item(), rel=1e-4)


def test_sft_targets_only_the_answer_and_midtraining_every_token(
    run: Run, traces: tuple[Trace, ...], tiny_tokenizer: Tokenizer
) -> None:
    targets = [t.target for t in traces[1].targets if t.target is not None]
    assert tiny_tokenizer.decode(targets) == "It jumped.<|im_end|>"
    midtrain = trace_text(answer="It jumped.", stage="midtrain").targets
    assert all(target.target is not None for target in midtrain)


def test_row_is_the_text(traces: tuple[Trace, ...], tiny_tokenizer: Tokenizer) -> None:
    targets = traces[0].targets
    assert tiny_tokenizer.decode(t.target for t in targets) == TEXT
    assert [t.token for t in targets[1:]] == [t.target for t in targets[:-1]]


# --- the command ----------------------------------------------------------------------------------


def contents(directory: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_output_fits_80_columns_in_a_pipe_and_the_run_is_unchanged(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    before = contents(run.directory)
    assert run_command(["trace", TEXT, "--layer", "1"]) == 0
    out = capsys.readouterr().out
    assert contents(run.directory) == before
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out
    assert "Block 0: the same" in out
    assert "\nBlock 1 ─" in out
    for hook in hooks.HOOKS.values():
        assert hook.title in out or hook.title == "conversation"


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
    lines = [entry["line"] for part in document["parts"] for entry in part["entries"]]
    assert all((SOURCE / line["file"]).is_file() for line in lines)
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
        (["trace", TEXT, "--run", "absent"], "run absent does not exist"),
        (["trace", ""], "the text"),
        (["trace", " \n"], "the text"),
        (["trace", "word " * 100], "tokens"),
        (["trace", TEXT, "--chat", "--answer", "word " * 100], "tokens"),
        (["trace", TEXT, "--chat", "--answer", " "], "--answer"),
        (["trace", TEXT, "--answer", "Yes."], "--chat"),
        (["trace", TEXT, "--stage", "pretrain"], "pretrain"),
        (["trace", TEXT, "--fresh", "--stage", "sft"], "--stage"),
        (["trace", TEXT, "--layer", "2"], "--layer 2"),
        (["trace", "\udcff"], "UTF-8"),
    ],
)
def test_wrong_input_exits_with_2_and_one_line(
    run: Run, arguments: list[str], names: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert names in one_line(captured.err)


def test_unwritable_output_is_an_error(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert run_command(["trace", TEXT, "--out", str(tmp_path / "file" / "step.md")]) == 2
    assert "--out" in one_line(capsys.readouterr().err)


def test_text_of_one_token_is_a_row(run: Run) -> None:
    trace = trace_text(text="a")
    assert len(trace.targets) == 1
    assert trace.targets[0].target != IGNORE_INDEX
