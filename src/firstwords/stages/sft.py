"""Phase 4: supervised finetuning.

The same conversations, but only the assistant's own tokens are targets: the model learns to answer,
not to ask. In a conversation longer than a row the last piece keeps as much context as fits, so an
answer is never trained without what it answers if that can be avoided.
"""

from firstwords import console
from firstwords.data.rows import PackedRows
from firstwords.run import Run
from firstwords.signals import Stop
from firstwords.stages.common import chat_store, load_tokenizer, padding, train_stage, weights_of


def finetune(run: Run, stop: Stop) -> None:
    start = weights_of(run, "mid")
    tokenizer = load_tokenizer(run)
    store = chat_store(run, tokenizer, "train")
    rows = PackedRows(store, run.recipe.sft.seq_len, padding(tokenizer), masked=True)
    if rows.n_split:
        console.say(f"{rows.n_split:,} conversations are longer than a row: cut into pieces")
    train_stage(run, "sft", rows, start, stop)
