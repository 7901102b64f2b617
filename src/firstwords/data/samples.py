"""Load sample records of a source, for people to look at before they train."""

import itertools
from pathlib import Path
from typing import Any

from firstwords.common.errors import UserError
from firstwords.data import corpora, starter
from firstwords.data.starter.personality import Personality, read_personality


def load_samples(
    source: str,
    conversations: bool,
    kind: str | None,
    count: int,
    seed: int,
    personality: Path | None = None,
) -> list[dict[str, Any]]:
    """Return the first `count` training records of a source.

    `kind` selects documents or conversations of one kind of the starter curriculum; "list" returns
    the names of the kinds. Raises UserError.
    """
    corpus = corpora.open_corpus(source, "SRC")
    if corpus.is_starter:
        own = read_personality(personality) if personality else None
        return _starter_samples(conversations, kind, count, seed, own)
    if personality:
        raise UserError(
            f"--personality {personality} needs the starter curriculum", "use SRC starter"
        )
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
    conversations: bool,
    kind: str | None,
    count: int,
    seed: int,
    personality: Personality | None,
) -> list[dict[str, Any]]:
    chat_kinds = starter.CONVERSATION_KINDS
    if personality:  # only conversations show it
        conversations, chat_kinds = True, (*chat_kinds, starter.PERSONALITY)
    if kind == "list":
        return [
            {"kind": "text", "text": "\n".join(starter.DOCUMENT_KINDS)},
            {"kind": "conversations", "text": "\n".join(chat_kinds)},
        ]
    # A kind that only conversations have needs no --conversations.
    if kind in chat_kinds and kind not in starter.DOCUMENT_KINDS:
        conversations = True
    kinds = chat_kinds if conversations else starter.DOCUMENT_KINDS
    if kind and kind not in kinds:
        raise UserError(f"--kind {kind} does not exist", f"use one of: {', '.join(kinds)}")
    if not conversations:
        return [starter.document(seed, index, kind)._asdict() for index in range(count)]
    return [
        starter.conversation(seed, index, kind, personality)._asdict() for index in range(count)
    ]


def render_samples(samples: list[dict[str, Any]]) -> str:
    """Return the samples as text, separated by blank lines."""
    return "\n\n".join(_render_sample(sample) for sample in samples)


def _render_sample(sample: dict[str, Any]) -> str:
    title = f"[{sample['kind']}]\n" if "kind" in sample else ""
    if "text" in sample:
        return title + sample["text"]
    return title + "\n".join(f"{m['role']}: {m['content']}" for m in sample["messages"])
