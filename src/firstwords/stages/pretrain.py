"""Phase 2: base pretraining.

From random weights, predict the next token of plain text. All knowledge of language and world
starts here, so this stage gets most of the time. Documents follow each other in rows of equal
length; every token is a target, and there is no padding but in the last row.
"""

from firstwords.data.rows import TextRows
from firstwords.run import Run
from firstwords.signals import Stop
from firstwords.stages.common import load_tokenizer, padding, text_store, train_stage


def pretrain(run: Run, stop: Stop) -> None:
    tokenizer = load_tokenizer(run)
    rows = TextRows(
        text_store(run, tokenizer, "train"), run.recipe.base.seq_len, padding(tokenizer)
    )
    train_stage(run, "base", rows, lambda model: model.init_weights(run.recipe.seed), stop)
