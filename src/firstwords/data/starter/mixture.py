"""How much of everything: the weights of the kinds of samples, in one place.

The weights are shares of the number of samples, not of their length.
"""

from __future__ import annotations

DOCUMENTS = {
    "story": 46.0,
    "countries": 10.0,
    "elements": 5.0,
    "animals": 9.0,
    "words": 5.0,
    "calendar": 1.5,
    "planets": 1.5,
    "things": 6.0,
    "science": 4.0,
    "almanac": 8.0,
    "numbers": 7.0,
    "letters": 5.0,
}

CONVERSATIONS = {
    "greeting": 4.0,
    "identity": 6.0,
    "smalltalk": 4.0,
    "facts": 20.0,
    "science": 3.0,
    "followup": 8.0,
    "memory": 9.0,
    "calculator": 9.0,
    "sums": 7.0,
    "letters": 8.0,
    "instructions": 6.0,
    "storytelling": 5.0,
    "reading": 8.0,
    "choice": 6.0,
    "unknown": 7.0,
    "chat": 5.0,
}
