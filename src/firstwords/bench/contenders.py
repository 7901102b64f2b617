"""The contenders of `firstwords bench train`, each in a process of its own.

    python -m firstwords.bench.contenders NAME

A recipe (JSON) comes as the first line of stdin. Every further line asks for a round: the
contender takes steps for about a second and answers with the median seconds of each part of a step,
as a line of JSON. Between rounds it sleeps, so that contenders can take turns on one machine.
"""

import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from firstwords import machine
from firstwords.data.rows import Batches, EchoRows
from firstwords.distributed import Exchange, World
from firstwords.model import IGNORE, Transformer, causal_mask
from firstwords.optimizer import Optimizer
from firstwords.recipe import ModelConfig, Recipe
from firstwords.training import LossFunction, accumulate, loss_function, torch_dtype

ROUND_SECONDS = 1.0
WARM_UP = 3  # steps: compiling, then memory that grows to its size

Lap = Callable[[str], None]
Step = Callable[[Lap], None]


def products(recipe: Recipe) -> Step:
    """The ceiling: every matrix product of a step but attention's, and nothing else.

    Forward, and backward towards input and weight.
    """
    machine.setup(recipe.n_threads)
    dtype, n_tokens = torch_dtype(recipe), recipe.base.micro_rows * recipe.base.seq_len
    n_micro = -(-recipe.base.batch_rows // recipe.base.micro_rows)
    operands = []
    for n_in, n_out, count in product_shapes(recipe.model):
        x_NI, w_OI = torch.randn(n_tokens, n_in, dtype=dtype), torch.randn(n_out, n_in, dtype=dtype)
        y_NO = torch.randn(n_tokens, n_out, dtype=dtype)
        operands.append((x_NI, w_OI, y_NO, count * n_micro))

    def step(lap: Lap) -> None:
        for x_NI, w_OI, y_NO, count in operands:
            for _ in range(count):
                F.linear(x_NI, w_OI)
                torch.mm(y_NO, w_OI)
                torch.mm(y_NO.T, x_NI)
        lap("products")

    return step


def product_shapes(config: ModelConfig) -> list[tuple[int, int, int]]:
    """(inputs, outputs, how many) of the linear layers of a model, from the model itself."""
    with torch.device("meta"):
        model = Transformer(config)
    counts: dict[tuple[int, int], int] = defaultdict(int)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            counts[module.in_features, module.out_features] += 1
    return [(n_in, n_out, count) for (n_in, n_out), count in counts.items()]


def firstwords(recipe: Recipe) -> Step:
    """A step as `firstwords train` takes it."""
    machine.setup(recipe.n_threads)
    return training_step(recipe)


def eager(recipe: Recipe) -> Step:
    """The same model and optimizer, with PyTorch as it comes: no compiling, its own choice of
    threads and memory, products in float32."""
    return training_step(
        recipe.model_copy(update={"compile": False, "attention": "fused", "dtype": "float32"})
    )


def training_step(recipe: Recipe) -> Step:
    model = Transformer(recipe.model).init_weights(recipe.seed)
    optimizer = Optimizer(model, recipe.optimizer, torch_dtype(recipe))
    return whole_step(recipe, loss_function(model, recipe), lambda: optimizer.step(0.1))


def adamw(recipe: Recipe) -> Step:
    """A plain GPT of the same size, from PyTorch's own layers, with AdamW and PyTorch as it
    comes."""
    model = PlainGPT(recipe.model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def loss(x_BT: Tensor, y_BT: Tensor) -> Tensor:
        logits_NV = model(x_BT).flatten(0, 1)
        return F.cross_entropy(logits_NV, y_BT.flatten(), ignore_index=IGNORE, reduction="sum")

    def update() -> None:
        optimizer.step()
        optimizer.zero_grad()

    return whole_step(recipe, loss, update)


class PlainGPT(nn.Module):
    """Learned positions, LayerNorm, GELU and a hidden layer of 4 times the width: as many
    parameters in products as SwiGLU's three matrices of 8/3."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.tokens = nn.Embedding(config.vocab_size, config.n_embd)
        self.positions = nn.Embedding(config.max_seq_len, config.n_embd)
        layer = nn.TransformerEncoderLayer(
            config.n_embd,
            config.n_head,
            dim_feedforward=round(1.5 * config.n_hidden),
            dropout=0.0,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.blocks = nn.TransformerEncoder(layer, config.n_layer, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(config.n_embd)
        self.head = nn.Linear(config.n_embd, config.vocab_size, bias=False)

    def forward(self, x_BT: Tensor) -> Tensor:
        T = x_BT.shape[1]
        x_BTC = self.tokens(x_BT) + self.positions(torch.arange(T))
        hidden_TT = ~causal_mask(T, T, x_BT.device)
        return self.head(self.norm(self.blocks(x_BTC, mask=hidden_TT, is_causal=True)))


def whole_step(recipe: Recipe, loss: LossFunction, update: Callable[[], None]) -> Step:
    """Data, forward and backward, optimizer. The rows are made anew, as costly as the run's own."""
    stage = recipe.base
    rows = EchoRows(recipe.model.vocab_size, stage.seq_len, 10**6, recipe.seed)
    batches = Batches(rows, stage.batch_rows, recipe.seed)
    alone = Exchange(World(), nn.Module())
    number = 0

    def step(lap: Lap) -> None:
        nonlocal number
        x_BT, y_BT = batches.batch(number)
        number += 1
        lap("data")

        def watched(x_mT: Tensor, y_mT: Tensor) -> Tensor:
            lap("backward")  # of the micro-batch before
            value = loss(x_mT, y_mT)
            lap("forward")
            return value

        accumulate(watched, x_BT, y_BT, stage.micro_rows, alone)
        lap("backward")
        update()
        lap("optimizer")

    return step


CONTENDERS: dict[str, Callable[[Recipe], Step]] = {
    "products": products,
    "firstwords": firstwords,
    "eager": eager,
    "adamw": adamw,
}


def timed(step: Step) -> dict[str, float]:
    """The seconds that each part of one step takes."""
    parts: dict[str, float] = defaultdict(float)
    last = time.perf_counter()

    def lap(part: str) -> None:
        nonlocal last
        now = time.perf_counter()
        parts[part] += now - last
        last = now

    step(lap)
    return parts


def round_of(step: Step, seconds: float = ROUND_SECONDS) -> dict[str, float]:
    """The median seconds of each part, over the steps of a round."""
    until = time.perf_counter() + seconds
    taken = [timed(step)]
    while time.perf_counter() < until:
        taken.append(timed(step))
    return {part: statistics.median(one[part] for one in taken) for part in taken[0]}


def main() -> None:
    step = CONTENDERS[sys.argv[1]](Recipe.model_validate_json(sys.stdin.readline()))
    for _ in range(WARM_UP):
        timed(step)
    print("ready", flush=True)
    for _ in sys.stdin:
        print(json.dumps(round_of(step)), flush=True)


if __name__ == "__main__":
    main()
