"""Phase 4: supervised finetuning.

More conversations, but only the assistant's own tokens are targets: the model learns to answer, not
to ask. As in midtraining a share of the rows is plain text, or what only text told would be
forgotten. In a conversation longer than a row the last piece keeps as much context as fits, so an
answer is never trained without what it answers if that can be avoided.
"""

from firstwords.run import Run
from firstwords.signals import Stop
from firstwords.stages.common import train_on_chat


def finetune(run: Run, stop: Stop) -> None:
    train_on_chat(run, "sft", after="mid", masked=True, stop=stop)
