"""What tests of the chat page share: a decoder with fixed answers, and steps of a user."""

import time
from typing import Any, NamedTuple

import torch
from waiting import wait_until

from firstwords.tokenizer.bpe import IM_END, TOOL_CALL, TOOL_CALL_END, Tokenizer


class FixedAnswerDecoder:
    """A decoder that answers every prompt with the same tokens, `pace` seconds apart."""

    def __init__(self, tokenizer: Tokenizer, *parts: str) -> None:
        self.slots, self.context, self.vocab_size = 1, 256, tokenizer.vocab_size
        self.tokenizer, self.pace, self.place, self.last = tokenizer, 0.0, 0, 0
        self.breaks_at: int | None = None
        self.say(*parts)

    def say(self, *parts: str, end: bool = True) -> None:
        """Answer with these texts and special tokens from now on, without delay or failure."""
        ids: list[int] = []
        for part in parts:
            special = part in (IM_END, TOOL_CALL, TOOL_CALL_END)
            ids += [self.tokenizer.special(part)] if special else self.tokenizer.encode(part)
        self.script = [*ids, self.tokenizer.special(IM_END)] if end else ids
        self.pace, self.breaks_at = 0.0, None

    def prefill(self, slots: list[int], prompts: list[list[int]], start: int = 0) -> None:
        self.place = 0

    def decode(self, slots: list[int], ids: list[int], positions: list[int]) -> torch.Tensor:
        time.sleep(self.pace)
        if self.place == self.breaks_at:
            raise RuntimeError("broken")
        if self.place and ids[0] != self.last:
            self.place -= 1  # that was a token of the calculator's result
        self.last = self.script[min(self.place, len(self.script) - 1)]
        logits_BV = torch.zeros(1, self.vocab_size)
        logits_BV[0, self.tokenizer.special_ids] = -1.0  # so that the alternatives are text
        logits_BV[0, self.last] = 5.0
        self.place += 1
        return logits_BV


class ToyChat(NamedTuple):
    """A server with two stages of a run, whose answers a test sets."""

    url: str
    sft: FixedAnswerDecoder
    base: FixedAnswerDecoder
    server: Any


def send(page: Any, text: str) -> None:
    page.get_by_label("Your message").fill(text)
    page.keyboard.press("Enter")


def answered(page: Any, n_replies: int | None = None) -> None:
    """Wait until no answer is generated, and the log has that many replies."""
    page.locator("#log[aria-busy=false] .answers").last.wait_for()
    if n_replies is not None:
        wait_until(lambda: page.locator(".answers").count() == n_replies)


def ask(page: Any, text: str) -> None:
    n_replies = page.locator(".answers").count() + 1
    send(page, text)
    answered(page, n_replies)


def answers(page: Any) -> list[str]:
    return [text.strip() for text in page.locator(".answer-text").all_text_contents()]


def messages(page: Any) -> list[str]:
    return list(page.locator(".user-message .text").all_inner_texts())


def focused(page: Any) -> str:
    """Return what has the focus: its accessible name, or its tag."""
    script = "e => e.ariaLabel || e.labels?.[0]?.textContent || e.textContent.trim() || e.tagName"
    return str(page.evaluate(f"({script})(document.activeElement)"))
