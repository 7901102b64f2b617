"""Lab 9: find the questions of an exam that are in the training text.

Write the function below. First read docs/labs/09-contamination.md.
"""


def contaminated(questions: list[str], training: list[str], n: int) -> list[bool]:
    """Return for each question whether `n` consecutive words of it are also consecutive in one of
    the training texts.

    A word is a run of letters and digits; upper or lower case and what is between the words do not
    matter. Of a question with fewer than `n` words, all words must be consecutive in a text.

    There can be many thousands of texts: look up n-grams in a set instead of searching every text
    for every question.
    """
    raise NotImplementedError("TODO: re.findall, all n-grams of words, a set of them")
