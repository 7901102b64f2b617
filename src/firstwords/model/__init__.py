"""The transformer and its layers, in PyTorch: the reference."""
