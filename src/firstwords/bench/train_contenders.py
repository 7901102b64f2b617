"""The contenders of `firstwords bench train`, each in a process of its own.

    python -m firstwords.bench.train_contenders NAME

The first line of stdin is a recipe (JSON). Each further line requests a round: the contender takes
steps for about a second and answers with the median seconds of each part of a step, as a line of
JSON. Between rounds it sleeps, so that contenders can take turns on one machine.
"""

import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from firstwords.common import devices
from firstwords.data.dataloader import IGNORE_INDEX, Batch, BatchSampler, RepeatedTokenRows
from firstwords.kernels.train import NativeTrainer
from firstwords.model.attention import causal_mask
from firstwords.model.transformer import Transformer
from firstwords.recipe import AttentionKind, ModelConfig, Recipe
from firstwords.training.gradient_sync import GradientSync
from firstwords.training.loop import accumulate
from firstwords.training.setup import LossFunction, build, torch_dtype

ROUND_SECONDS = 1.0
WARM_UP_STEPS = 3  # for compiling, and until memory has grown to its size
N_ROWS = 10**6  # different rows of the training data

Lap = Callable[[str], None]  # called at the end of a part of a step, with the part's name
TimedStep = Callable[[Lap], None]
Compute = Callable[[Lap, Batch], None]  # sets the gradients of a batch, marking its parts


def products(recipe: Recipe) -> TimedStep:
    """Return the ceiling: all matrix products of a step but attention's, and nothing else.

    These are the forward product and the backward products for input and weight.
    """
    devices.configure_torch(recipe.n_threads)
    stage, dtype = recipe.pretrain, torch_dtype(recipe)
    n_tokens = stage.micro_batch_size * stage.seq_len
    n_micro_batches = -(-stage.batch_size // stage.micro_batch_size)
    operands = []
    for n_in, n_out, count in product_shapes(recipe.model):
        x_NI, w_OI = torch.randn(n_tokens, n_in, dtype=dtype), torch.randn(n_out, n_in, dtype=dtype)
        y_NO = torch.randn(n_tokens, n_out, dtype=dtype)
        operands.append((x_NI, w_OI, y_NO, count * n_micro_batches))

    def step(lap: Lap) -> None:
        for x_NI, w_OI, y_NO, count in operands:
            for _ in range(count):
                F.linear(x_NI, w_OI)
                torch.mm(y_NO, w_OI)
                torch.mm(y_NO.T, x_NI)
        lap("products")

    return step


def native_products(recipe: Recipe) -> TimedStep:
    """Return the same products by the native kernel. Without a C++ compiler they are PyTorch's."""
    state = build(recipe.replace(kernel="native"))
    if state.native is None:
        return products(recipe)
    native = state.native

    def step(lap: Lap) -> None:
        native.products(recipe.pretrain.batch_size)
        lap("products")

    return step


def product_shapes(config: ModelConfig) -> list[tuple[int, int, int]]:
    """Return (inputs, outputs, count) of the model's linear layers, taken from the model itself."""
    with torch.device("meta"):
        model = Transformer(config)
    counts: dict[tuple[int, int], int] = defaultdict(int)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            counts[module.in_features, module.out_features] += 1
    return [(n_in, n_out, count) for (n_in, n_out), count in counts.items()]


def firstwords(recipe: Recipe) -> TimedStep:
    """Return a step as `firstwords train` takes it."""
    devices.configure_torch(recipe.n_threads)
    return training_step(recipe)


def pytorch(recipe: Recipe) -> TimedStep:
    """Return a step of the same model and optimizer by PyTorch, compiled: what trains without the
    native kernel."""
    devices.configure_torch(recipe.n_threads)
    plain = recipe.device == "cpu" and recipe.dtype == "bfloat16"
    attention: AttentionKind = "plain" if plain else "fused"
    return training_step(recipe.replace(kernel="pytorch", compile=True, attention=attention))


def eager(recipe: Recipe) -> TimedStep:
    """Return a step of the same model and optimizer with PyTorch's defaults: not compiled, in
    float32, with default threads and memory settings."""
    changes: dict[str, Any] = {"compile": False, "attention": "fused", "dtype": "float32"}
    return training_step(recipe.replace(kernel="pytorch", **changes))


def training_step(recipe: Recipe) -> TimedStep:
    """Return a step of the recipe's model and optimizer."""
    state = build(recipe)

    def update() -> None:
        state.optimizer.step(0.1)
        state.sync.zero_grad()

    native, sync = state.native, state.sync
    compute = by_kernel(native) if native else by_pytorch(recipe, state.loss, sync)
    return timed_step(recipe, compute, update)


def adamw(recipe: Recipe) -> TimedStep:
    """Return a step of a plain GPT of the same size, built of PyTorch's own layers, with AdamW and
    PyTorch's defaults."""
    model = PlainGPT(recipe.model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def loss(x_BT: Tensor, y_BT: Tensor, _start_BT: Tensor) -> Tensor:
        logits_NV = model(x_BT).flatten(0, 1)
        return F.cross_entropy(
            logits_NV, y_BT.flatten(), ignore_index=IGNORE_INDEX, reduction="sum"
        )

    def update() -> None:
        optimizer.step()
        optimizer.zero_grad()

    return timed_step(recipe, by_pytorch(recipe, loss, GradientSync(model)), update)


class PlainGPT(nn.Module):
    """A GPT with learned positions, LayerNorm and GELU.

    Its MLP is 1.5 times as wide as SwiGLU's, so that two matrices have as many parameters as
    SwiGLU's three.
    """

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
        """Return the logits (B, T, V)."""
        T = x_BT.shape[1]
        x_BTC = self.tokens(x_BT) + self.positions(torch.arange(T))
        hidden_TT = ~causal_mask(T, T, x_BT.device)
        return self.head(self.norm(self.blocks(x_BTC, mask=hidden_TT, is_causal=True)))


def timed_step(recipe: Recipe, compute: Compute, update: Callable[[], None]) -> TimedStep:
    """Return a whole step: data, gradients, optimizer. The rows are generated, which takes as long
    as reading a run's rows."""
    batches, number = random_batches(recipe), 0

    def step(lap: Lap) -> None:
        nonlocal number
        batch = batches.batch(number)
        number += 1
        lap("data")
        compute(lap, batch)
        update()
        lap("optimizer")

    return step


def by_pytorch(recipe: Recipe, loss: LossFunction, sync: GradientSync) -> Compute:
    """Return the gradients by PyTorch, forward and backward in turns."""

    def compute(lap: Lap, batch: Batch) -> None:
        def timed_loss(*micro_batch: Tensor) -> Tensor:
            lap("backward")  # of the previous micro-batch
            value = loss(*micro_batch)
            lap("forward")
            return value

        accumulate(timed_loss, sync, batch, recipe.pretrain.micro_batch_size)
        lap("backward")

    return compute


def by_kernel(native: NativeTrainer) -> Compute:
    """Return the gradients by the native kernel."""

    def compute(lap: Lap, batch: Batch) -> None:
        native.gradients(batch)
        lap("gradients")

    return compute


def random_batches(recipe: Recipe) -> BatchSampler:
    """Return batches of random tokens with the sizes of the recipe's pretraining."""
    stage = recipe.pretrain
    rows = RepeatedTokenRows(recipe.model.vocab_size, stage.seq_len, N_ROWS, recipe.seed)
    return BatchSampler(rows, stage.batch_size, recipe.seed)


CONTENDERS: dict[str, Callable[[Recipe], TimedStep]] = {
    "products": products,
    "native_products": native_products,
    "firstwords": firstwords,
    "pytorch": pytorch,
    "eager": eager,
    "adamw": adamw,
}


def time_parts(step: TimedStep) -> dict[str, float]:
    """Take one step and return the seconds of each of its parts."""
    seconds: dict[str, float] = defaultdict(float)
    last = time.perf_counter()

    def lap(part: str) -> None:
        nonlocal last
        now = time.perf_counter()
        seconds[part] += now - last
        last = now

    step(lap)
    return seconds


def time_round(step: TimedStep, seconds: float = ROUND_SECONDS) -> dict[str, float]:
    """Take steps for `seconds` and return the median seconds of each part."""
    end = time.perf_counter() + seconds
    steps = [time_parts(step)]
    while time.perf_counter() < end:
        steps.append(time_parts(step))
    return {part: statistics.median(parts[part] for parts in steps) for part in steps[0]}


def main() -> None:
    """Answer the requests on stdin."""
    step = CONTENDERS[sys.argv[1]](Recipe.model_validate_json(sys.stdin.readline()))
    for _ in range(WARM_UP_STEPS):
        time_parts(step)
    print("ready", flush=True)
    for _ in sys.stdin:
        print(json.dumps(time_round(step)), flush=True)


if __name__ == "__main__":
    main()
