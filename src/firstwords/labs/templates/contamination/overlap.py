"""Lab 9: find out which questions of an exam stand in the training text.

One function is missing here. Read docs/labs/09-contamination.md first.
"""


def contaminated(questions: list[str], training: list[str], n: int) -> list[bool]:
    """For each question, whether `n` of its words in a row stand in one of the training texts, also
    in a row. A word is a stretch of letters and digits; whether they are capitals, and what stands
    between the words, does not matter. Of a question with fewer than `n` words all must stand there
    in a row.

    There may be many thousands of texts: look each stretch up in a set, do not search every text
    for every question.
    """
    raise NotImplementedError("TODO: re.findall, all stretches of n words, a set of them")
