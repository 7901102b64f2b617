"""What training never shows: decided here, once, by hash.

A fifth of everything that can be asked is kept for the exam (`exam.py`), by the hash of a key, so
that the choice is the same for every seed, machine and version. What is held out, and the key:

- *fact*: the fact's own key. Such a fact is told in pretraining and never asked or answered in a
  conversation: the model must carry it over by itself.
- *question*: the text of a single question. Its fact may be trained, in other words.
- *sum*: the two operands with their sign, in either order for + and x. Appears nowhere at all.
- *word*: a word that is never spelled, counted or turned around.
- *story*: a situation: the plot with its thing and its places. Appears nowhere at all.
- *memory*: what a user tells about himself ("name Ada"), to be asked for later.
- *followup*: a subject of a question that is followed by questions without it ("And its capital?").
- *unknown*: an invented name.

Beside these, `facts.txt` and `talk.txt` keep whole families of phrasing under headings that end
with "anew": only the exam asks in those words.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal

SHARE = 5  # one in so many

What = Literal["fact", "question", "sum", "word", "story", "memory", "followup", "unknown"]


def held_out(what: What, key: str) -> bool:
    """Whether this key is kept for the exam."""
    digest = blake2b(f"{what}:{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % SHARE == 0


def asked(text: str) -> str:
    """The key of a question: its words, whatever the case and the punctuation around them."""
    return " ".join(text.lower().split()).strip(" .?!")
