import numpy as np


def advantages(rewards_QG: np.ndarray) -> np.ndarray:
    return rewards_QG - rewards_QG.mean(axis=1, keepdims=True)


def short_and_right(is_right: bool, answer: str) -> float:
    return 1 / (1 + len(answer.split())) if is_right else 0.0
