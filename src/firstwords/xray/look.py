"""The document of an X-ray: what the terminal, the HTML file, the web page and `--json` show.

firstwords  its version
run, text, chat
sampling    temperature, top_k, top_p, seed: of what the model writes
views       title and a sentence for each view, by name (`words.py`)
vocabulary  every token as it is shown, by id
stages      for each stage that was looked at:
    stage, step, steps      which checkpoint, of how many steps
    model                   its shape
    tokens                  [{id, by, start, end}]: `by` whom, and bytes of the text
    loss                    nats and rank of each token, and of the text in all
    similar                 {id: [[id, cosine]]} by embedding, for each token of the text
    attention               [layer][head][token]: probabilities of the tokens up to itself
    heads                   [layer][head]: how much goes to the places that heads often look at
    lens                    after the embedding and each layer: `top` [token][[id, probability]]
                            and the probability of what came `next`
    logits                  {place: [V]} of the token that comes after it
    cache                   the KV cache after each step, where the model went on
"""

from typing import Any, NamedTuple

from firstwords import __version__
from firstwords.errors import UserError
from firstwords.inference.sampling import Sampling
from firstwords.model import Transformer, n_parameters
from firstwords.recipe import Stage
from firstwords.tokenizer import Tokenizer
from firstwords.xray import measures
from firstwords.xray.cache import grow
from firstwords.xray.reading import read, shown, whole
from firstwords.xray.record import record
from firstwords.xray.words import views


class Subject(NamedTuple):
    """A checkpoint that is looked at."""

    stage: Stage
    step: int
    steps: int  # of the whole stage
    model: Transformer
    tokenizer: Tokenizer


class Ask(NamedTuple):
    text: str
    chat: bool  # as a user's message, or as the beginning of a document
    generate: int  # tokens to go on with
    sampling: Sampling


def document(run: str, subjects: list[Subject], ask: Ask) -> dict[str, Any]:
    """Look at a text in some stages of a run, which share a tokenizer. Raises UserError."""
    ask = ask._replace(text=whole(ask.text))
    tokenizer, config = subjects[0].tokenizer, subjects[0].model.config
    return {
        "firstwords": __version__,
        "run": run,
        "text": ask.text,
        "chat": ask.chat,
        "sampling": ask.sampling.model_dump(include={"temperature", "top_k", "top_p", "seed"}),
        "views": views(),
        "vocabulary": [shown(tokenizer.token_bytes(id)) for id in range(config.vocab_size)],
        "stages": [_look(subject, ask) for subject in subjects],
    }


def _look(subject: Subject, ask: Ask) -> dict[str, Any]:
    model, tokenizer = subject.model, subject.tokenizer
    tokens = read(tokenizer, ask.text, ask.chat, model.config.max_seq_len)
    given, cache = len(tokens), None
    if ask.generate:
        sampling = ask.sampling.model_copy(update={"max_tokens": ask.generate})
        written, cache = grow(model, tokenizer, [token.id for token in tokens], sampling)
        tokens += written
    ids = [token.id for token in tokens]
    recording = record(model, ids)
    attention = [call.probabilities()[0] for call in recording.calls]
    if not recording.logits_TV.isfinite().all():
        raise UserError(f"the numbers of {subject.stage} are not finite", "train another run")
    return {
        "stage": subject.stage,
        "step": subject.step,
        "steps": subject.steps,
        "model": _shape(model),
        "tokens": [token._asdict() for token in tokens],
        "loss": measures.loss(recording.logits_TV, tokens),
        "similar": measures.similar(model.embed_tokens.weight, sorted(set(ids))),
        "attention": [measures.rows(p_HTT) for p_HTT in attention],
        "heads": [measures.habits(p_HTT.double().cpu(), ids) for p_HTT in attention],
        "lens": measures.lens(model, recording, ids),
        "logits": measures.logits(recording.logits_TV, given),
        "cache": cache,
    }


def _shape(model: Transformer) -> dict[str, int]:
    config = model.config
    return {
        "layers": config.n_layer,
        "channels": config.n_embd,
        "heads": config.n_head,
        "kv_heads": config.n_kv_head,
        "head_dim": config.head_dim,
        "vocabulary": config.vocab_size,
        "context": config.max_seq_len,
        "parameters": n_parameters(config),
    }
