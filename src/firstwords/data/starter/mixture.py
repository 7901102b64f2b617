"""How much of everything: the weights of the kinds of samples, in one place.

The weights are shares of the number of samples, not of their length.
"""

from __future__ import annotations

DOCUMENTS = {
    "story": 14.0,
    "scene": 12.0,
    "countries": 14.0,
    "elements": 8.0,
    "animals": 12.0,
    "words": 7.0,
    "calendar": 1.5,
    "planets": 1.5,
    "things": 7.0,
    "science": 2.0,
    "almanac": 14.0,
    "numbers": 9.0,
    "letters": 12.0,
    "recall": 14.0,
    "quiz": 16.0,
}

CONVERSATIONS = {
    "greeting": 2.0,
    "identity": 6.0,
    "smalltalk": 2.5,
    "facts": 28.0,
    "science": 1.5,
    "followup": 9.0,
    "memory": 9.0,
    "calculator": 8.0,
    "sums": 8.0,
    "letters": 15.0,
    "instructions": 8.0,
    "storytelling": 2.5,
    "reading": 11.0,
    "choice": 7.0,
    "unknown": 7.0,
    "chat": 3.0,
}
