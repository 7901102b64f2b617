"""Phase 3: midtraining.

The model that continues text meets conversations: their special tokens, whose turn it is, how a
tool is called. The loss is still on every token, questions included, and a share of the rows is
plain text again, so that what was learned before is not lost. Conversations are packed whole into
rows; only those longer than a row are cut.
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


def midtrain(run: Run, stop: Stop) -> None:
    start = weights_of(run, "base")
    tokenizer = load_tokenizer(run)
    pad, seq_len = padding(tokenizer), run.recipe.mid.seq_len
    chat = PackedRows(chat_store(run, tokenizer, "train"), seq_len, pad, masked=False)
    if chat.n_split:
        console.say(f"{chat.n_split:,} conversations are longer than a row: cut into pieces")
    text = TextRows(text_store(run, tokenizer, "train"), seq_len, pad)
    rows = JoinedRows(chat, text, rows_beside(len(chat), run.recipe.replay))
    train_stage(run, "mid", rows, start, stop)
