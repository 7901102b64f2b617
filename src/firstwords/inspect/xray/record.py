"""Record what the model computes on a text, by hooks on the modules that train and answer.

Nothing is computed a second way: the states are what the modules return, and the attention
probabilities come from PyTorch's own attention, called with the model's arguments.

Shapes: B sequences, T tokens, S tokens including cached ones, C channels, H query heads, K
key-value heads, D channels of a head, V vocabulary.
"""

import copy
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from firstwords.model.transformer import Transformer


class AttentionCall(NamedTuple):
    """The model's call of PyTorch's attention. `options` are mask, causality and grouping."""

    q_BHTD: Tensor
    k_BKSD: Tensor
    v_BKSD: Tensor
    options: dict[str, Any]
    y_BHTD: Tensor

    def probabilities(self) -> Tensor:
        """Return (B, H, T, S): how much attention each token pays to each.

        This is the same call with unit vectors as values: their weighted sum is the weights.
        """
        B, K, S, _ = self.k_BKSD.shape
        unit_BKSS = torch.eye(S, device=self.k_BKSD.device).expand(B, K, S, S)
        return F.scaled_dot_product_attention(self.q_BHTD, self.k_BKSD, unit_BKSS, **self.options)


class Recording(NamedTuple):
    """The residual stream after the embedding and after each layer, what attention and MLP of each
    layer add to it, the attention call of each layer, and the logits."""

    states_TC: list[Tensor]
    added_TC: dict[str, list[Tensor]]  # by "attention" and "mlp"
    calls: list[AttentionCall]
    logits_TV: Tensor


class _AttentionRecorder(TorchFunctionMode):
    """Keeps the calls of attention. A mode belongs to its thread, so it does not see what other
    threads compute."""

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
    """Run the model on `ids` and record it. The model must use fused attention, as loaded models
    do."""
    recorded = copy_sharing_weights(model)
    states_TC = _keep_outputs(recorded.embed_tokens, *recorded.layers)
    added_TC = {
        "attention": _keep_outputs(*(layer.self_attn for layer in recorded.layers)),
        "mlp": _keep_outputs(*(layer.mlp for layer in recorded.layers)),
    }
    with _AttentionRecorder() as recorder:
        logits_BTV = recorded(torch.tensor([ids], device=model.device))
    return Recording(states_TC, added_TC, recorder.calls, logits_BTV[0])


def _keep_outputs(*modules: Any) -> list[Tensor]:
    """Return a list that gets the output (T, C) of each module when it runs."""
    outputs_TC: list[Tensor] = []
    for module in modules:
        module.register_forward_hook(lambda module, inputs, x_BTC: outputs_TC.append(x_BTC[0]))
    return outputs_TC


def copy_sharing_weights(model: Transformer) -> Transformer:
    """Copy the modules but not the parameters, so that hooks on the copy do not see a server's
    engine that uses the model in another thread."""
    shared = (*model.parameters(), *model.buffers())
    return copy.deepcopy(model, {id(tensor): tensor for tensor in shared})


@torch.inference_mode()
def read_out(model: Transformer, state_TC: Tensor) -> Tensor:
    """Return the logits (T, V) as if the model ended after this state: its final norm and output
    head, the "logit lens". After the last layer they are the model's logits."""
    return model.lm_head(model.norm(state_TC))
