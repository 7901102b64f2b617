"""Checkpoints: directories in the Hugging Face layout, whole or absent, verified before use.

Every checkpoint opens with `transformers.AutoModelForCausalLM.from_pretrained`. A damaged one is
skipped for the one before it. Weights and optimizer state are safetensors, the rest is JSON.

    model.safetensors        weights, float32
    config.json              the model's shape, as a Qwen3ForCausalLM
    tokenizer.json           the run's tokenizer
    tokenizer_config.json    its special tokens
    chat_template.jinja      the format of a conversation
    generation_config.json   the tokens that end an answer
    optimizer.safetensors    the state of Muon and AdamW
    training.json            the step
    checksums.json           SHA-256 of the other files
"""

import os
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TextIO

from safetensors.torch import load_file
from torch import Tensor

from firstwords.common import files
from firstwords.model.hf_format import save_tensors, write_model
from firstwords.model.transformer import Transformer
from firstwords.runs.checkpoints import KEEP, list_checkpoints
from firstwords.tokenizer.bpe import Tokenizer
from firstwords.training.optimizer import Optimizer

CHECKPOINT_SECONDS = 30.0  # between checkpoints: at most this much training is lost
WRITE_FRACTION = 0.05  # of the time, at most, goes to writing; large checkpoints come less often


def save_checkpoint(
    directory: Path, model: Transformer, tokenizer: Tokenizer, state: dict[str, Tensor]
) -> None:
    """Write a checkpoint into `directory`, with the optimizer's state; remove old ones."""
    step = int(state["steps"])
    with files.atomic_directory(directory / f"{step:07d}") as new:
        write_model(new, model, tokenizer)
        save_tensors(new / "optimizer.safetensors", state)
        files.write_json(new / "training.json", {"step": step})
        sums = {file.name: files.sha256_file(file) for file in sorted(new.iterdir())}
        files.write_json(new / "checksums.json", sums)
    for old in list_checkpoints(directory)[KEEP:]:
        files.remove_directory(old.directory)


class CheckpointWriter:
    """Writes the checkpoints of a stage in a background thread, one at a time.

    Training waits only while the weights are copied. Leaving the context waits for the last write;
    an error in a write is raised by the next `save`, or on leaving. A checkpoint is on the disk
    after the rows of `metrics` before it, so a power cut cannot leave it without them.
    """

    def __init__(self, directory: Path, tokenizer: Tokenizer, metrics: TextIO) -> None:
        self.directory, self.tokenizer, self.metrics = directory, tokenizer, metrics
        self._write_seconds = 0.0  # of the last checkpoint, the copy included
        self._saved_at = time.monotonic()
        self._pool = ThreadPoolExecutor(1)
        self._pending: Future[None] | None = None

    def __enter__(self) -> "CheckpointWriter":
        return self

    def __exit__(self, *failure: object) -> None:
        self._pool.shutdown()
        if failure[0] is None:
            self._wait()

    def due(self) -> bool:
        """Return whether it is time for another checkpoint."""
        interval = max(CHECKPOINT_SECONDS, self._write_seconds / WRITE_FRACTION)
        return time.monotonic() - self._saved_at > interval

    def save(self, snapshot: Transformer, state: dict[str, Tensor]) -> None:
        """Write a model that no longer changes, and a copy of the optimizer's state."""
        self._wait()
        start = time.monotonic()
        state = {name: tensor.detach().to("cpu", copy=True) for name, tensor in state.items()}

        def write() -> None:
            os.fsync(self.metrics.fileno())
            save_checkpoint(self.directory, snapshot, self.tokenizer, state)
            self._write_seconds = time.monotonic() - start

        self._pending = self._pool.submit(write)
        self._saved_at = time.monotonic()

    def _wait(self) -> None:
        if self._pending:
            self._pending.result()


def load_optimizer(optimizer: Optimizer, directory: Path) -> None:
    """Load the optimizer's state from a checkpoint."""
    state: dict[str, Tensor] = load_file(directory / "optimizer.safetensors")
    optimizer.load_state(state)
