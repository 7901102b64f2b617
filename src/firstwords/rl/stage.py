"""The fourth training stage: reinforcement learning with rewards that a program can check.

Finetuning shows the model how others would answer. Here it answers by itself, a group of times to
each question, and a program grades them: answers better than the mean of their group become more
likely (`advantage.py`). It is the loop of the other stages on other batches (`rollouts.py`): some
rows hold the model's own answers, and the rest continue finetuning, or what no reward grades would
be lost.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path

from firstwords.common.errors import UserError
from firstwords.data import corpora
from firstwords.data.dataloader import BatchSampler
from firstwords.data.mixing import SourceSpec
from firstwords.data.starter.exam import CATEGORIES
from firstwords.model import hf_format
from firstwords.model.transformer import Transformer
from firstwords.recipe import RLConfig
from firstwords.rl.questions import (
    Draw,
    conversation_questions,
    graded_questions,
    prompt_questions,
)
from firstwords.rl.rewards import GradedReward, OwnReward, Reward
from firstwords.rl.rollouts import RolloutBatches
from firstwords.runs.datasets import load_tokenizer, open_conversations
from firstwords.runs.run import Run
from firstwords.training.distributed import World
from firstwords.training.loop import gradients
from firstwords.training.session import Session
from firstwords.training.setup import build
from firstwords.training.stages import chat_rows, train_on_batches

N_CONVERSATIONS = 2000  # of the run's data, whose questions an own reward's answers are for
SEED_OF_ROWS = 3 << 32  # added to the run's: the order of the rows is that of no other stage


def reinforce(session: Session) -> None:
    """Train the finetuned model on its own answers. Raises UserError if a reward fails."""
    run = session.run
    with session.world.raising_together():
        config, initial = rl_config(run), run.finished_or_fail("sft").directory
        check_processes(config, session.world)
    session.compiles = False  # batches have a different number of rows in every step
    with open_batches(session, config) as make_batches:
        train_on_batches(
            session, "rl", make_batches, lambda model: hf_format.load_weights(model, initial)
        )


@contextmanager
def open_batches(
    session: Session, config: RLConfig
) -> Iterator[Callable[[Transformer], RolloutBatches]]:
    """Yield a function that makes the batches of a model in training."""
    run = session.run
    initial, tokenizer = run.finished_or_fail("sft").directory, load_tokenizer(run)
    reference = hf_format.load_model(initial, run.recipe.device)
    rows = chat_rows(session, config.seq_len, assistant_only=True)
    sft = BatchSampler(rows, config.sft_rows, SEED_OF_ROWS + run.recipe.seed)
    with ExitStack() as opened:
        with session.world.raising_together():
            draw, reward = opened.enter_context(open_reward(run))
        yield lambda model: RolloutBatches(
            model,
            reference,
            tokenizer,
            config,
            run.recipe.seed,
            draw,
            reward,
            sft,
            world=session.world,
        )


def seconds_per_step(session: Session) -> float:
    """Measure a step: answers, rewards and gradients, without an update. Takes two steps, by all
    processes."""
    run, config = session.run, rl_config(session.run)
    model = Transformer(run.recipe.model, run.recipe.attention)
    hf_format.load_weights(model, run.finished_or_fail("sft").directory)
    state = build(run.recipe.replace(compile=False), model, session.world, config)
    with open_batches(session, config) as make_batches:
        batches = make_batches(model)
        for step in range(2):  # the first one builds and loads
            start = time.perf_counter()
            gradients(state, batches.batch(step), config.micro_batch_size)
    return time.perf_counter() - start


def rl_config(run: Run) -> RLConfig:
    """Return the configuration of the stage. Raises UserError if the run leaves it out."""
    if run.recipe.rl is None:
        raise UserError(
            f"run {run.name} has no stage rl",
            f"start one from its model: firstwords rl --from {run.name}",
        )
    return run.recipe.rl


def check_processes(config: RLConfig, world: World) -> None:
    """Raise UserError if some process would get no question or no row."""
    if min(config.questions, config.sft_rows) < world.size:
        raise UserError(
            f"{config.questions} questions and {config.sft_rows} rows of finetuning in a step of "
            f"rl are too few for {world.size} processes",
            "start fewer processes, or another run with --set rl.batch_size and rl.sft_rows",
        )


def check_reward(config: RLConfig, chat_data: SourceSpec) -> None:
    """Raise UserError if nothing can grade answers to the questions of these conversations."""
    if config.reward:
        if not Path(config.reward).is_file():
            raise UserError(f"--reward {config.reward} does not exist", "name a Python file")
        return
    if not corpora.open_corpus(chat_data, "--chat-data").has_starter:
        raise UserError(
            "the rules of rl are for questions of the starter curriculum, and the conversations "
            "are others",
            "write a reward and name it: firstwords rl --reward FILE",
        )
    if unknown := [kind for kind in config.kinds if kind not in CATEGORIES]:
        raise UserError(
            f"rl.kinds has {unknown[0]!r}, which is no part of the exam",
            f"choose from {', '.join(CATEGORIES)}",
        )


@contextmanager
def open_reward(run: Run) -> Iterator[tuple[Draw, Reward]]:
    """Yield the questions and the reward of a run. Raises UserError."""
    config, seed = rl_config(run), run.recipe.seed
    check_reward(config, run.manifest.sources.chat_data)
    if not config.reward:
        yield graded_questions(seed, config.kinds), GradedReward()
        return
    with OwnReward(Path(config.reward)) as reward:
        if reward.prompts:
            yield prompt_questions(seed, reward.prompts), reward
        else:
            found = corpora.conversations(open_conversations(run), "train", seed)
            yield conversation_questions(seed, list(islice(found, N_CONVERSATIONS))), reward
