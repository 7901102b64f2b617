"""The training loop, the optimizers, several processes, the three stages."""
