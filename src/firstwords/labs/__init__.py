"""Labs: exercises on the real code, with what to predict before running, and a checker.

`catalog.py` lists them. Each has a module of its name here (`exercise` looks at what the learner
wrote, `experiment` runs it), its files in `templates/`, and its page in `docs/labs`.
"""
