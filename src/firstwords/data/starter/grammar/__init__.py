"""English grammar: sentences of every construction that make sense, alone and in short texts.

`lexicon.py` knows what can do what to what, `phrases.py` makes noun phrases and `clauses.py` puts
clauses into tenses. The other modules each make sentences of one part of grammar, and `texts.py`
joins sentences about the same people and things into texts.
"""

from firstwords.data.starter.grammar.sentences import any_sentence as sentence
from firstwords.data.starter.grammar.texts import page

__all__ = ["page", "sentence"]
