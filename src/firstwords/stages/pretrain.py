"""Phase 2: base pretraining.

From random weights, predict the next token of plain text. All knowledge of language and world
starts here, so this stage gets most of the time. Documents follow each other in rows of equal
length; every token is a target, and there is no padding but in the last row.

Some rows are echoes: random tokens that repeat. The heads that look back (`induction.py`) are of
little use to a model that still learns the commonest words, and training washes away what is of no
use yet; echoes keep them at work. `docs/lab-notebook.md` has the figures.
"""

from firstwords.data.rows import EchoRows, JoinedRows, TextRows, rows_beside
from firstwords.run import Run
from firstwords.signals import Stop
from firstwords.stages.common import load_tokenizer, padding, text_store, train_stage


def pretrain(run: Run, stop: Stop) -> None:
    recipe, config = run.recipe, run.recipe.base
    tokenizer = load_tokenizer(run)
    with run.world.leader_first():
        store = text_store(run, tokenizer, "train")
    text = TextRows(store, config.seq_len, padding(tokenizer))
    n_echo = rows_beside(len(text), recipe.echo)
    echo = EchoRows(tokenizer.vocab_size, config.seq_len, n_echo, recipe.seed)
    rows = JoinedRows(text, echo, n_echo)
    train_stage(run, "base", rows, lambda model: model.init_weights(recipe.seed), stop)
