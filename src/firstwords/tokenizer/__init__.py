"""Text and conversations to token ids, and the calculator's tool protocol."""
