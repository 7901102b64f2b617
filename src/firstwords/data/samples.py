"""Samples of a source, for people to look at."""

from itertools import count as count_from
from itertools import islice
from typing import Any

from firstwords.data import corpora, starter
from firstwords.errors import UserError


def samples(
    source: str, conversations: bool, kind: str | None, count: int, seed: int
) -> list[dict[str, Any]]:
    """`count` records as training reads them. Raises UserError."""
    corpus = corpora.open_corpus(source, "SRC")
    if corpus.is_starter:
        return _starter_samples(conversations, kind, count, seed)
    if kind:
        raise UserError(f"--kind {kind}", "only the starter curriculum has kinds; leave it out")
    if conversations:
        talks = corpora.conversations(corpus, "train", seed)
        return [{"messages": messages} for messages in islice(talks, count)]
    return [{"text": text} for text in islice(corpora.texts(corpus, "train", seed), count)]


def _starter_samples(
    conversations: bool, kind: str | None, count: int, seed: int
) -> list[dict[str, Any]]:
    if kind == "list":
        return [
            {"kind": "text", "text": "\n".join(starter.DOCUMENT_KINDS)},
            {"kind": "conversations", "text": "\n".join(starter.CONVERSATION_KINDS)},
        ]
    # A kind that only conversations have needs no option.
    if kind in starter.CONVERSATION_KINDS and kind not in starter.DOCUMENT_KINDS:
        conversations = True
    kinds = starter.CONVERSATION_KINDS if conversations else starter.DOCUMENT_KINDS
    if kind and kind not in kinds:
        raise UserError(f"--kind {kind}", f"use one of: {', '.join(kinds)}")
    make = starter.conversation if conversations else starter.document
    return [make(seed, index, kind)._asdict() for index in islice(count_from(), count)]


def render(shown: list[dict[str, Any]]) -> str:
    return "\n\n".join(_render(record) for record in shown)


def _render(record: dict[str, Any]) -> str:
    title = f"[{record['kind']}]\n" if "kind" in record else ""
    if "text" in record:
        return title + record["text"]
    return title + "\n".join(f"{m['role']}: {m['content']}" for m in record["messages"])
