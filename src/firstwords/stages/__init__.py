"""The stages of a run. Each file says what is different about its stage, and nothing else."""
