"""Phase 3: midtraining.

The model that continues text meets conversations: their special tokens, whose turn it is, how a
tool is called. The loss is still on every token, questions included, and a share of the rows is
plain text again, so that what was learned before is not lost. Conversations are packed whole into
rows; only those longer than a row are cut.
"""

from firstwords.run import Run
from firstwords.signals import Stop
from firstwords.stages.common import train_on_chat


def midtrain(run: Run, stop: Stop) -> None:
    train_on_chat(run, "mid", after="base", masked=False, stop=stop)
