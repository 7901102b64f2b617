"""The context windows that conversations are compared with."""

from firstwords.data.review import Context
from firstwords.planning.estimates import bytes_per_token
from firstwords.planning.model_sizes import SEQ_LEN
from firstwords.runs import registry
from firstwords.runs.datasets import load_tokenizer
from firstwords.tokenizer.chat_format import Messages, encode_conversations

VOCAB_SIZE = 4096  # of a plan for half an hour
TOKENS_PER_MESSAGE = 5  # its role and marks


def planned_context() -> Context:
    """Return the context of the models that the planner makes, with an estimate of the tokens."""
    rate = bytes_per_token(VOCAB_SIZE)

    def lengths(chats: list[Messages]) -> list[int]:
        return [
            sum(TOKENS_PER_MESSAGE + int(len(m["content"].encode()) / rate) for m in messages)
            for messages in chats
        ]

    return Context(SEQ_LEN, "a planned model (estimated)", lengths)


def run_context(name: str) -> Context:
    """Return the context of a run's model. Raises UserError if it has no tokenizer."""
    run = registry.open_run(name)
    tokenizer = load_tokenizer(run)

    def lengths(chats: list[Messages]) -> list[int]:
        return [len(encoded.ids) for encoded in encode_conversations(tokenizer, chats)]

    return Context(run.recipe.sft.seq_len, f"run {run.name}", lengths)
