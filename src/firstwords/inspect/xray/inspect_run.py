"""The document of an X-ray, which the terminal, the HTML file, the web page and `--json` show.

firstwords  version of the package
run, text, chat
sampling    temperature, top_k, top_p, seed, for the tokens that the model generates
views       title and description of each view, by name (`views.py`)
vocabulary  every token in printable form, by id
stages      for each inspected stage:
    stage, step, steps      the checkpoint's step, and the steps of the whole stage
    model                   its shape
    tokens                  [{id, by, start, end}]: who wrote it, and the bytes of the text
    loss                    nats and rank of each token, and totals over the text
    similar                 {id: [[id, cosine]]} by embedding, for each token of the text
    attention               [layer][head][token]: probabilities over the tokens up to itself
    heads                   [layer][head]: attention to positions that heads often attend to
    lens                    after the embedding and each layer: `top` [token][[id, probability]],
                            and the probability of the actual `next` token
    logits                  {position: [V]} of the following token
    cache                   the KV cache after each generated token
"""

from typing import Any, NamedTuple

from firstwords import __version__
from firstwords.common.errors import UserError
from firstwords.inference.sampling import Sampling
from firstwords.inspect.xray import measures
from firstwords.inspect.xray.generation import generate_and_measure
from firstwords.inspect.xray.record import record
from firstwords.inspect.xray.tokens import printable, replace_surrogates, tokenize
from firstwords.inspect.xray.views import view_texts
from firstwords.model.size import n_parameters
from firstwords.model.transformer import Transformer
from firstwords.recipe import Stage
from firstwords.tokenizer.bpe import Tokenizer


class InspectedModel(NamedTuple):
    """A checkpoint to inspect. `steps` is the length of its stage."""

    stage: Stage
    step: int
    steps: int
    model: Transformer
    tokenizer: Tokenizer


class InspectRequest(NamedTuple):
    """A text to inspect: as a user's message (`chat`) or as the start of a document, followed by up
    to `generate` tokens of the model."""

    text: str
    chat: bool
    generate: int
    sampling: Sampling


def inspect_text(run: str, models: list[InspectedModel], request: InspectRequest) -> dict[str, Any]:
    """Return the X-ray of a text in some stages of a run, which share a tokenizer.

    Raises UserError if the text is empty or too long, or a model's numbers are not finite.
    """
    request = request._replace(text=replace_surrogates(request.text))
    tokenizer, config = models[0].tokenizer, models[0].model.config
    sampling = request.sampling.model_dump(include={"temperature", "top_k", "top_p", "seed"})
    return {
        "firstwords": __version__,
        "run": run,
        "text": request.text,
        "chat": request.chat,
        "sampling": sampling,
        "views": view_texts(),
        "vocabulary": [printable(tokenizer.token_bytes(id)) for id in range(config.vocab_size)],
        "stages": [_inspect_model(model, request) for model in models],
    }


def _inspect_model(inspected: InspectedModel, request: InspectRequest) -> dict[str, Any]:
    model, tokenizer = inspected.model, inspected.tokenizer
    tokens = tokenize(tokenizer, request.text, request.chat, model.config.max_seq_len)
    n_prompt, cache = len(tokens), None
    if request.generate:
        sampling = request.sampling.replace(max_tokens=request.generate)
        prompt = [token.id for token in tokens]
        generated, cache = generate_and_measure(model, tokenizer, prompt, sampling)
        tokens += generated
    ids = [token.id for token in tokens]
    recording = record(model, ids)
    attention = [call.probabilities()[0] for call in recording.calls]
    if not recording.logits_TV.isfinite().all():
        raise UserError(
            f"the {inspected.stage} model computes numbers that are not finite",
            "train another run",
        )
    return {
        "stage": inspected.stage,
        "step": inspected.step,
        "steps": inspected.steps,
        "model": _model_shape(model),
        "tokens": [token._asdict() for token in tokens],
        "loss": measures.token_losses(recording.logits_TV, tokens),
        "similar": measures.similar_tokens(model.embed_tokens.weight, sorted(set(ids))),
        "attention": [measures.attention_rows(p_HTT) for p_HTT in attention],
        "heads": [measures.head_patterns(p_HTT.double().cpu(), ids) for p_HTT in attention],
        "lens": measures.logit_lens(model, recording, ids),
        "logits": measures.logits_by_position(recording.logits_TV, n_prompt),
        "cache": cache,
    }


def _model_shape(model: Transformer) -> dict[str, int]:
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
