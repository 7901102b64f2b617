from firstwords.api import Conversation, TrainedRun, list_runs, open_run, train

__version__: str
__all__ = ["Conversation", "TrainedRun", "__version__", "list_runs", "open_run", "train"]
