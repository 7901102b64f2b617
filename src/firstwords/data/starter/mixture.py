"""How much of everything: the weights of the kinds of samples, in one place.

The weights are shares of the number of samples, not of their length.
"""

from __future__ import annotations

DOCUMENTS = {
    "story": 20.0,
    "countries": 16.0,
    "elements": 9.0,
    "animals": 14.0,
    "words": 7.0,
    "calendar": 1.5,
    "planets": 1.5,
    "things": 8.0,
    "science": 3.0,
    "almanac": 12.0,
    "numbers": 9.0,
    "letters": 12.0,
    "recall": 20.0,
}

CONVERSATIONS = {
    "greeting": 2.0,
    "identity": 5.0,
    "smalltalk": 3.0,
    "facts": 26.0,
    "science": 2.0,
    "followup": 9.0,
    "memory": 10.0,
    "calculator": 8.0,
    "sums": 7.0,
    "letters": 13.0,
    "instructions": 6.0,
    "storytelling": 2.5,
    "reading": 8.0,
    "choice": 6.0,
    "unknown": 7.0,
    "chat": 3.0,
}
