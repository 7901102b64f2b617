"""Measurements of one pass through the model, as lists of numbers for JSON.

Shapes: T tokens, N of them, C channels, V vocabulary, H heads, K candidates.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from firstwords.inspect.xray.record import Recording, read_out
from firstwords.inspect.xray.tokens import InspectedToken
from firstwords.model.transformer import Transformer

LENS_CANDIDATES = 5  # most likely tokens of each layer
SIMILAR_TOKENS = 8
MAX_LOGITS = 1_000_000  # numbers in the document; enough for all of a text in most models


def token_losses(logits_TV: Tensor, tokens: list[InspectedToken]) -> dict[str, Any]:
    """Return loss and rank of each token, as predicted at the position before, and totals over the
    tokens of the text."""
    ids_N = torch.tensor([token.id for token in tokens[1:]], dtype=torch.long)
    logits_NV = logits_TV[:-1].double().cpu()
    nats_N = -logits_NV.log_softmax(-1).gather(1, ids_N[:, None])[:, 0]
    rank_N = (logits_NV > logits_NV.gather(1, ids_N[:, None])).sum(1) + 1
    of_text = [token.start is not None for token in tokens[1:]]
    total = nats_N[torch.tensor(of_text)].sum().item()
    n_bytes = sum((token.end or 0) - (token.start or 0) for token in tokens)
    return {
        "nats": [None, *_rounded(nats_N)],
        "rank": [None, *rank_N.tolist()],
        "tokens": sum(of_text),
        "bytes": n_bytes,
        "mean": round(total / sum(of_text), 4),
        "bits_per_byte": round(total / math.log(2) / n_bytes, 4),
    }


@torch.inference_mode()
def similar_tokens(embedding_VC: Tensor, ids: list[int]) -> dict[str, list[list[float]]]:
    """Return the tokens most similar to each of `ids`, by the cosine of their embeddings.

    The mean embedding is subtracted first; with it all tokens would be similar.
    """
    unit_VC = F.normalize(embedding_VC - embedding_VC.mean(0), dim=-1)
    cosine_NV = unit_VC[ids] @ unit_VC.T
    cosine_NV[torch.arange(len(ids)), ids] = -2  # below any cosine: a token is not its own neighbor
    best = cosine_NV.topk(min(SIMILAR_TOKENS, len(unit_VC) - 1))
    return dict(zip(map(str, ids), _pairs(best.indices, best.values), strict=True))


def attention_rows(p_HTT: Tensor) -> list[list[list[float]]]:
    """Return [head][token]: a token's attention to each token up to itself."""
    return [[row[: position + 1] for position, row in enumerate(head)] for head in _rounded(p_HTT)]


def head_patterns(p_HTT: Tensor, ids: list[int]) -> list[dict[str, float | None]]:
    """Return how much of its attention each head pays to well-known positions.

    These are the first token, the token before, the token itself, and the token that followed an
    earlier occurrence of the same token (`repeat`, the mark of an induction head). Each is a mean
    over the tokens from the third on, where the positions differ; None where nothing repeats.
    """
    positions = range(2, len(ids))
    after_same = [
        (position, earlier + 1)
        for position in positions
        for earlier in range(position - 1)
        if ids[earlier] == ids[position]
    ]
    n_repeated = len({position for position, _ in after_same})

    def mean(pairs: list[tuple[int, int]], count: int) -> list[float | None]:
        if not count:
            return [None] * len(p_HTT)
        rows, columns = (list(numbers) for numbers in zip(*pairs, strict=True))
        return _rounded(p_HTT[:, rows, columns].sum(1) / count)

    patterns = {
        "first": mean([(position, 0) for position in positions], len(positions)),
        "before": mean([(position, position - 1) for position in positions], len(positions)),
        "itself": mean([(position, position) for position in positions], len(positions)),
        "repeat": mean(after_same, n_repeated),
    }
    return [{name: means[head] for name, means in patterns.items()} for head in range(len(p_HTT))]


def logit_lens(model: Transformer, recording: Recording, ids: list[int]) -> list[dict[str, Any]]:
    """Return the predictions that the output head reads from the states after the embedding and
    after each layer, and the probability of the actual next token."""
    next_N = torch.tensor(ids[1:], dtype=torch.long)
    levels = []
    for number, state_TC in enumerate(recording.states_TC):
        p_TV = read_out(model, state_TC).softmax(-1).cpu()
        best = p_TV.topk(min(LENS_CANDIDATES, p_TV.shape[1]))
        levels.append(
            {
                "after": f"layer {number}" if number else "embedding",
                "top": _pairs(best.indices, best.values),
                "next": [*_rounded(p_TV[:-1].gather(1, next_N[:, None])[:, 0]), None],
            }
        )
    return levels


def residual_norms(recording: Recording) -> list[dict[str, list[float]]]:
    """Return lengths of vectors at each token, after the embedding and after each layer: of the
    residual `stream`, and of what `attention` and `mlp` of the layer added to it."""
    states_TC = recording.states_TC
    levels = [{"stream": _norms(states_TC[0])}]
    added_TC = zip(recording.added_TC["attention"], recording.added_TC["mlp"], strict=True)
    for state_TC, (attention_TC, mlp_TC) in zip(states_TC[1:], added_TC, strict=True):
        norms = {"attention": attention_TC, "mlp": mlp_TC, "stream": state_TC}
        levels.append({name: _norms(vectors_TC) for name, vectors_TC in norms.items()})
    return levels


def _norms(vectors_TC: Tensor) -> list[float]:
    norms: list[float] = _rounded(vectors_TC.double().norm(dim=-1))
    return norms


def logits_by_position(logits_TV: Tensor, n_prompt: int) -> dict[str, list[float]]:
    """Return the logits at all positions, or, if they are more than MAX_LOGITS, at the end of the
    prompt and at the last positions."""
    length, vocabulary = logits_TV.shape
    last = range(max(0, length - MAX_LOGITS // vocabulary), length)
    positions = sorted({n_prompt - 1, *last})
    return dict(zip(map(str, positions), _rounded(logits_TV[positions], 3), strict=True))


def _pairs(tokens_NK: Tensor, values_NK: Tensor) -> list[list[list[float]]]:
    """Return [n][k]: a token and its value."""
    both = zip(tokens_NK.tolist(), _rounded(values_NK), strict=True)
    return [[list(pair) for pair in zip(*row, strict=True)] for row in both]


def _rounded(values: Tensor, digits: int = 4) -> Any:
    return values.double().cpu().numpy().round(digits).tolist()
