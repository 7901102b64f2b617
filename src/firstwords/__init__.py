"""Firstwords: train a small chat model on the CPU of an ordinary laptop, and see every step.

From Python and in notebooks:

    import firstwords

    run = firstwords.train(time="5m")  # or firstwords.open_run("default")
    print(run.chat("What is the capital of Japan?"))

The names are loaded when first used, so that the command line does not wait for PyTorch; their
types are in __init__.pyi.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
__all__ = ["Conversation", "TrainedRun", "__version__", "list_runs", "open_run", "train"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("firstwords.api"), name)
    raise AttributeError(f"module 'firstwords' has no attribute {name!r}")
