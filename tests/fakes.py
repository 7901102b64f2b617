"""Decoders that follow a script, and runs without training."""

from collections.abc import Iterable

import torch


class ScriptedDecoder:
    """A decoder that samples the tokens of its script one after the other, and records all tokens
    it was fed. Tokens forced in between do not advance the script."""

    slots = 1

    def __init__(self, vocab_size: int, script: Iterable[int], context: int) -> None:
        self.vocab_size, self.context = vocab_size, context
        self.script, self.next = list(script), 0
        self.fed: list[int] = []
        self.offered = False  # whether the script's next token was returned as the most likely one

    def prefill(self, slots: list[int], prompts: list[list[int]], start: int = 0) -> None:
        self.next += self.offered  # the last token of an answer is sampled, but not fed
        self.fed, self.offered = self.fed[:start] + prompts[0], False

    def decode(self, slots: list[int], ids: list[int], positions: list[int]) -> torch.Tensor:
        follows = len(self.fed) == positions[0] and self.offered
        self.fed = self.fed[: positions[0]] + ids
        if follows and ids[0] == self.script[self.next]:
            self.next += 1
        self.offered = True
        logits_BV = torch.zeros(1, self.vocab_size)
        logits_BV[0, self.script[self.next]] = 1.0
        return logits_BV


class TableDecoder:
    """A decoder whose most likely token after each token is given by a table (0 if absent)."""

    def __init__(self, vocab_size: int, after: dict[int, int], slots: int = 1) -> None:
        self.vocab_size, self.after, self.slots, self.context = vocab_size, after, slots, 60
        self.fed: list[int] = []

    def prefill(self, slots: list[int], prompts: list[list[int]], start: int = 0) -> None:
        self.fed += prompts[0]

    def decode(self, slots: list[int], ids: list[int], positions: list[int]) -> torch.Tensor:
        self.fed += ids
        logits_BV = torch.zeros(len(ids), self.vocab_size)
        for row, token in enumerate(ids):
            logits_BV[row, self.after.get(token, 0)] = 1.0
        return logits_BV
