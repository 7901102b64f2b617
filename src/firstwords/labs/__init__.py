"""Eleven exercises on the real code, each with a prediction and a check.

`catalog.py` lists them. Each lab has a module of its name here, with a function `exercise` that
checks the learner's code and a function `experiment` that runs it; its files are in `templates/`,
its page is in `docs/labs`.
"""
