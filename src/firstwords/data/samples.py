"""Load sample records of a source, for people to look at before they train."""

import itertools
from pathlib import Path
from typing import Any, NamedTuple

from firstwords.common.errors import UserError
from firstwords.data import corpora, recognition, starter
from firstwords.data.formats import skip_problem
from firstwords.data.recognition import FileSummary, Totals
from firstwords.data.starter.personality import Personality, read_personality


class Shown(NamedTuple):
    """Samples of a source, and what it was recognised as; the starter curriculum needs no words."""

    samples: list[dict[str, Any]]
    summaries: list[FileSummary]
    totals: Totals | None

    def to_json(self) -> dict[str, Any]:
        """Return what `data show --json` prints."""
        recognised = recognition.to_json(self.summaries, self.totals) if self.summaries else None
        return {"recognised": recognised, "samples": self.samples}

    def render(self) -> str:
        """Return what `data show` prints."""
        parts = [recognition.render(self.summaries, self.totals)] if self.summaries else []
        return "\n\n".join([*parts, *map(_render_sample, self.samples)])


def load_samples(
    source: str,
    conversations: bool,
    kind: str | None,
    count: int,
    seed: int,
    personality: Path | None = None,
) -> Shown:
    """Recognise a source, and return its first `count` training records.

    `kind` selects documents or conversations of one kind of the starter curriculum; "list" returns
    the names of the kinds. `conversations` also says what a source is to hold. Raises UserError.
    """
    corpus = corpora.open_corpus(source, "SRC")
    if corpus.is_starter:
        own = read_personality(personality) if personality else None
        return Shown(_starter_samples(conversations, kind, count, seed, own), [], None)
    if personality:
        raise UserError(
            f"--personality {personality} needs the starter curriculum", "use SRC starter"
        )
    if kind:
        raise UserError(
            f"--kind {kind} needs the starter curriculum", "leave it out, or use SRC starter"
        )
    files = corpus.all_files if corpus.is_own else corpus.all_files[:1]
    summaries = [recognition.summarize_file(path) for path in files]
    holds = recognition.holds(summaries, f"SRC {source}")
    if holds == "chat" and not conversations:
        return Shown([], summaries, None)
    samples: list[dict[str, Any]]
    if conversations or holds == "conversations":
        chats = corpora.conversations(corpus, "train", seed, skip_problem)
        samples = [{"messages": messages} for messages in itertools.islice(chats, count)]
    else:
        texts = corpora.documents(corpus, "train", seed, skip_problem)
        samples = [{"text": d.text} for d in itertools.islice(texts, count)]
    if not samples:
        raise UserError(f"SRC {source} is empty", "add documents or conversations")
    return Shown(
        samples, summaries, recognition.count_records(summaries) if corpus.is_own else None
    )


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


def _render_sample(sample: dict[str, Any]) -> str:
    title = f"[{sample['kind']}]\n" if "kind" in sample else ""
    if "text" in sample:
        return title + sample["text"]
    return title + "\n".join(f"{m['role']}: {m['content']}" for m in sample["messages"])
