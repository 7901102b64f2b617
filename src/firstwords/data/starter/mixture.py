"""How much of everything: the weights of the kinds of samples, in one place.

The weights are shares of the number of samples, not of their length.
"""

from __future__ import annotations

DOCUMENTS = {
    "story": 14.0,
    "scene": 13.0,
    "countries": 14.0,
    "elements": 8.0,
    "animals": 12.0,
    "words": 7.0,
    "calendar": 1.5,
    "planets": 1.5,
    "things": 7.0,
    "science": 2.0,
    "almanac": 14.0,
    "numbers": 10.0,
    "letters": 12.0,
    "recall": 9.0,
    "quiz": 16.0,
}

CONVERSATIONS = {
    "greeting": 2.0,
    "identity": 7.0,
    "smalltalk": 2.5,
    "facts": 26.0,
    "science": 1.5,
    "followup": 7.0,
    "memory": 9.0,
    "calculator": 7.0,
    "sums": 9.0,
    "letters": 15.0,
    "instructions": 12.0,
    "storytelling": 2.5,
    "reading": 13.0,
    "choice": 8.0,
    "unknown": 6.0,
    "chat": 3.0,
}
