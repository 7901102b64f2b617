"""A sandbox for programs that a model wrote, which may do anything.

A benchmark's tests and the program run in two processes (`inside.py`), each with its own
namespaces, filter of system calls and limits (`isolation.py`), together in a control group that
bounds their memory (`memory_group.py`). `run.py` starts them.
"""

from firstwords.evaluation.sandbox.isolation import unavailable_reason
from firstwords.evaluation.sandbox.run import ProgramResult, run_program

__all__ = ["ProgramResult", "run_program", "unavailable_reason"]
