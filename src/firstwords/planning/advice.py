"""What a plan says of its data: which source is repeated, and what the model will not learn."""

from collections.abc import Iterator

from firstwords.data.corpora import Corpus
from firstwords.data.records import Kind
from firstwords.planning.estimates import bytes_per_token
from firstwords.planning.stage_steps import MAX_EPOCHS
from firstwords.recipe import Recipe, Stage

EXAMPLE_SHARE = 0.3  # of own conversations, in the mixture that is suggested


def data_notes(recipe: Recipe, text: Corpus, chat: Corpus, knows_starter: bool) -> list[str]:
    """Return the notes on a recipe's data, in sentences. `knows_starter` says whether it starts
    from a model that was trained on the starter conversations."""
    return [
        *_repeats(recipe, text, "text", ("pretrain",)),
        *_repeats(recipe, chat, "messages", ("midtrain", "sft")),
        *_lost_abilities(chat, knows_starter),
    ]


def _repeats(
    recipe: Recipe, corpus: Corpus, kind: Kind, stages: tuple[Stage, ...]
) -> Iterator[str]:
    """Say which parts of a mixture are too small for their share."""
    option = "--data" if kind == "text" else "--chat-data"
    tokens = max(recipe.stage(stage).tokens for stage in stages)
    for part in corpus.parts:
        size = part.corpus.text_bytes(kind) / bytes_per_token(recipe.model.vocab_size)
        epochs = part.weight * tokens / max(1.0, size)
        if epochs > MAX_EPOCHS:
            yield (
                f"{option} {part.corpus.name} is small for its share of {part.weight:.0%}: a stage "
                f"reads it about {epochs:,.0f} times; give more of it, or a smaller weight"
            )


def _lost_abilities(chat: Corpus, knows_starter: bool) -> Iterator[str]:
    """Say what own conversations alone do not teach, and how to mix them."""
    if chat.has_starter:
        return
    loses = "forgets" if knows_starter else "does not learn"
    names = [part.corpus.name for part in chat.as_parts()]
    share = EXAMPLE_SHARE / len(names)
    mixture = [*(f"{name}:{share:.2g}" for name in names), f"starter:{1 - EXAMPLE_SHARE:g}"]
    yield (
        f"without starter in --chat-data the model {loses} what the starter conversations teach "
        "(questions, sums, stories, tools); to mix them in: "
        + " ".join(f"--chat-data {source}" for source in mixture)
    )
