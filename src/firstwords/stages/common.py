"""What all stages share: encoded data, a model to go on from, training with checkpoints."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from firstwords import checkpoint, console, machine
from firstwords import run as runs
from firstwords.data import corpora
from firstwords.data.rows import Batches, Rows
from firstwords.data.tokens import (
    Counts,
    TokenStore,
    store_conversations,
    store_texts,
    stored,
)
from firstwords.errors import Interrupted, UserError
from firstwords.model import Transformer
from firstwords.optimizer import Optimizer
from firstwords.recipe import STAGES, Stage
from firstwords.run import Run
from firstwords.signals import Stop
from firstwords.stages.tokenizer import take
from firstwords.tokenizer import END_OF_TEXT, Tokenizer
from firstwords.training import Step, loss_function, torch_dtype, train

CHECKPOINT_SECONDS = 30.0  # at most this much training is lost when the plug is pulled
BYTES_PER_TOKEN = 4  # about, for bounds that need not be exact


def text_store(run: Run, tokenizer: Tokenizer, split: corpora.Split) -> TokenStore:
    """The run's text as tokens: as much as pretraining reads, or all there is."""
    wanted = run.recipe.base.tokens + run.recipe.base.seq_len
    if split == "val":
        wanted = run.recipe.val_bytes  # all of it: a token has at least a byte

    def store(directory: Path) -> TokenStore:
        corpus = corpora.open_corpus(run.manifest.sources.data, "--data")
        documents = corpora.texts(corpus, split, run.recipe.seed)
        if split == "val":
            documents = take(documents, run.recipe.val_bytes)
        with console.progress(f"encoding text ({split})", wanted, "tokens") as meter:
            return store_texts(directory, documents, tokenizer, wanted, follow(meter))

    return _stored_or(run.tokens("text", split), store)


def chat_store(run: Run, tokenizer: Tokenizer, split: corpora.Split) -> TokenStore:
    """The run's conversations as tokens: as many as the chat stages read, or all there are."""
    wanted = max(run.recipe.mid.tokens, run.recipe.sft.tokens)
    if split == "val":
        wanted = min(wanted, run.recipe.val_bytes // BYTES_PER_TOKEN)

    def store(directory: Path) -> TokenStore:
        corpus = corpora.open_corpus(run.manifest.sources.chat_data, "--chat-data")
        conversations = corpora.conversations(corpus, split, run.recipe.seed)
        with console.progress(f"encoding conversations ({split})", wanted, "tokens") as meter:
            return store_conversations(directory, conversations, tokenizer, wanted, follow(meter))

    return _stored_or(run.tokens("chat", split), store)


def _stored_or(directory: Path, store: Callable[[Path], TokenStore]) -> TokenStore:
    tokens = stored(directory) or store(directory)
    if len(tokens) == 0:
        raise UserError(
            f"nothing was left for {directory.parent.name}/{directory.name}",
            "give more data: at least two documents and two conversations",
        )
    return tokens


def follow(meter: console.Meter) -> Callable[[Counts], None]:
    """Show the tokens counted so far."""
    return lambda counts: meter.advance(counts.tokens - meter.done)


def load_tokenizer(run: Run) -> Tokenizer:
    if not run.tokenizer_path.exists():
        raise UserError(
            f"run {run.name} has no tokenizer yet",
            f"first run: firstwords tokenizer --run {run.name}",
        )
    return Tokenizer.load(run.tokenizer_path)


def weights_of(run: Run, stage: Stage) -> Callable[[Transformer], None]:
    """Start from the final weights of an earlier stage."""
    found = run.finished_or_fail(stage)
    return lambda model: checkpoint.load_weights(model, found.directory)


def train_stage(
    run: Run, stage: Stage, rows: Rows, start: Callable[[Transformer], Any], stop: Stop
) -> None:
    """Train one stage to its end, from its newest checkpoint or from `start`.

    Raises Interrupted after saving, and UserError if the data does not fill a batch.
    """
    recipe, config = run.recipe, run.recipe.stage(stage)
    if len(rows) < config.batch_rows:
        raise UserError(
            f"the data for {stage} fills {len(rows)} rows of {config.seq_len} tokens",
            f"one batch needs {config.batch_rows}; add data, or give less --time",
        )
    tokenizer = load_tokenizer(run)
    model = Transformer(recipe.model)
    optimizer = Optimizer(model, recipe.optimizer, torch_dtype(recipe))
    resumed = run.newest(stage)
    if resumed:
        checkpoint.load_weights(model, resumed.directory)
        checkpoint.load_optimizer(optimizer, resumed.directory)
        console.say(f"continuing after step {resumed.step:,} of {config.steps:,}")
    else:
        start(model)
    checkpoint.remove_after(run.checkpoints(stage), optimizer.steps)
    runs.keep_metrics(run.metrics(stage), optimizer.steps)
    if optimizer.steps >= config.steps:
        return
    batches = Batches(rows, config.batch_rows, seed=recipe.seed * len(STAGES) + STAGES.index(stage))
    _train(run, stage, model, tokenizer, optimizer, batches, stop)


def _train(
    run: Run,
    stage: Stage,
    model: Transformer,
    tokenizer: Tokenizer,
    optimizer: Optimizer,
    batches: Batches,
    stop: Stop,
) -> None:
    config = run.recipe.stage(stage)
    saved_at = time.monotonic()
    smooth = 0.0
    if run.recipe.compile:
        console.say("compiling the training step (up to a minute the first time)")
    with (
        run.metrics(stage).open("a", encoding="utf-8") as log,
        console.progress(
            stage, config.tokens, "tokens", optimizer.steps * config.batch_tokens
        ) as meter,
        stop.deferred(),
    ):

        def on_step(step: Step) -> bool:
            nonlocal saved_at, smooth
            log.write(json.dumps(step._asdict()) + "\n")
            log.flush()
            smooth = step.loss if smooth == 0 else 0.9 * smooth + 0.1 * step.loss
            memory = console.size(machine.memory_used())
            meter.advance(
                config.batch_tokens,
                f"step {step.step:,}/{config.steps:,}  loss {smooth:.3f}  memory {memory}",
            )
            due = time.monotonic() - saved_at > CHECKPOINT_SECONDS
            if due or stop.requested or step.step == config.steps:
                checkpoint.save(run.checkpoints(stage), model, tokenizer, optimizer)
                saved_at = time.monotonic()
            return not stop.requested

        train(loss_function(model, run.recipe), optimizer, batches, config, on_step)
    if stop.requested:
        raise Interrupted(f"{stage}, step {optimizer.steps:,} of {config.steps:,}")


def padding(tokenizer: Tokenizer) -> int:
    return tokenizer.special(END_OF_TEXT)
