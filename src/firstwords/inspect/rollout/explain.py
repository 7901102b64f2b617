"""Take one step of reinforcement learning on one question, and record what it moves.

The group of answers, their rewards and advantages, and the update are those of training
(`rl/rollouts.py`, `training/loop.py`), on a copy of the run's model: the run stays as it is. The
rows that continue finetuning are left out, so that everything that moves is moved by the rewards.
"""

import copy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from firstwords.common import devices
from firstwords.common.errors import UserError
from firstwords.data.dataloader import Batch, BatchSampler, PaddingRows
from firstwords.data.starter.exam import CATEGORIES
from firstwords.inference.batch import GeneratedAnswer
from firstwords.model import hf_format
from firstwords.model.transformer import Transformer
from firstwords.recipe import RLConfig, Stage
from firstwords.rl.questions import Question
from firstwords.rl.rollouts import RolloutBatches, Rollouts, answer_rows
from firstwords.rl.stage import open_reward
from firstwords.runs import registry
from firstwords.runs.checkpoints import Checkpoint
from firstwords.runs.datasets import load_tokenizer
from firstwords.runs.run import Run
from firstwords.tokenizer.bpe import Tokenizer
from firstwords.training.loop import train_step
from firstwords.training.setup import build

TRIES = 20  # questions in a row whose answers may all have the same reward
CONTEXT_TOKENS = 8  # shown before a token


class RolloutRequest(NamedTuple):
    """What to show; None where the user left it open."""

    run_name: str | None = None
    stage: Stage | None = None  # sft or rl
    kind: str | None = None  # a part of the exam
    reward: Path | None = None  # a file with the user's own reward
    question: int | None = None  # number in the run's endless sequence of questions


@dataclass(frozen=True)
class AnswerChange:
    """One answer of the group. `before` and `after` are its log-probabilities, in nats, summed over
    the tokens that the model sampled."""

    text: str
    tokens: int
    cut: bool
    reward: float
    advantage: float
    before: float
    after: float


@dataclass(frozen=True)
class TokenChange:
    """A token at a place that one or more of the answers share: they are equal up to it.

    `advantage` is the sum over these answers, which decides in which direction the token is pushed;
    `before` and `after` are its probabilities.
    """

    answers: tuple[int, ...]
    advantage: float
    context: str
    token: int
    text: str
    before: float
    after: float


@dataclass(frozen=True)
class Explanation:
    """One update. `equal_groups` counts the questions before this one that were skipped because
    all answers had the same reward. `tokens` are sorted by how far their probability moved."""

    run: str
    stage: Stage
    step: int
    question: int
    kind: str
    messages: list[dict[str, str]]
    rule: str
    expected: tuple[str, ...]
    equal_groups: int
    learning_rate: float
    mean_reward: float
    answers: tuple[AnswerChange, ...]
    tokens: tuple[TokenChange, ...]

    def document(self) -> dict[str, Any]:
        """Return the explanation as one JSON document."""
        return asdict(self)


class OneBatch:
    """The same batch in every step."""

    summary = ""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self.metrics: dict[str, Any] = {}

    def batch(self, step: int) -> Batch:
        return self._batch


def explain_rollout(request: RolloutRequest) -> Explanation:
    """Answer a question, grade the answers and take the step. Raises UserError."""
    run = registry.open_run(request.run_name)
    stage, checkpoint = _find_checkpoint(run, request.stage)
    config = _one_question(run, request)
    recipe = run.recipe.replace(rl=config, kernel="pytorch", compile=False)
    devices.configure_torch(recipe.n_threads)
    tokenizer = load_tokenizer(run)
    model = Transformer(recipe.model, recipe.attention)
    hf_format.load_weights(model, checkpoint.directory)
    state = build(recipe, model, stage=config)
    graded = Run(run.directory, run.manifest.replace(recipe=recipe))
    no_finetuning = BatchSampler(PaddingRows(config.seq_len), config.sft_rows, recipe.seed)
    with open_reward(graded) as (draw, reward):
        batches = RolloutBatches(
            model, model, tokenizer, config, recipe.seed, draw, reward, no_finetuning
        )
        first, number, rollouts = _find_mixed_group(batches, request.question)
    before = copy.deepcopy(model)
    rows = answer_rows(rollouts, config.seq_len, tokenizer.pad_id)
    if len(rows.x_BT):
        train_step(state, OneBatch(rows), config)
    question, answers = rollouts.questions[0], rollouts.answers[0]
    nats = [(token_nats(before, answer), token_nats(model, answer)) for answer in answers]
    return Explanation(
        run=run.name,
        stage=stage,
        step=checkpoint.step,
        question=number,
        kind=question.kind,
        messages=[dict(message) for message in question.messages],
        rule=_rule(config, question),
        expected=question.expected,
        equal_groups=number - first,
        learning_rate=config.lr_scale if len(rows.x_BT) else 0.0,
        mean_reward=float(rollouts.rewards_QG.mean()),
        answers=_answer_changes(rollouts, nats),
        tokens=token_changes(tokenizer, rollouts, nats),
    )


def _find_checkpoint(run: Run, stage: Stage | None) -> tuple[Stage, Checkpoint]:
    """Return the newest checkpoint of a stage that answers questions."""
    if stage is None:
        stage = "rl" if run.recipe.rl and run.newest("rl") else "sft"
    if stage == "sft":
        return stage, run.finished_or_fail(stage)
    return run.newest_of(stage)


def _one_question(run: Run, request: RolloutRequest) -> RLConfig:
    """Return the run's configuration, or that of the defaults, for one step with one question."""
    seq_len = run.recipe.model.max_seq_len
    config = run.recipe.rl or RLConfig(
        steps=1, seq_len=seq_len, max_answer_tokens=min(96, seq_len // 2)
    )
    changes: dict[str, Any] = {"steps": 1, "warmup_steps": 0, "decay_fraction": 0.0}
    changes |= {"sft_rows": 1, "batch_size": config.group_size + 1}
    if request.reward:
        changes["reward"] = str(request.reward.absolute())
    if request.kind is not None:
        if request.reward or config.reward:
            raise UserError(
                "--kind chooses questions for the exam's rules, not for an own reward",
                "leave it out",
            )
        if request.kind not in CATEGORIES:
            raise UserError(
                f"--kind {request.kind} is no part of the exam",
                f"choose from {', '.join(CATEGORIES)}",
            )
        changes["kinds"] = (request.kind,)
    return config.replace(**changes)


def _rule(config: RLConfig, question: Question) -> str:
    return Path(config.reward).name if config.reward else question.rule


def _find_mixed_group(batches: RolloutBatches, question: int | None) -> tuple[int, int, Rollouts]:
    """Return the number of the first question tried, that of the question to show, and its answers:
    the first one whose answers differ in reward, unless the user chose one."""
    first, tries = (0, TRIES) if question is None else (question, 1)
    for number in range(first, first + tries):
        rollouts = batches.rollouts(number)
        if rollouts.advantages_QG.any():
            break
    return first, number, rollouts


@torch.no_grad()
def token_nats(model: Transformer, answer: GeneratedAnswer) -> np.ndarray:
    """Return the log-probability of each token of an answer that the model sampled."""
    ids = torch.tensor(answer.sequence.ids, device=model.device)
    places = torch.tensor(answer.sequence.positions, device=model.device)
    logits_TV = model(ids[None, :-1])[0].float()
    nats_NV = logits_TV[places - 1].log_softmax(-1)
    found: np.ndarray = nats_NV.gather(1, ids[places, None])[:, 0].cpu().numpy()
    return found


Nats = list[tuple[np.ndarray, np.ndarray]]  # of each answer's tokens, before and after the step


def _answer_changes(rollouts: Rollouts, nats: Nats) -> tuple[AnswerChange, ...]:
    return tuple(
        AnswerChange(
            text=answer.content.strip(),
            tokens=len(answer.sequence.positions),
            cut=answer.cut,
            reward=float(reward),
            advantage=float(advantage),
            before=float(before.sum()),
            after=float(after.sum()),
        )
        for answer, reward, advantage, (before, after) in zip(
            rollouts.answers[0],
            rollouts.rewards_QG[0],
            rollouts.advantages_QG[0],
            nats,
            strict=True,
        )
    )


def token_changes(tokenizer: Tokenizer, rollouts: Rollouts, nats: Nats) -> tuple[TokenChange, ...]:
    """Return every sampled token once for all answers that are equal up to it."""
    sharing: dict[tuple[int, ...], list[int]] = {}
    probabilities: dict[tuple[int, ...], tuple[float, float]] = {}
    n_prompt = min(answer.sequence.positions[0] for answer in rollouts.answers[0])
    for number, answer in enumerate(rollouts.answers[0]):
        ids = answer.sequence.ids
        for place, *logs in zip(answer.sequence.positions, *nats[number], strict=True):
            path = tuple(ids[n_prompt : place + 1])
            sharing.setdefault(path, []).append(number)
            probabilities[path] = (float(np.exp(logs[0])), float(np.exp(logs[1])))
    changes = [
        TokenChange(
            answers=tuple(numbers),
            advantage=float(rollouts.advantages_QG[0, numbers].sum()),
            context=tokenizer.decode(list(path[-CONTEXT_TOKENS - 1 : -1])),
            token=path[-1],
            text=tokenizer.decode([path[-1]]),
            before=probabilities[path][0],
            after=probabilities[path][1],
        )
        for path, numbers in sharing.items()
    ]
    return tuple(sorted(changes, key=lambda one: -abs(one.after - one.before)))


def movement(explanation: Explanation) -> float:
    """Return the sum over answers of advantage times change of log-probability, which a step
    increases."""
    return sum(one.advantage * (one.after - one.before) for one in explanation.answers)


def pushed(explanation: Explanation) -> tuple[int, int]:
    """Return of how many answers the log-probability moved as their advantage says, and how many
    have an advantage."""
    moved = [one for one in explanation.answers if one.advantage]
    return sum((one.after - one.before) * one.advantage > 0 for one in moved), len(moved)
