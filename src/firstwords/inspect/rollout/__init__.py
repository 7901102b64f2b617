"""The rollout: one update of reinforcement learning, from a question to the tokens that moved."""
