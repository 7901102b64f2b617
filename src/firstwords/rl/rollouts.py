"""Batches of reinforcement learning: questions, the model's own answers, and what they are worth.

Batch `step` is a pure function of the seed, the step and the weights: the questions and every draw
follow from the first two. So a run that is stopped while it writes answers resumes to the same
bytes, and a set of answers is used for the weights that wrote it and no others.

Several processes write and grade the answers to a share of the questions each, then exchange them:
every process has the whole batch, of which the loop takes its rows as in other stages.

Shapes: Q questions of a step, G answers to each, T tokens of a row.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from firstwords.common import console
from firstwords.data.dataloader import IGNORE_INDEX, Batch, BatchSampler, single_sequences
from firstwords.inference.batch import GeneratedAnswer, answer_all, decode_batch_size
from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.sampling import Sampling
from firstwords.model.transformer import Transformer
from firstwords.recipe import RLConfig
from firstwords.rl.advantage import advantages, penalize_cut, token_weights
from firstwords.rl.questions import Draw, Question
from firstwords.rl.rewards import Reward
from firstwords.tokenizer.bpe import Tokenizer
from firstwords.tokenizer.chat_format import encode_prompt
from firstwords.training.distributed import World

# Answers are drawn from the model's own distribution: with another temperature, or without its
# tail, the gradient would not be that of the expected reward.
SAMPLING = Sampling(temperature=1.0, top_k=0, top_p=1.0)
PROMPT_TRIES = 100  # questions in a row that may be too long for a row with their answer


class Rollouts(NamedTuple):
    """The answers of a step to its questions."""

    questions: list[Question]  # Q
    answers: list[list[GeneratedAnswer]]  # Q x G
    rewards_QG: np.ndarray
    advantages_QG: np.ndarray


class RolloutBatches:
    """Batches of a model's own answers, with rows that continue finetuning after them.

    `reference` is the model before this stage, from which the divergence is measured.
    `make_advantages` turns the rewards (Q, G) of a step into advantages. All processes of `world`
    ask for the same batches.
    """

    def __init__(
        self,
        model: Transformer,
        reference: Transformer,
        tokenizer: Tokenizer,
        config: RLConfig,
        seed: int,
        draw: Draw,
        reward: Reward,
        sft: BatchSampler,
        make_advantages: Callable[[np.ndarray], np.ndarray] = advantages,
        world: World | None = None,
    ) -> None:
        self.model, self.reference, self.tokenizer = model, reference, tokenizer
        self.config, self.seed, self.draw, self.reward, self.sft = config, seed, draw, reward, sft
        self.make_advantages, self.world = make_advantages, world or World()
        self.metrics: dict[str, Any] = {}

    @property
    def summary(self) -> str:
        """What a line of progress says of the newest batch."""
        reward, tokens = self.metrics["reward"], self.metrics["answer_tokens"]
        return f"reward {reward:.2f}  answer {tokens:.0f} tokens  "

    def batch(self, step: int) -> Batch:
        """Return the rows of the policy's loss and of finetuning's."""
        start = time.perf_counter()
        rollouts = self.rollouts(step)
        policy = answer_rows(rollouts, self.config.seq_len, self.tokenizer.pad_id)
        sft = self.sft.batch(step)
        w_BT = (sft.y_BT != IGNORE_INDEX).float()
        w_BT *= self.config.sft_weight / w_BT.sum().clamp(min=1)
        self.metrics = self._describe(rollouts) | {"rollout_seconds": time.perf_counter() - start}
        pairs = zip(policy.parts(), sft._replace(w_BT=w_BT).parts(), strict=True)
        return Batch(*(torch.cat(pair) for pair in pairs))

    def rollouts(self, step: int) -> Rollouts:
        """Draw the questions of a step, answer each G times, and grade the answers."""
        Q = self.config.questions
        drawn = [self._draw_that_fits(index) for index in range(step * Q, (step + 1) * Q)]
        with self.world.raising_together():
            own = self._graded_answers(step, self.world.local_range(Q), drawn)
        graded = [group for share in self.world.all_gather(own) for group in share]
        answers = [[answer for answer, _ in group] for group in graded]
        rewards_QG = np.array([[reward for _, reward in group] for group in graded])
        cut_QG = np.array([[one.cut or one.broken_call for one in group] for group in answers])
        rewards_QG = penalize_cut(rewards_QG, cut_QG)
        questions = [question for question, _ in drawn]
        return Rollouts(questions, answers, rewards_QG, self.make_advantages(rewards_QG))

    def _graded_answers(
        self, step: int, numbers: range, drawn: list[tuple[Question, list[int]]]
    ) -> list[list[tuple[GeneratedAnswer, float]]]:
        """Answer the questions of these numbers, each G times, and return the answers with their
        rewards. What is sampled does not depend on which process does it."""
        G = self.config.group_size
        asked = [drawn[number] for number in numbers for _ in range(G)]
        first, last = numbers.start * G, numbers.stop * G
        samplings = [self._sampling(step, number) for number in range(first, last)]
        engine = Engine(Decoder(self.model, min(len(asked), decode_batch_size(self.model.config))))
        answers = answer_all(engine, self.tokenizer, [prompt for _, prompt in asked], samplings)
        graded = [
            (answer, self.reward.score(question, answer.text.strip()))
            for answer, (question, _) in zip(answers, asked, strict=True)
        ]
        return [graded[first : first + G] for first in range(0, len(graded), G)]

    def _draw_that_fits(self, index: int) -> tuple[Question, list[int]]:
        """Return question `index`, or the next one in a sequence of its own that leaves a row room
        for the answer, with its prompt."""
        room = self.config.seq_len + 1 - self.config.max_answer_tokens
        for attempt in range(PROMPT_TRIES):
            question = self.draw(index + attempt * self.config.questions * self.config.steps)
            prompt = encode_prompt(self.tokenizer, question.messages)
            if len(prompt) <= room:
                return question, prompt
        # Better cut than not at all: the end of the conversation, which has the question.
        return question, prompt[-max(1, room) :]

    def _sampling(self, step: int, number: int) -> Sampling:
        seed = (self.seed << 64) + (step << 32) + number
        digest = np.random.SeedSequence(seed).generate_state(1, np.uint64)
        return SAMPLING.replace(seed=int(digest[0]) >> 1, max_tokens=self.config.max_answer_tokens)

    def _describe(self, rollouts: Rollouts) -> dict[str, Any]:
        """Return the metrics of a step, as metrics/rl.jsonl has them."""
        every = [answer for group in rollouts.answers for answer in group]
        kinds: dict[str, list[float]] = {}
        for question, rewards_G in zip(rollouts.questions, rollouts.rewards_QG, strict=True):
            kinds.setdefault(question.kind, []).append(float(rewards_G.mean()))
        mixed = float((rollouts.advantages_QG != 0).any(axis=1).mean())
        if not mixed:
            console.warn_once(
                "in some steps all answers to each question have the same reward; these steps only "
                "continue finetuning"
            )
        return {
            "reward": float(rollouts.rewards_QG.mean()),
            "rewards": {kind: sum(found) / len(found) for kind, found in sorted(kinds.items())},
            "mixed_groups": mixed,
            "answer_tokens": sum(len(one.sequence.generated) for one in every) / len(every),
            "cut": sum(one.cut for one in every) / len(every),
            "divergence": divergence(self.model, self.reference, first_answers(rollouts)),
        }


def first_answers(rollouts: Rollouts) -> list[GeneratedAnswer]:
    """Return one answer to each question, a fair sample of all."""
    return [group[0] for group in rollouts.answers]


@torch.no_grad()
def divergence(model: Transformer, reference: Transformer, answers: list[GeneratedAnswer]) -> float:
    """Estimate the Kullback-Leibler divergence of the model from the reference, in nats per token,
    on answers that the model sampled. The estimator r - 1 - log r, where r is the ratio of the
    probabilities, is never negative and varies little (joschu.net/blog/kl-approx.html)."""
    longest = max(len(answer.sequence.ids) for answer in answers) - 1
    x_BT = torch.zeros(len(answers), longest, dtype=torch.long)
    y_BT = torch.full((len(answers), longest), IGNORE_INDEX)
    for row, answer in enumerate(answers):
        ids = torch.tensor(answer.sequence.ids)
        x_BT[row, : len(ids) - 1] = ids[:-1]
        places = torch.tensor(answer.sequence.positions)
        y_BT[row, places - 1] = ids[places]
    x_BT, y_BT = x_BT.to(model.device), y_BT.to(model.device)
    log_ratio_N = model.loss(x_BT, y_BT, "none") - reference.loss(x_BT, y_BT, "none")
    return float((log_ratio_N.exp() - 1 - log_ratio_N).mean())


def answer_rows(rollouts: Rollouts, seq_len: int, pad_id: int) -> Batch:
    """Return the answers that have an advantage, one in each row of `seq_len` tokens, after its
    question. Only what the model sampled is a target: neither the question nor the results of
    tools."""
    weights_QG = token_weights(rollouts.advantages_QG)
    places = [(q, g) for q, g in np.argwhere(weights_QG).tolist()]
    x_BT = np.full((len(places), seq_len), pad_id, dtype=np.int64)
    y_BT = np.full((len(places), seq_len), IGNORE_INDEX, dtype=np.int64)
    w_BT = np.zeros((len(places), seq_len), dtype=np.float32)
    for row, (q, g) in enumerate(places):
        sequence = rollouts.answers[q][g].sequence
        ids, sampled = np.array(sequence.ids[: seq_len + 1]), np.array(sequence.positions)
        sampled = sampled[sampled <= seq_len]
        x_BT[row, : len(ids) - 1] = ids[:-1]
        y_BT[row, sampled - 1] = ids[sampled]
        w_BT[row, sampled - 1] = weights_QG[q, g]
    return single_sequences(*map(torch.from_numpy, (x_BT, y_BT, w_BT)))
