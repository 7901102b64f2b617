"""Load sample records of a source, for people to look at before they train."""

import itertools
from typing import Any

from firstwords.common.errors import UserError
from firstwords.data import corpora, starter


def load_samples(
    source: str, conversations: bool, kind: str | None, count: int, seed: int
) -> list[dict[str, Any]]:
    """Return the first `count` training records of a source.

    `kind` selects documents or conversations of one kind of the starter curriculum; "list" returns
    the names of the kinds. Raises UserError.
    """
    corpus = corpora.open_corpus(source, "SRC")
    if corpus.is_starter:
        return _starter_samples(conversations, kind, count, seed)
    if kind:
        raise UserError(
            f"--kind {kind} needs the starter curriculum", "leave it out, or use SRC starter"
        )
    samples: list[dict[str, Any]]
    if conversations:
        chats = corpora.conversations(corpus, "train", seed)
        samples = [{"messages": messages} for messages in itertools.islice(chats, count)]
    else:
        texts = corpora.texts(corpus, "train", seed)
        samples = [{"text": text} for text in itertools.islice(texts, count)]
    if not samples:
        raise UserError(f"SRC {source} is empty", "add documents or conversations")
    return samples


def _starter_samples(
    conversations: bool, kind: str | None, count: int, seed: int
) -> list[dict[str, Any]]:
    if kind == "list":
        return [
            {"kind": "text", "text": "\n".join(starter.DOCUMENT_KINDS)},
            {"kind": "conversations", "text": "\n".join(starter.CONVERSATION_KINDS)},
        ]
    # A kind that only conversations have needs no --conversations.
    if kind in starter.CONVERSATION_KINDS and kind not in starter.DOCUMENT_KINDS:
        conversations = True
    kinds = starter.CONVERSATION_KINDS if conversations else starter.DOCUMENT_KINDS
    if kind and kind not in kinds:
        raise UserError(f"--kind {kind} does not exist", f"use one of: {', '.join(kinds)}")
    make = starter.conversation if conversations else starter.document
    return [make(seed, index, kind)._asdict() for index in range(count)]


def render_samples(samples: list[dict[str, Any]]) -> str:
    """Return the samples as text, separated by blank lines."""
    return "\n\n".join(_render_sample(sample) for sample in samples)


def _render_sample(sample: dict[str, Any]) -> str:
    title = f"[{sample['kind']}]\n" if "kind" in sample else ""
    if "text" in sample:
        return title + sample["text"]
    return title + "\n".join(f"{m['role']}: {m['content']}" for m in sample["messages"])
