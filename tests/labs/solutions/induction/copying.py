import torch
from torch import Tensor

from firstwords.model.transformer import Transformer


@torch.inference_mode()
def repeat_accuracy(model: Transformer, half_BT: Tensor) -> float:
    length = half_BT.shape[1]
    guess_BT = model(torch.cat((half_BT, half_BT), dim=1)).argmax(-1)
    return float((guess_BT[:, length:-1] == half_BT[:, 1:]).float().mean())
