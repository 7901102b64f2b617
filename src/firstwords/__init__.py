"""Firstwords: raise a small chat model on the CPU of an ordinary laptop, and see every step."""

__version__ = "0.1.0"
