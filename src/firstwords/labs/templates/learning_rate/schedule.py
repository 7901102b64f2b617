"""Lab 4: the schedule of the learning rate.

Write the function below. First read docs/labs/04-learning-rate.md.
"""


def learning_rate(step: int, steps: int, warmup: int, decay_fraction: float, final: float) -> float:
    """Return the fraction of the peak learning rate at `step` (the first is 0) of `steps`.

    Warmup: over the first `warmup` steps it rises linearly, to 1 at the last of them.
    Then it stays at 1. Decay: over the last `decay_fraction` of the steps (rounded to whole steps)
    it falls linearly, and at the very last step it is `final`.
    Where warmup and decay overlap, warmup applies.
    """
    raise NotImplementedError("TODO: 10 steps, warmup 2, decay 0.5, final 0: 0.5 1 1 1 1 .8 .6 ...")
