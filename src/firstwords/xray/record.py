"""What the model computes on a text, heard by hooks on the very modules that train and answer.

Nothing is computed a second way, so nothing can drift from the model: the states are what its
modules return, and attention is PyTorch's own call with the arguments that the model gave it.

Shapes as in `model.py`.
"""

import copy
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from firstwords.model import Transformer


class AttentionCall(NamedTuple):
    """A call of PyTorch's attention, as the model made it."""

    q_BHTD: Tensor
    k_BKSD: Tensor
    v_BKSD: Tensor
    how: dict[str, Any]  # mask, causal, grouped queries
    y_BHTD: Tensor

    def probabilities(self) -> Tensor:
        """(B, H, T, S): how much of each token every token takes. The same call on unit vectors: a
        weighted sum of those is the weights."""
        B, K, S, _ = self.k_BKSD.shape
        unit_BKSS = torch.eye(S, device=self.k_BKSD.device).expand(B, K, S, S)
        return F.scaled_dot_product_attention(self.q_BHTD, self.k_BKSD, unit_BKSS, **self.how)


class Recording(NamedTuple):
    """Of L layers: the residual stream after the embedding and after each of them, their calls of
    attention, and the logits at the end."""

    states_TC: list[Tensor]
    calls: list[AttentionCall]
    logits_TV: Tensor


class _Listening(TorchFunctionMode):
    """Keeps the calls of attention. A mode belongs to its thread: what others compute meanwhile is
    not heard."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[AttentionCall] = []

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if function is F.scaled_dot_product_attention:
            q_BHTD, k_BKSD, v_BKSD = args
            self.calls.append(AttentionCall(q_BHTD, k_BKSD, v_BKSD, kwargs or {}, result))
        return result


@torch.inference_mode()
def record(model: Transformer, ids: list[int]) -> Recording:
    """Let the model read `ids`, and watch."""
    watched, states_TC = twin(model), []
    for module in (watched.embed_tokens, *watched.layers):
        module.register_forward_hook(lambda module, given, x_BTC: states_TC.append(x_BTC[0]))
    with _Listening() as heard:
        logits_BTV = watched(torch.tensor([ids], device=model.device))
    return Recording(states_TC, heard.calls, logits_BTV[0])


def twin(model: Transformer) -> Transformer:
    """The same parameters in modules of their own, whose hooks the engine of a server, which may be
    using the model in another thread, never meets."""
    shared = (*model.parameters(), *model.buffers())
    return copy.deepcopy(model, {id(tensor): tensor for tensor in shared})


@torch.inference_mode()
def read_out(model: Transformer, state_TC: Tensor) -> Tensor:
    """Logits (T, V) as if the model ended after this state: its own last norm and output head
    (the "logit lens"). After the last layer they are its logits."""
    return model.lm_head(model.norm(state_TC))
