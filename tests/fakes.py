"""Decoders whose words are known."""

from collections.abc import Iterable

import torch


class Scripted:
    """Says the tokens of its script one after the other, and keeps all that it was shown. What is
    forced on it in between does not move it on."""

    slots = 1

    def __init__(self, vocab_size: int, script: Iterable[int], context: int) -> None:
        self.vocab_size, self.context = vocab_size, context
        self.script, self.next = list(script), 0
        self.shown: list[int] = []
        self.offered = False  # its next token, to be drawn or passed over

    def read(self, slots: list[int], texts: list[list[int]], start: int = 0) -> None:
        self.next += self.offered  # the last token of an answer is drawn, and not shown again
        self.shown, self.offered = self.shown[:start] + texts[0], False

    def next_logits(self, slots: list[int], ids: list[int], positions: list[int]) -> torch.Tensor:
        spoken = len(self.shown) == positions[0] and self.offered
        self.shown = self.shown[: positions[0]] + ids
        if spoken and ids[0] == self.script[self.next]:
            self.next += 1
        self.offered = True
        logits_BV = torch.zeros(1, self.vocab_size)
        logits_BV[0, self.script[self.next]] = 1.0
        return logits_BV


class Prophet:
    """Says after every token what the table says."""

    def __init__(self, vocab_size: int, after: dict[int, int], slots: int = 1) -> None:
        self.vocab_size, self.after, self.slots, self.context = vocab_size, after, slots, 60
        self.heard: list[int] = []

    def read(self, slots: list[int], texts: list[list[int]], start: int = 0) -> None:
        self.heard += texts[0]

    def next_logits(self, slots: list[int], ids: list[int], positions: list[int]) -> torch.Tensor:
        self.heard += ids
        logits_BV = torch.zeros(len(ids), self.vocab_size)
        for row, token in enumerate(ids):
            logits_BV[row, self.after.get(token, 0)] = 1.0
        return logits_BV
