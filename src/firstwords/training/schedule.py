"""The learning-rate schedule: warmup, stable, decay."""


def learning_rate(step: int, steps: int, warmup: int, decay_fraction: float, final: float) -> float:
    """Return the fraction of the peak rate at `step` (0-based) of `steps`.

    The rate rises linearly over `warmup` steps, stays at 1, and falls linearly to `final` over the
    last `decay_fraction` of the steps (WSD, arXiv 2404.06395).
    """
    if step < warmup:
        return (step + 1) / warmup
    decay_steps = round(steps * decay_fraction)
    into_decay = step - (steps - decay_steps)
    if into_decay < 0 or decay_steps == 0:
        return 1.0
    return 1.0 - (1.0 - final) * (into_decay + 1) / decay_steps
