"""What all stages share: encoded data, a model to go on from, training with checkpoints."""

import json
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from firstwords import checkpoint, console, files, machine
from firstwords import run as runs
from firstwords.data import corpora
from firstwords.data.rows import Batches, JoinedRows, PackedRows, Rows, TextRows, rows_beside
from firstwords.data.tokens import (
    Counts,
    TokenStore,
    store_conversations,
    store_texts,
    stored,
)
from firstwords.distributed import Exchange
from firstwords.errors import Interrupted, UserError
from firstwords.model import Transformer
from firstwords.optimizer import Optimizer
from firstwords.recipe import STAGES, Stage
from firstwords.run import Run
from firstwords.sharded import exchange_of
from firstwords.signals import Stop
from firstwords.stages.tokenizer import take
from firstwords.tokenizer import END_OF_TEXT, Tokenizer
from firstwords.training import Step, loss_function, torch_dtype, train, warm_up

CHECKPOINT_SECONDS = 30.0  # at most this much training is lost when the plug is pulled
WRITING_SHARE = 0.05  # of the time, at most: large checkpoints come less often
BYTES_PER_TOKEN = 4  # about, for bounds that need not be exact
WORTH_PROCESSES = 20_000_000  # tokens; starting them takes as long as they would save on fewer


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
        processes = encoders(wanted)
        _check_source(directory, corpus)
        with console.progress(f"encoding text ({split})", wanted, "tokens") as meter:
            return store_texts(directory, documents, tokenizer, wanted, follow(meter), processes)

    return _stored_or(run, "text", split, store)


def chat_store(run: Run, tokenizer: Tokenizer, split: corpora.Split) -> TokenStore:
    """The run's conversations as tokens: as many as the chat stages read together, or all there
    are. Both draw from all of them."""
    wanted = run.recipe.mid.tokens + run.recipe.sft.tokens
    if split == "val":
        wanted = min(wanted, run.recipe.val_bytes // BYTES_PER_TOKEN)

    def store(directory: Path) -> TokenStore:
        corpus = corpora.open_corpus(run.manifest.sources.chat_data, "--chat-data")
        conversations = corpora.conversations(corpus, split, run.recipe.seed)
        processes = encoders(wanted)
        _check_source(directory, corpus)
        with console.progress(f"encoding conversations ({split})", wanted, "tokens") as meter:
            return store_conversations(
                directory, conversations, tokenizer, wanted, follow(meter), processes
            )

    return _stored_or(run, "chat", split, store)


def encode_data(run: Run) -> None:
    """All that the run's stages and their evaluation will read."""
    tokenizer = load_tokenizer(run)
    for split in corpora.SPLITS:
        for kind, store in (("text", text_store), ("conversations", chat_store)):
            console.say(f"{kind} ({split}): {len(store(run, tokenizer, split)):,} tokens")


def encoders(wanted: int) -> int:
    """Processes that encode so many tokens."""
    return machine.physical_cores() if wanted >= WORTH_PROCESSES else 1


def _check_source(directory: Path, corpus: corpora.Corpus) -> None:
    """An encoding that was cut off goes on only while its files are the same: others would be read
    in another order, so some documents would come twice and some never."""
    path = directory.with_name(f"{directory.name}.source.json")
    found = [[file.name, file.stat().st_size] for file in (*corpus.files, *corpus.validation_files)]
    if directory.exists() and path.exists() and files.read_json(path) != found:
        console.warn(f"the files of {corpus.name} have changed: encoding starts anew")
        files.remove_directory(directory)
    files.write_json(path, found)


def _stored_or(
    run: Run, kind: str, split: corpora.Split, store: Callable[[Path], TokenStore]
) -> TokenStore:
    """The store, made now if it is not there. What is too small is not kept: it may grow.

    Raises UserError.
    """
    directory = run.tokens(kind, split)
    tokens = stored(directory) or store(directory)
    stage, option = (
        (run.recipe.base, "--data") if kind == "text" else (run.recipe.sft, "--chat-data")
    )
    fewest = stage.batch_tokens if split == "train" else 1
    if len(tokens) < fewest:
        files.remove_directory(directory)
        sources = run.manifest.sources
        source = sources.data if kind == "text" else sources.chat_data
        raise UserError(
            f"{option} {source} has {len(tokens):,} tokens to {split} with",
            f"one batch needs {fewest:,}; add data and give the same command",
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


def train_on_chat(run: Run, stage: Stage, after: Stage, masked: bool, stop: Stop) -> None:
    """Train a stage on conversations, with the recipe's share of plain text beside them, from the
    weights of the stage `after` which it comes. With `masked`, only what the assistant says in
    them is a target. Raises what `train_stage` does."""
    start = weights_of(run, after)
    tokenizer = load_tokenizer(run)
    pad, seq_len = padding(tokenizer), run.recipe.stage(stage).seq_len
    with run.world.leader_first():
        conversations = chat_store(run, tokenizer, "train")
        texts = text_store(run, tokenizer, "train")
    chat = PackedRows(conversations, seq_len, pad, masked)
    if chat.n_split:
        console.say(f"{chat.n_split:,} conversations are longer than a row: cut into pieces")
    text = TextRows(texts, seq_len, pad)
    rows = JoinedRows(chat, text, rows_beside(len(chat), run.recipe.replay))
    train_stage(run, stage, rows, start, stop)


def train_stage(
    run: Run, stage: Stage, rows: Rows, start: Callable[[Transformer], Any], stop: Stop
) -> None:
    """Train one stage to its end, from its newest checkpoint or from `start`.

    Raises Interrupted after saving, and UserError if the data does not fill a batch.
    """
    recipe, config = run.recipe, run.recipe.stage(stage)
    tokenizer = load_tokenizer(run)
    model = Transformer(recipe.model)  # on the processor: the same first weights for every device
    with run.world.leader_first():
        resumed = run.newest(stage)
        if resumed:
            checkpoint.load_weights(model, resumed.directory)
            console.say(f"continuing after step {resumed.step:,} of {config.steps:,}")
        else:
            start(model)
        if run.world.leads:
            done = resumed.step if resumed else 0
            checkpoint.remove_after(run.checkpoints(stage), done)
            runs.keep_metrics(run.metrics(stage), done)
    exchange = exchange_of(recipe, run.world, model)
    optimizer = Optimizer(model, recipe.optimizer, torch_dtype(recipe), exchange.owned)
    if resumed:
        checkpoint.load_optimizer(optimizer, resumed.directory)
    if optimizer.steps >= config.steps:
        return
    batches = Batches(rows, config.batch_rows, seed=recipe.seed * len(STAGES) + STAGES.index(stage))
    _train(run, stage, model, tokenizer, optimizer, exchange, batches, stop)


def _train(
    run: Run,
    stage: Stage,
    model: Transformer,
    tokenizer: Tokenizer,
    optimizer: Optimizer,
    exchange: Exchange,
    batches: Batches,
    stop: Stop,
) -> None:
    world = run.world
    config = run.recipe.stage(stage)
    loss = loss_function(model, run.recipe)
    if run.recipe.compile:
        console.say("compiling the training step (up to a minute the first time)")
        warm_up(loss, batches, config, exchange)
    saved_at, smooth = time.monotonic(), 0.0
    memory = console.size(machine.memory_used())
    log_path = run.metrics(stage) if world.leads else Path(os.devnull)
    with (
        log_path.open("a", encoding="utf-8") as log,
        console.progress(
            stage, config.tokens, "tokens", optimizer.steps * config.batch_tokens
        ) as meter,
        ExitStack() as watching,
        checkpoint.Writer(run.checkpoints(stage), tokenizer) as writer,
        stop.deferred(),
    ):
        told = [
            watching.enter_context(watch(stage, exchange.copy, tokenizer, optimizer.steps))
            for watch in run.watchers
        ]

        def on_step(step: Step) -> bool:
            nonlocal saved_at, smooth, memory
            log.write(json.dumps(step._asdict()) + "\n")
            log.flush()
            smooth = step.loss if smooth == 0 else 0.9 * smooth + 0.1 * step.loss
            if step.update is not None:  # seldom: asking takes 0.7 ms
                memory = console.size(machine.memory_used())
            meter.advance(
                config.batch_tokens,
                f"step {step.step:,}/{config.steps:,}  loss {smooth:.3f}  memory {memory}",
            )
            for tell in told:
                tell(step)
            often = max(CHECKPOINT_SECONDS, writer.seconds / WRITING_SHARE)
            due = world.leads and time.monotonic() - saved_at > often
            any_due, any_stop = world.total(due, stop.requested)
            if any_due or any_stop or step.step == config.steps:
                copy, state = exchange.copy(), exchange.state(optimizer)
                if copy:
                    writer.save(copy, state)
                run.keep_time()
                saved_at = time.monotonic()
            return not any_stop

        train(loss, optimizer, batches, config, on_step, exchange)
    if optimizer.steps < config.steps:
        raise Interrupted(f"{stage}, step {optimizer.steps:,} of {config.steps:,}")


def padding(tokenizer: Tokenizer) -> int:
    return tokenizer.special(END_OF_TEXT)
