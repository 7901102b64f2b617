"""Tables of facts and of templates: plain text beside this file, read when first needed.

Facts are general knowledge, compiled by hand; each table names where it can be looked up, and
`tests/data/starter/test_tables.py` holds it against independent libraries.
"""
