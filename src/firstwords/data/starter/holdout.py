"""What training never shows, decided by hash.

A fifth of everything that can be asked is held out for the exam (`exam.py`), by the hash of a key,
so that the choice is the same for every seed, machine and version. The kinds of keys:

- *fact*: the key of a fact. Pretraining states the fact; no conversation asks for it or answers
  with it, so that the model must transfer it.
- *question*: the text of a single question. Training may ask for the same fact in other words.
  What users say in everyday conversation is held out by its canonical form (`everyday/typed.py`),
  which is the same however it is typed. The first wording of an intent, which most users take, is
  never held out, and the exam does not ask it.
- *sum*: the operands and the operator, in either order for + and x. It appears nowhere in training.
- *word*: a word that training never spells, counts or reverses.
- *story*: a situation of a story or scene, such as a plot with its object and place. It appears
  nowhere in training. With the key "order NOUN" or "order to WISH" it is what no conversation asks
  for a story about.
- *memory*: something users say about themselves ("name Ada") that a later question asks for.
- *followup*: the subject of a question before questions that do not name it ("And its capital?"),
  or a thing with its colour that users ask for later.
- *unknown*: an invented name.

In addition, only the exam uses the wording below the headings of `facts.txt` and `talk.txt` that
end with "anew", and no conversation has one of the prompts of `open_prompts.txt`, to which the
answers of a model are judged (`evaluation/babble.py`).
"""

from functools import cache
from hashlib import blake2b
from typing import Literal

from firstwords.data.starter.tables import table_sections

HELD_OUT_ONE_IN = 5

HeldOutKind = Literal["fact", "question", "sum", "word", "story", "memory", "followup", "unknown"]


def is_held_out(kind: HeldOutKind, key: str) -> bool:
    """Return whether this key is held out for the exam."""
    digest = blake2b(f"{kind}:{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % HELD_OUT_ONE_IN == 0


def question_key(text: str) -> str:
    """Return the key of a question: its text without case and outer punctuation."""
    return " ".join(text.lower().split()).strip(" .?!")


@cache
def open_prompt_keys() -> frozenset[str]:
    """Return the keys of all open prompts but those of one or two words, such as "good morning",
    which nobody can do without."""
    lines = [line for lines in table_sections("open_prompts.txt").values() for line in lines]
    keys = {question_key(line.split(" => ")[-1]) for line in lines}
    return frozenset(key for key in keys if key.count(" ") > 1)
