"""A run's directory: manifest, phases, metrics, checkpoints."""
