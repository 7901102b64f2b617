"""The weights of all kinds of documents and conversations.

They weigh the number of samples, not their length.
"""

DOCUMENT_WEIGHTS = {
    "story": 6.0,
    "scene": 12.0,
    "grammar": 14.0,
    "countries": 17.0,
    "elements": 10.0,
    "animals": 14.0,
    "words": 9.0,
    "calendar": 1.5,
    "planets": 1.5,
    "things": 9.0,
    "science": 2.0,
    "almanac": 18.0,
    "numbers": 8.0,
    "letters": 12.0,
    "recall": 6.0,
    "quiz": 18.0,
    "library": 28.0,
    "lexicon": 9.0,
    "tale": 6.0,
}

CONVERSATION_WEIGHTS = {
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
    "storytelling": 2.0,
    "reading": 13.0,
    "choice": 8.0,
    "unknown": 6.0,
    "chat": 3.0,
    "everyday": 40.0,
    "recall_chat": 12.0,
    "tasks": 16.0,
    "tales": 6.0,
}
