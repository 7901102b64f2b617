"""Reinforcement learning with rewards that a program can check."""
