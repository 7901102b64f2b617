"""Phase 2: base pretraining.

From random weights, predict the next token of plain text. All knowledge of language and world
starts here, so this stage gets most of the time. Documents follow each other in rows of equal
length; every token is a target, and there is no padding but in the last row.

Here and in the later stages, some rows are echoes: random tokens that repeat.
"""

from firstwords.data.rows import TextRows
from firstwords.run import Run
from firstwords.signals import Stop
from firstwords.stages.common import load_tokenizer, padding, text_store, train_stage, with_echoes


def pretrain(run: Run, stop: Stop) -> None:
    recipe, config = run.recipe, run.recipe.base
    tokenizer = load_tokenizer(run)
    text = TextRows(text_store(run, tokenizer, "train"), config.seq_len, padding(tokenizer))
    rows = with_echoes(run, text, tokenizer, config.seq_len)
    train_stage(run, "base", rows, lambda model: model.init_weights(recipe.seed), stop)
