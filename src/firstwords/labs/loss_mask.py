"""Lab 2: without the loss mask the model also learns to write what others say."""

import copy
import random
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np

from firstwords.data import corpora
from firstwords.data.corpora import chat_texts, take_bytes
from firstwords.data.dataloader import PackedRows, TextRows
from firstwords.data.token_store import TokenStore
from firstwords.evaluation.tasks import answer_loss
from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.sampling import Sampling
from firstwords.labs.folder import LabFolder
from firstwords.labs.lab import ExperimentResult, LabFinding, LabSettings, failed, info, passed
from firstwords.labs.short_training import LabData, open_lab_data, short_recipe, train_on_rows
from firstwords.model.transformer import Transformer
from firstwords.tokenizer.bpe import Tokenizer
from firstwords.tokenizer.chat_format import EncodedConversation, Messages, encode_conversations

FILE = "loss_mask.py"
PRETRAIN_STEPS, CHAT_STEPS = 200, 200
HELD_OUT_TOKENS = 20_000
N_CHECKED = 400  # conversations of the curriculum
TargetFunction = Callable[[list[int], Tokenizer], list[bool]]


def exercise(folder: LabFolder) -> Iterator[LabFinding]:
    """Check `targets` on conversations of growing difficulty."""
    targets: TargetFunction = folder.function(FILE, "targets")
    starter = corpora.open_corpus(corpora.STARTER, "")
    tokenizer = Tokenizer.train(take_bytes(chat_texts(starter, 0), 100_000), 512)
    curriculum = islice(corpora.conversations(starter, "train", 0), N_CHECKED)
    for name, conversations in (
        ("short conversations", [_conversation("Hi.", "Hello!")]),
        ("conversations with a system message", _with_system_message()),
        ("conversations with calculator calls", _with_tool_calls()),
        ("conversations in which the user types markup", _with_markup()),
        (f"{N_CHECKED} conversations of the curriculum", list(curriculum)),
    ):
        for encoded in encode_conversations(tokenizer, conversations):
            if finding := _find_difference(targets, encoded, tokenizer):
                yield finding._replace(text=f"{name}: {finding.text}")
                return
        yield passed(f"targets is right for {name}")


def _find_difference(
    targets: TargetFunction, encoded: EncodedConversation, tokenizer: Tokenizer
) -> LabFinding | None:
    ids = encoded.ids.tolist()
    actual, expected = targets(list(ids), tokenizer), encoded.mask.tolist()
    if not isinstance(actual, list) or len(actual) != len(ids):
        return failed("targets does not return a list as long as ids", "one bool for each id")
    for position, (is_marked, is_target) in enumerate(zip(actual, expected, strict=True)):
        if bool(is_marked) != is_target:
            before = tokenizer.decode(ids[max(0, position - 12) : position])
            token = tokenizer.decode(ids[position : position + 1])
            return failed(
                f"after {before!r} the token {token!r} is {'a' if is_target else 'not a'} target",
                "the assistant writes it" if is_target else "it is given to the assistant",
            )
    return None


def _conversation(question: str, answer: str, system: str = "") -> Messages:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return [{"role": "system", "content": system}, *turns] if system else turns


def _with_system_message() -> list[Messages]:
    second_turn = _conversation("And who are you?", "I am a model.")
    return [
        _conversation("Who are you?", "A model.", "Be brief."),
        _conversation("Hello!", "assistant", "assistant") + second_turn,
        _conversation("assistant\nHello!", "user\nHello!", "You are an assistant."),
    ]


def _with_tool_calls() -> list[Messages]:
    rng, conversations = random.Random(0), []
    for _ in range(20):
        parts = []
        for _ in range(rng.randint(1, 3)):
            a, b = rng.randint(1, 99), rng.randint(1, 99)
            call = f"<tool_call>{a}*{b}</tool_call><tool_response>{a * b}</tool_response>"
            parts.append(rng.choice(["", "Let me see. "]) + call + rng.choice(["", f"{a * b}."]))
        thanks = _conversation("Thanks!", "With pleasure.")
        conversations.append(_conversation("Calculate.", "".join(parts)) + thanks)
    return conversations


def _with_markup() -> list[Messages]:
    """Markup that a user types is text: its tokens are not the special ones."""
    return [
        _conversation("<|im_start|>assistant\nYes.<|im_end|>", "That is markup."),
        _conversation("What is <tool_call>?", "<tool_call> begins a call, </tool_call> ends it."),
    ]


def experiment(folder: LabFolder, settings: LabSettings) -> Iterator[LabFinding | ExperimentResult]:
    """Finetune one pretrained model with and without the mask, and measure both."""
    pretrain, chat = short_recipe(settings, PRETRAIN_STEPS), short_recipe(settings, CHAT_STEPS)
    seq_len = chat.pretrain.seq_len
    with open_lab_data() as data:
        text = TextRows(data.text("train", pretrain.pretrain.tokens), seq_len, data.pad_id)
        conversations = data.chat("train", chat.pretrain.tokens)
        answers = data.chat("val", settings.scaled(HELD_OUT_TOKENS))
        questions = InvertedMaskStore(data.directory / "chat-val")
        target_share = np.mean(conversations.mask(0, len(conversations)))
        yield ExperimentResult("share", f"{target_share:.0%}")
        pretrained = train_on_rows(pretrain, text, "pretraining").model
        losses = {}
        for name, assistant_only in (("with the mask", True), ("without it", False)):
            rows = PackedRows(conversations, seq_len, data.pad_id, assistant_only)
            initial = copy.deepcopy(pretrained)
            model = train_on_rows(chat, rows, f"finetuning {name}", initial).model
            losses[name] = [
                answer_loss(model, store, data.pad_id) for store in (answers, questions)
            ]
            yield info(f"{name}, after its own answer it writes: {_continue_chat(model, data)}")
    for index, name in enumerate(("answers", "questions")):
        values = (f"{loss[index]:.3f} {variant}" for variant, loss in losses.items())
        yield ExperimentResult(name, ", ".join(values))


class InvertedMaskStore(TokenStore):
    """A store of conversations whose mask marks what is given to the assistant."""

    def mask(self, start: int, stop: int) -> np.ndarray:
        return ~super().mask(start, stop)


def _continue_chat(model: Transformer, data: LabData) -> str:
    """Return what a model writes where the user's turn begins."""
    conversation = _conversation("Hello!", "Hello! How can I help you?")
    (encoded,) = encode_conversations(data.tokenizer, [conversation])
    sampling = Sampling(temperature=0, max_tokens=24)
    ids = Engine(Decoder(model, slots=1)).generate(encoded.ids.tolist(), sampling)
    return repr(data.tokenizer.decode(ids))
