"""Lab 4: the learning rate's course over a training.

One function is missing here. Read docs/labs/04-learning-rate.md first.
"""


def learning_rate(step: int, steps: int, warmup: int, decay_fraction: float, final: float) -> float:
    """The share of the peak rate at `step` (the first is 0) of `steps`.

    Warmup: over the first `warmup` steps it rises in equal parts, to 1 at the last of them.
    Then it stays at 1. Decay: over the last `decay_fraction` of the steps (how many, is rounded)
    it falls in equal parts, and at the very last step it is `final`.
    Where warmup and decay would overlap, warmup goes first.
    """
    raise NotImplementedError("TODO: 10 steps, warmup 2, decay 0.5, final 0: 0.5 1 1 1 1 .8 .6 ...")
