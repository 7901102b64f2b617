import torch

from firstwords.model.transformer import Transformer


@torch.inference_mode()
def generate_without_cache(model: Transformer, prompt: list[int], n: int) -> list[int]:
    ids = list(prompt)
    for _ in range(n):
        ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    return ids[len(prompt) :]


def tokens_without_cache(prompt_length: int, n: int) -> int:
    return n * prompt_length + n * (n - 1) // 2


def tokens_with_cache(prompt_length: int, n: int) -> int:
    return prompt_length + n - 1
