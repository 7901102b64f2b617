"""The trace: every operation of one training step."""
