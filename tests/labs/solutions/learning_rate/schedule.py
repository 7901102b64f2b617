def learning_rate(step: int, steps: int, warmup: int, decay_fraction: float, final: float) -> float:
    decay = round(steps * decay_fraction)
    if step < warmup:
        return (step + 1) / warmup
    if step < steps - decay:
        return 1.0
    return 1 - (1 - final) * (step - (steps - decay) + 1) / decay
