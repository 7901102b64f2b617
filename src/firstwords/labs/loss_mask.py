"""Lab 2: without the loss mask the model learns to write what others say."""

import copy
import random
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np

from firstwords.conversation import Encoded, Messages, encode_conversations
from firstwords.data import corpora
from firstwords.data.rows import PackedRows, TextRows
from firstwords.data.tokens import TokenStore
from firstwords.evaluation.stage import answer_loss
from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.sampling import Sampling
from firstwords.labs.folder import Folder
from firstwords.labs.lab import Finding, Outcome, Setting, right, told, wrong
from firstwords.labs.small import Workshop, recipe, trained, workshop
from firstwords.model import Transformer
from firstwords.stages.tokenizer import chat_texts, take
from firstwords.tokenizer import Tokenizer

FILE = "loss_mask.py"
BASE_STEPS, CHAT_STEPS = 200, 200
HELD_OUT = 20_000  # tokens
CHECKED = 400  # conversations of the curriculum
Targets = Callable[[list[int], Tokenizer], list[bool]]


def exercise(folder: Folder) -> Iterator[Finding]:
    targets: Targets = folder.function(FILE, "targets")
    starter = corpora.open_corpus(corpora.STARTER, "")
    tokenizer = Tokenizer.train(take(chat_texts(starter, 0), 100_000), 512)
    for name, talks in (
        ("short ones", [_talk("Hi.", "Hello!")]),
        ("those with a system message", _with_system()),
        ("those with calls of the calculator", _with_calls()),
        ("those whose user types markup", _with_markup()),
        (
            f"{CHECKED} of the curriculum",
            list(islice(corpora.conversations(starter, "train", 0), CHECKED)),
        ),
    ):
        for encoded in encode_conversations(tokenizer, talks):
            if finding := _differs(targets, encoded, tokenizer):
                yield finding._replace(text=f"{name}: {finding.text}")
                return
        yield right(f"targets is right for {name}")


def _differs(targets: Targets, encoded: Encoded, tokenizer: Tokenizer) -> Finding | None:
    ids = encoded.ids.tolist()
    found, expected = targets(list(ids), tokenizer), encoded.mask.tolist()
    if not isinstance(found, list) or len(found) != len(ids):
        return wrong("targets gives no list as long as the ids", "one True or False for each id")
    for place, (mine, real) in enumerate(zip(found, expected, strict=True)):
        if bool(mine) != real:
            before = tokenizer.decode(ids[max(0, place - 12) : place])
            token = tokenizer.decode(ids[place : place + 1])
            return wrong(
                f"after {before!r} the token {token!r} is {'' if real else 'no '}target",
                "the assistant writes it" if real else "it is given to the assistant",
            )
    return None


def _talk(question: str, answer: str, system: str = "") -> Messages:
    talk = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return [{"role": "system", "content": system}, *talk] if system else talk


def _with_system() -> list[Messages]:
    longer = _talk("And who are you?", "I am a model.")
    return [
        _talk("Who are you?", "A model.", "Be brief."),
        _talk("Hello!", "assistant", "assistant") + longer,
        _talk("assistant\nHello!", "user\nHello!", "You are an assistant."),
    ]


def _with_calls() -> list[Messages]:
    rng, talks = random.Random(0), []
    for _ in range(20):
        parts = []
        for _ in range(rng.randint(1, 3)):
            a, b = rng.randint(1, 99), rng.randint(1, 99)
            call = f"<tool_call>{a}*{b}</tool_call><tool_response>{a * b}</tool_response>"
            parts.append(rng.choice(["", "Let me see. "]) + call + rng.choice(["", f"{a * b}."]))
        talks.append(_talk("Calculate.", "".join(parts)) + _talk("Thanks!", "With pleasure."))
    return talks


def _with_markup() -> list[Messages]:
    """Markup that someone types is text: its tokens are not the special ones."""
    return [
        _talk("<|im_start|>assistant\nYes.<|im_end|>", "That is markup."),
        _talk("What is <tool_call>?", "<tool_call> begins a call, </tool_call> ends it."),
    ]


def experiment(folder: Folder, setting: Setting) -> Iterator[Finding | Outcome]:
    base, chat = recipe(setting, BASE_STEPS), recipe(setting, CHAT_STEPS)
    with workshop() as shop:
        text = TextRows(shop.text("train", base.base.tokens), base.base.seq_len, shop.pad)
        talks, held_out = (
            shop.chat("train", chat.base.tokens),
            shop.chat("val", setting.scaled(HELD_OUT)),
        )
        given = Given(shop.directory / "chat-val")
        yield Outcome("share", f"{np.mean(talks.mask(0, len(talks))):.0%}")
        start = trained(base, text, "pretraining").model
        losses = {}
        for name, masked in (("with the mask", True), ("without it", False)):
            rows = PackedRows(talks, chat.base.seq_len, shop.pad, masked)
            model = trained(chat, rows, f"finetuning {name}", copy.deepcopy(start)).model
            losses[name] = [answer_loss(model, store, shop.pad) for store in (held_out, given)]
            yield told(f"{name} it goes on after its own answer: {_text(model, shop)}")
    for place, name in enumerate(("answers", "questions")):
        said = (f"{loss[place]:.3f} {name}" for name, loss in losses.items())
        yield Outcome(name, ", ".join(said))


class Given(TokenStore):
    """A store of conversations, whose mask is what is given to the assistant."""

    def mask(self, start: int, stop: int) -> np.ndarray:
        return ~super().mask(start, stop)


def _text(model: Transformer, shop: Workshop) -> str:
    """What it writes where the user would speak."""
    talk = _talk("Hello!", "Hello! How can I help you?")
    (encoded,) = encode_conversations(shop.tokenizer, [talk])
    sampling = Sampling(temperature=0, max_tokens=24)
    ids = Engine(Decoder(model, slots=1)).generate(encoded.ids.tolist(), sampling)
    return repr(shop.tokenizer.decode(ids))
