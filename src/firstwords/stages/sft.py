"""Phase 4: supervised finetuning.

More conversations, but only the assistant's own tokens are targets: the model learns to answer, not
to ask. As in midtraining a share of the rows is plain text, or what only text told would be
forgotten. In a conversation longer than a row the last piece keeps as much context as fits, so an
answer is never trained without what it answers if that can be avoided.
"""

from firstwords import console
from firstwords.data.rows import JoinedRows, PackedRows, TextRows, rows_beside
from firstwords.run import Run
from firstwords.signals import Stop
from firstwords.stages.common import (
    chat_store,
    load_tokenizer,
    padding,
    text_store,
    train_stage,
    weights_of,
)


def finetune(run: Run, stop: Stop) -> None:
    start = weights_of(run, "mid")
    tokenizer = load_tokenizer(run)
    pad, seq_len = padding(tokenizer), run.recipe.sft.seq_len
    chat = PackedRows(chat_store(run, tokenizer, "train"), seq_len, pad, masked=True)
    if chat.n_split:
        console.say(f"{chat.n_split:,} conversations are longer than a row: cut into pieces")
    text = TextRows(text_store(run, tokenizer, "train"), seq_len, pad)
    rows = JoinedRows(chat, text, rows_beside(len(chat), run.recipe.replay))
    train_stage(run, "sft", rows, start, stop)
