"""The Python interface: open runs and train them, talk to their models, look at them in notebooks.

`import firstwords` offers these names. What goes wrong raises UserError, whose text says what and
how to fix it.
"""

from firstwords.api.conversation import Answer, Conversation
from firstwords.api.displays import Curves, Report, Xray
from firstwords.api.runs import TrainedRun, list_runs, open_run
from firstwords.api.training import train

__all__ = [
    "Answer",
    "Conversation",
    "Curves",
    "Report",
    "TrainedRun",
    "Xray",
    "list_runs",
    "open_run",
    "train",
]
