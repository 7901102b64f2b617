from typing import NamedTuple


class Term(NamedTuple):
    name: str
    words: str


TERMS = (Term("bits per byte", "placeholder"),)
