"""Multiple choice in a conversation: options as the curriculum writes them, answered by a letter.

The curriculum's own answers name the fact first and end in "The answer is VALUE=LETTER."; here the
letter alone is scored, in the place where a short answer would have it.
"""

from collections.abc import Sequence

from firstwords.evaluation.benchmark import Scored

LETTERS = "ABCDEFGHIJ"


def by_letter(question: str, options: Sequence[str], right: int) -> Scored:
    """The letters are compared as the answer's first token."""
    lines = [f"- {option}={letter}" for letter, option in zip(LETTERS, options, strict=False)]
    asked = "\n".join([question, *lines, "Answer with the letter alone."])
    letters = list(LETTERS[: len(options)])
    return Scored([[{"role": "user", "content": asked}]] * len(options), letters, right)
