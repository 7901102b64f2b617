"""Multiple choice in a conversation: options as the curriculum writes them, answered by a letter.

The curriculum's own answers name the fact first and end in "The answer is VALUE=LETTER."; the
benchmarks score the letter alone, as the first token of a short answer.
"""

from collections.abc import Sequence

from firstwords.evaluation.benchmark import LoglikelihoodItem

LETTERS = "ABCDEFGHIJ"


def letter_item(question: str, options: Sequence[str], correct: int) -> LoglikelihoodItem:
    """Return an item that compares the options' letters as the beginning of the answer."""
    lines = [f"- {option}={letter}" for letter, option in zip(LETTERS, options, strict=False)]
    content = "\n".join([question, *lines, "Answer with the letter alone."])
    prompt = [{"role": "user", "content": content}]
    return LoglikelihoodItem([prompt] * len(options), list(LETTERS[: len(options)]), correct)
