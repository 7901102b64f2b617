"""The training stages of a run: pretrain, midtrain, sft; and what `rl/stage.py` shares with them.

pretrain starts from random weights, or those of another run (`train --from`), and predicts the next
token of plain text. All knowledge of language and the world starts here. Documents follow each
other in rows of equal length, and every token is a target.

midtrain shows the pretrained model conversations: their special tokens, whose turn it is, how a
tool is called. Every token is still a target, questions included. Conversations are packed whole
into rows; only those longer than a row are split.

sft, supervised finetuning, continues on conversations, with only the assistant's tokens as targets:
the model learns to answer, not to ask. The last piece of a conversation longer than a row keeps as
much context as fits, so that an answer is not trained without its question.

Both chat stages mix in a share of plain text, or what only text taught would be forgotten.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch

from firstwords.common import console
from firstwords.common.errors import Interrupted, UserError
from firstwords.common.memory import release_freed_memory, used_memory
from firstwords.common.units import format_size
from firstwords.data.dataloader import (
    Batches,
    BatchSampler,
    MixedRows,
    PackedRows,
    RepeatedTokenRows,
    Rows,
    TextRows,
    n_rows_for_fraction,
)
from firstwords.model import hf_format
from firstwords.model.transformer import Transformer
from firstwords.recipe import REQUIRED_STAGES, Stage
from firstwords.runs import checkpoints
from firstwords.runs.datasets import chat_store, load_tokenizer, text_store
from firstwords.runs.metrics import truncate_metrics
from firstwords.runs.origins import start_weights
from firstwords.runs.run import Run
from firstwords.training.checkpoint import CheckpointWriter, load_optimizer, save_checkpoint
from firstwords.training.loop import train, warm_up
from firstwords.training.session import Session
from firstwords.training.setup import TrainState, build


def pretrain(session: Session) -> None:
    """Train on text, from random weights or those of another run.

    Some rows repeat random tokens: they keep the induction heads of the initial weights
    (`model/induction_init.py`) in use while the model still learns the commonest words, to which
    these heads contribute little (docs/lab-notebook.md#induction-heads).
    """
    run, recipe = session.run, session.run.recipe
    if recipe.pretrain.steps == 0:
        skip_stage(session, "pretrain", lambda model: _set_start(run, model))
        return
    tokenizer, seq_len = load_tokenizer(run), recipe.pretrain.seq_len
    with session.world.main_process_first():
        store = text_store(run, tokenizer, "train")
    text = TextRows(store, seq_len, tokenizer.pad_id)
    n_repeated = n_rows_for_fraction(len(text), recipe.repeat_fraction)
    repeated = RepeatedTokenRows(tokenizer.vocab_size, seq_len, n_repeated, recipe.seed)
    rows = MixedRows(text, repeated, n_repeated)
    train_stage(session, "pretrain", rows, lambda model: _set_start(run, model))


def _set_start(run: Run, model: Transformer) -> None:
    """Set the weights that a run starts from: random ones, or those of another run."""
    if run.manifest.origin:
        hf_format.load_weights(model, start_weights(run))
    else:
        model.init_weights(run.recipe.seed)


def midtrain(session: Session) -> None:
    """Train the pretrained model on conversations, every token a target."""
    train_on_chat(session, "midtrain", after="pretrain", assistant_only=False)


def finetune(session: Session) -> None:
    """Train the midtrained model on conversations, only the assistant's tokens as targets."""
    train_on_chat(session, "sft", after="midtrain", assistant_only=True)


def train_on_chat(session: Session, stage: Stage, after: Stage, assistant_only: bool) -> None:
    """Train a stage on conversations and a share of text, from the final weights of `after`."""
    config = session.run.recipe.stage(stage)
    initial = session.run.finished_or_fail(after).directory

    def set_initial(model: Transformer) -> None:
        hf_format.load_weights(model, initial)

    if config.steps == 0:
        skip_stage(session, stage, set_initial)
    else:
        train_stage(session, stage, chat_rows(session, config.seq_len, assistant_only), set_initial)


def chat_rows(session: Session, seq_len: int, assistant_only: bool) -> Rows:
    """Return the rows of a stage on conversations, with a share of text."""
    run, tokenizer = session.run, load_tokenizer(session.run)
    with session.world.main_process_first():
        conversations = chat_store(run, tokenizer, "train")
        texts = text_store(run, tokenizer, "train")
    chat = PackedRows(conversations, seq_len, tokenizer.pad_id, assistant_only)
    if chat.n_split:
        console.say(f"splitting {chat.n_split:,} conversations that are longer than a row")
    text = TextRows(texts, seq_len, tokenizer.pad_id)
    n_text = n_rows_for_fraction(len(chat), run.recipe.replay_fraction)
    return MixedRows(chat, text, n_text)


def skip_stage(
    session: Session, stage: Stage, set_initial: Callable[[Transformer], object]
) -> None:
    """Save the model that a stage without steps begins with as its result, so that it is evaluated
    and the next stage finds it."""
    run = session.run
    if not session.world.is_main:
        return
    model, tokenizer = Transformer(run.recipe.model), load_tokenizer(run)
    set_initial(model)
    save_checkpoint(run.checkpoints(stage), model, tokenizer, {"steps": torch.tensor(0)})
    with ExitStack() as opened:  # a growth sample shows what the model begins with
        for factory in session.callbacks:
            opened.enter_context(factory(stage, lambda: model, tokenizer, 0))


def train_stage(
    session: Session, stage: Stage, rows: Rows, set_initial: Callable[[Transformer], object]
) -> None:
    """Train one stage on rows to its end, from its newest checkpoint or else from `set_initial`."""
    recipe = session.run.recipe
    seed = recipe.seed * len(REQUIRED_STAGES) + REQUIRED_STAGES.index(stage)
    batches = BatchSampler(rows, recipe.stage(stage).batch_size, seed)
    train_on_batches(session, stage, lambda model: batches, set_initial)


def train_on_batches(
    session: Session,
    stage: Stage,
    make_batches: Callable[[Transformer], Batches],
    set_initial: Callable[[Transformer], object],
) -> None:
    """Train one stage to its end, on the batches that `make_batches` makes for the model.

    Raises Interrupted after saving a checkpoint, if asked to stop.
    """
    run, world = session.run, session.world
    recipe, config = run.recipe.replace(compile=session.compiles), run.recipe.stage(stage)
    # Built on the CPU, so that the initial weights are the same for every device.
    model = Transformer(recipe.model, recipe.attention)
    with world.main_process_first():
        resumed = run.newest(stage)
        if resumed:
            hf_format.load_weights(model, resumed.directory)
            console.say(f"resuming after step {resumed.step:,} of {config.steps:,}")
        else:
            set_initial(model)
        if world.is_main:
            steps_done = resumed.step if resumed else 0
            checkpoints.remove_checkpoints_after(run.checkpoints(stage), steps_done)
            if n_missing := truncate_metrics(run.metrics(stage), steps_done):
                console.warn(
                    f"{run.metrics(stage)} lacks {n_missing:,} of {steps_done:,} steps; curves and "
                    "averages leave them out"
                )
    state = build(recipe, model, world, config)
    if resumed:
        load_optimizer(state.optimizer, resumed.directory)
    if state.optimizer.steps < config.steps:
        _train(session, stage, state, make_batches(model))


def _train(session: Session, stage: Stage, state: TrainState, batches: Batches) -> None:
    """Take the remaining steps: write metrics and checkpoints, show progress, run callbacks."""
    run, world, stop = session.run, session.world, session.stop
    config, optimizer, sync = run.recipe.stage(stage), state.optimizer, state.sync
    tokenizer = load_tokenizer(run)
    if session.compiles:
        console.say("compiling the training step (up to a minute the first time)")
        session.compiles = warm_up(state, batches, config)
    release_freed_memory()  # some 200 MB that generating and encoding the data took
    metrics_path = run.metrics(stage) if world.is_main else Path(os.devnull)
    smoothed_loss, memory = 0.0, format_size(used_memory())
    with (
        metrics_path.open("a", encoding="utf-8") as log,
        console.progress(
            stage, config.tokens, "tokens", optimizer.steps * config.batch_tokens
        ) as meter,
        ExitStack() as opened,
        CheckpointWriter(run.checkpoints(stage), tokenizer, log) as writer,
        stop.deferred(),
    ):
        callbacks = [
            opened.enter_context(factory(stage, sync.snapshot, tokenizer, optimizer.steps))
            for factory in session.callbacks
        ]

        def save() -> None:
            snapshot, optimizer_state = sync.snapshot(), sync.optimizer_state(optimizer)
            if snapshot is not None:
                writer.save(snapshot, optimizer_state)
            session.record_time()

        with _saving_on_user_error(save):
            for step in train(state, batches, config):
                log.write(json.dumps(step._asdict() | batches.metrics) + "\n")
                log.flush()
                if smoothed_loss == 0.0:
                    smoothed_loss = step.loss
                smoothed_loss = 0.9 * smoothed_loss + 0.1 * step.loss
                if step.update_norm is not None:  # every tenth step, since asking takes 0.7 ms
                    memory = format_size(used_memory())
                meter.advance(
                    config.batch_tokens,
                    f"step {step.step:,}/{config.steps:,}  loss {smoothed_loss:.3f}  "
                    f"{batches.summary}memory {memory}",
                )
                for callback in callbacks:
                    callback(step)
                # Every process learns whether any was asked to stop, so that all stop together.
                due, stopping = world.all_reduce_sum(world.is_main and writer.due(), stop.requested)
                if due or stopping or step.step == config.steps:
                    save()
                if stopping:
                    break
    if optimizer.steps < config.steps:
        raise Interrupted(f"{stage}, step {optimizer.steps:,} of {config.steps:,}")


@contextmanager
def _saving_on_user_error(save: Callable[[], None]) -> Iterator[None]:
    """Save a checkpoint if the user's own code stops training, so that no step is lost."""
    try:
        yield
    except UserError:
        save()
        raise
