"""Tables of facts and of templates: plain text beside this file, read when first needed.

Facts are general knowledge, compiled by hand; `tests/data/starter` checks their form.
"""
