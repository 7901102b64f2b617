"""Look inside: the X-ray of a model, the trace of a training step, an update of
reinforcement learning."""
