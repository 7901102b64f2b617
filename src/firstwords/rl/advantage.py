"""From the rewards of a group of answers to the weight of each of their tokens.

Group-relative policy gradients (GRPO, arXiv 2402.03300) sample several answers to each question. An
answer that is better than its group's mean becomes more likely, a worse one less likely:

    loss = - sum over answers i, tokens t of  A_i / s * log p(token t of answer i) / constant
    A_i  = reward_i - mean reward of the group
    s    = root mean square of A over all groups of the step

Two terms of the first version are left out, which Dr. GRPO (arXiv 2503.20783) found to be biases.
Dividing A by the group's standard deviation would give the most weight to questions that are nearly
always right or nearly always wrong. Dividing each answer's sum by its own length would favour short
right answers and long wrong ones; here all tokens have the same weight, and the divisor is the same
for every answer.

Clipping of ratios (PPO; DAPO's clip-higher, arXiv 2503.14476) has nothing to do either: each set of
answers is used for one update, of the weights that wrote it, where the ratio is 1.
"""

import numpy as np

TOKENS_PER_ANSWER = 32  # the constant, for each answer of a step: about the length of an answer


def advantages(rewards_QG: np.ndarray) -> np.ndarray:
    """Return the advantage (Q, G) of each of G answers to Q questions: its reward minus the mean of
    its group. A group whose rewards are all equal has exactly zero: it says nothing."""
    centred_QG = rewards_QG - rewards_QG.mean(axis=1, keepdims=True)
    equal_Q1 = (rewards_QG == rewards_QG[:, :1]).all(axis=1, keepdims=True)
    return np.where(equal_Q1, 0.0, centred_QG)


def token_weights(advantages_QG: np.ndarray) -> np.ndarray:
    """Return the weight (Q, G) of the cross-entropy of every token of each answer.

    The advantages are first divided by their root mean square over the whole step, so that the unit
    of a reward does not decide how much it counts beside the rows that continue finetuning. All
    groups are divided by the same number, which favours none of them.
    """
    scale = float(np.sqrt((advantages_QG**2).mean()))
    weights: np.ndarray = advantages_QG / (scale or 1.0) / (advantages_QG.size * TOKENS_PER_ANSWER)
    return weights


def penalize_cut(rewards_QG: np.ndarray, cut_QG: np.ndarray) -> np.ndarray:
    """Return the rewards, those of answers that were cut before their end replaced by the lowest of
    their group, and at most 0. An answer is worth nothing without its end."""
    lowest_Q1 = rewards_QG.min(axis=1, keepdims=True)
    return np.where(cut_QG, np.minimum(lowest_Q1, 0.0), rewards_QG)
