"""The document of an X-ray, which the terminal, the HTML file, the web page and `--json` show.

firstwords  version of the package
run, text, chat
messages    of a conversation that is inspected instead of a text, or None
dropped     how many of its oldest messages do not fit the context
truncated   whether its last question alone does not fit, and lost its beginning
selected    position of the token to look at first, or None for the last one of the prompt
sampling    temperature, top_k, top_p, seed, for the tokens that the model generates
views       title and description of each view, by name (`views.py`)
vocabulary  every token in printable form, by id
stages      for each inspected stage:
    stage, step, steps      the checkpoint's step, and the steps of the whole stage
    model                   its shape
    tokens                  [{id, by, start, end, text}]: who wrote it, the bytes of the text or
                            message, and what it adds to the text
    loss                    nats and rank of each token, and totals over the text
    similar                 {id: [[id, cosine]]} by embedding, for each token of the text
    attention               [layer][head][token]: probabilities over the tokens up to itself
    heads                   [layer][head]: attention to positions that heads often attend to
    lens                    after the embedding and each layer: `top` [token][[id, probability]],
                            and the probability of the actual `next` token
    residual                after the embedding and each layer: lengths of the residual `stream`
                            and of what `attention` and `mlp` added, at each token
    logits                  {position: [V]} of the following token
    cache                   the KV cache after each generated token
"""

from typing import Any, NamedTuple

from firstwords import __version__
from firstwords.common.errors import UserError
from firstwords.inference.sampling import Sampling
from firstwords.inspect.xray import measures
from firstwords.inspect.xray.conversation import check_conversation, tokenize_conversation
from firstwords.inspect.xray.generation import generate_and_measure
from firstwords.inspect.xray.record import record
from firstwords.inspect.xray.tokens import (
    InspectedToken,
    printable,
    replace_surrogates,
    texts_of,
    tokenize,
)
from firstwords.inspect.xray.views import view_texts
from firstwords.model.size import n_parameters
from firstwords.model.transformer import Transformer
from firstwords.recipe import Stage
from firstwords.tokenizer.bpe import Tokenizer
from firstwords.tokenizer.chat_format import Messages


class InspectedModel(NamedTuple):
    """A checkpoint to inspect. `steps` is the length of its stage."""

    stage: Stage
    step: int
    steps: int
    model: Transformer
    tokenizer: Tokenizer


class InspectRequest(NamedTuple):
    """A text to inspect: as a user's message (`chat`) or as the start of a document; or the
    `messages` of a conversation. Up to `generate` tokens of the model follow.

    `token` counts the tokens of the text, or of the last message, from 0, without results of the
    calculator.
    """

    text: str
    chat: bool
    generate: int
    sampling: Sampling
    messages: Messages | None = None
    token: int | None = None


class Prompt(NamedTuple):
    """The tokens to inspect, and what of a conversation was left out."""

    tokens: list[InspectedToken]
    n_dropped: int = 0
    truncated: bool = False

    def position_of(self, token: int) -> int:
        """Return the position of a token of the text, or of the last message. Results of the
        calculator do not count, since the model did not choose their tokens."""
        sources = [by for _, by, *_ in self.tokens]
        last = max(position for position, by in enumerate(sources) if by != "frame")
        first = max((i for i in range(last) if sources[i] == "frame"), default=-1) + 1
        counted = [i for i in range(first, last + 1) if sources[i] != "result"]
        return counted[min(token, len(counted) - 1)]


def tokenize_request(request: InspectRequest, tokenizer: Tokenizer, context: int) -> Prompt:
    """Return the tokens of a request's text or conversation.

    Raises UserError if the text is empty or too long, or the conversation is not valid.
    """
    if request.messages is None:
        return Prompt(tokenize(tokenizer, request.text, request.chat, context))
    messages = check_conversation(request.messages)
    return Prompt(*tokenize_conversation(tokenizer, messages, context))


def inspect_text(run: str, models: list[InspectedModel], request: InspectRequest) -> dict[str, Any]:
    """Return the X-ray of a text or conversation in some stages of a run, which share a tokenizer.

    Raises UserError if the text is empty or too long, the conversation is not valid, or a model's
    numbers are not finite.
    """
    request = request._replace(text=replace_surrogates(request.text))
    tokenizer, config = models[0].tokenizer, models[0].model.config
    prompt = tokenize_request(request, tokenizer, config.max_seq_len)
    sampling = request.sampling.model_dump(include={"temperature", "top_k", "top_p", "seed"})
    return {
        "firstwords": __version__,
        "run": run,
        "text": request.text,
        "chat": request.chat,
        "messages": request.messages,
        "dropped": prompt.n_dropped,
        "truncated": prompt.truncated,
        "selected": None if request.token is None else prompt.position_of(request.token),
        "sampling": sampling,
        "views": view_texts(),
        "vocabulary": [printable(tokenizer.token_bytes(id)) for id in range(config.vocab_size)],
        "stages": [_inspect_model(model, prompt.tokens, request) for model in models],
    }


def _inspect_model(
    inspected: InspectedModel, prompt: list[InspectedToken], request: InspectRequest
) -> dict[str, Any]:
    model, tokenizer = inspected.model, inspected.tokenizer
    tokens, cache = prompt, None
    if request.generate:
        sampling = request.sampling.replace(max_tokens=request.generate)
        prompt_ids = [token.id for token in prompt]
        generated, cache = generate_and_measure(model, tokenizer, prompt_ids, sampling)
        tokens = prompt + generated
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
        "tokens": [
            {**token._asdict(), "text": text}
            for token, text in zip(tokens, texts_of(tokenizer, tokens), strict=True)
        ],
        "loss": measures.token_losses(recording.logits_TV, tokens),
        "similar": measures.similar_tokens(model.embed_tokens.weight, sorted(set(ids))),
        "attention": [measures.attention_rows(p_HTT) for p_HTT in attention],
        "heads": [measures.head_patterns(p_HTT.double().cpu(), ids) for p_HTT in attention],
        "lens": measures.logit_lens(model, recording, ids),
        "residual": measures.residual_norms(recording),
        "logits": measures.logits_by_position(recording.logits_TV, len(prompt)),
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
