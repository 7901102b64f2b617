"""Figures of one pass through the model, as lists of numbers."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from firstwords.model import Transformer
from firstwords.xray.reading import Token
from firstwords.xray.record import Recording, read_out

TOP = 5  # predictions that are told of every layer
SIMILAR = 8
MOST_LOGITS = 1_000_000  # that are told: all of a text in most models


def loss(logits_TV: Tensor, tokens: list[Token]) -> dict[str, Any]:
    """Of each token, from what was said of it at the one before."""
    ids_N = torch.tensor([token.id for token in tokens[1:]], dtype=torch.long)
    logits_NV = logits_TV[:-1].double().cpu()
    nats_N = -logits_NV.log_softmax(-1).gather(1, ids_N[:, None])[:, 0]
    rank_N = (logits_NV > logits_NV.gather(1, ids_N[:, None])).sum(1) + 1
    of_text = [token.by == "text" for token in tokens[1:]]
    own = nats_N[torch.tensor(of_text)].sum().item()
    n_bytes = max(token.end or 0 for token in tokens)
    return {
        "nats": [None, *_rounded(nats_N)],
        "rank": [None, *rank_N.tolist()],
        "tokens": sum(of_text),
        "bytes": n_bytes,
        "mean": round(own / sum(of_text), 4),
        "bits_per_byte": round(own / math.log(2) / n_bytes, 4),
    }


@torch.inference_mode()
def similar(embedding_VC: Tensor, ids: list[int]) -> dict[str, list[list[float]]]:
    """The nearest tokens of each of these by the cosine of their embeddings, after what all tokens
    have in common is taken off: it would make everything alike."""
    unit_VC = F.normalize(embedding_VC - embedding_VC.mean(0), dim=-1)
    cosine_NV = unit_VC[ids] @ unit_VC.T
    cosine_NV[torch.arange(len(ids)), ids] = -2  # not itself
    best = cosine_NV.topk(min(SIMILAR, len(unit_VC) - 1))
    return dict(zip(map(str, ids), _pairs(best.indices, best.values), strict=True))


def rows(p_HTT: Tensor) -> list[list[list[float]]]:
    """[head][token]: a token's shares, of those up to itself."""
    return [[row[: place + 1] for place, row in enumerate(head)] for head in _rounded(p_HTT)]


def habits(p_HTT: Tensor, ids: list[int]) -> list[dict[str, float | None]]:
    """How much of its attention each head gives to the first token, to the one before, to itself,
    and to what came after the same token earlier (the mark of an induction head), in the mean of
    the tokens for which these are different places; None where there is none."""
    places = range(2, len(ids))
    after = [
        (place, earlier + 1)
        for place in places
        for earlier in range(place - 1)
        if ids[earlier] == ids[place]
    ]
    repeated = len({place for place, _ in after})

    def mean(pairs: list[tuple[int, int]], count: int) -> list[float | None]:
        if not count:
            return [None] * len(p_HTT)
        rows, columns = (list(numbers) for numbers in zip(*pairs, strict=True))
        return _rounded(p_HTT[:, rows, columns].sum(1) / count)

    found = {
        "first": mean([(place, 0) for place in places], len(places)),
        "before": mean([(place, place - 1) for place in places], len(places)),
        "itself": mean([(place, place) for place in places], len(places)),
        "repeat": mean(after, repeated),
    }
    return [{name: shares[head] for name, shares in found.items()} for head in range(len(p_HTT))]


def lens(model: Transformer, recording: Recording, ids: list[int]) -> list[dict[str, Any]]:
    """What comes next after the embedding and each layer, and how likely what came was."""
    next_N = torch.tensor(ids[1:], dtype=torch.long)
    levels = []
    for number, state_TC in enumerate(recording.states_TC):
        p_TV = read_out(model, state_TC).softmax(-1).cpu()
        best = p_TV.topk(min(TOP, p_TV.shape[1]))
        levels.append(
            {
                "after": f"layer {number}" if number else "embedding",
                "top": _pairs(best.indices, best.values),
                "next": [*_rounded(p_TV[:-1].gather(1, next_N[:, None])[:, 0]), None],
            }
        )
    return levels


def logits(logits_TV: Tensor, given: int) -> dict[str, list[float]]:
    """By place: all, or where that is too much to tell those after the `given` tokens and at the
    end."""
    length, vocabulary = logits_TV.shape
    last = range(max(0, length - MOST_LOGITS // vocabulary), length)
    places = sorted({given - 1, *last})
    return dict(zip(map(str, places), _rounded(logits_TV[places], 3), strict=True))


def _pairs(tokens_NK: Tensor, values_NK: Tensor) -> list[list[list[float]]]:
    """[n][k]: a token and its value."""
    both = zip(tokens_NK.tolist(), _rounded(values_NK), strict=True)
    return [[list(pair) for pair in zip(*row, strict=True)] for row in both]


def _rounded(values: Tensor, digits: int = 4) -> Any:
    return values.double().cpu().numpy().round(digits).tolist()
