"""Lab 11: write the advantage of reinforcement learning, and a reward without a hole.

Write the functions below. First read docs/labs/11-policy-gradient.md.
"""

import numpy as np


def advantages(rewards_QG: np.ndarray) -> np.ndarray:
    """Return the advantage (Q, G) of each of G answers to Q questions.

    It is how much better an answer is than the mean of the answers to the same question.
    """
    raise NotImplementedError("TODO: rewards_QG.mean along one axis, with keepdims=True")


def short_and_right(is_right: bool, answer: str) -> float:
    """Return what an answer is worth, for a model that shall answer in few words.

    Among right answers, one with fewer words is worth more. Every wrong answer is worth the same,
    and less than any right one.
    """
    raise NotImplementedError("TODO: len(answer.split()) counts words")
