"""The contenders of `firstwords bench decode`, each in a process of its own.

    python -m firstwords.bench.decode_contenders NAME

The first line of stdin is a `DecodeTask` (JSON). Each further line is a number of prompts to
complete at a time; the contender answers with the seconds to the first token and to the last.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel

from firstwords.common import devices
from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.sampling import GREEDY
from firstwords.model import hf_format

MAX_BATCH_SIZE = 16
FIRST_ORDINARY_ID = 10  # token ids below are left out of the prompts: some are special tokens


class DecodeTask(BaseModel):
    """The same model in both file formats, and the sizes of prompts and answers."""

    checkpoint: Path
    gguf: Path
    n_threads: int
    prompt_tokens: int
    new_tokens: int
    vocab_size: int

    def prompts(self, batch_size: int, seed: int) -> list[list[int]]:
        """Return random prompts, different ones for each seed, so that no cache helps."""
        rng = np.random.default_rng(seed)
        shape = (batch_size, self.prompt_tokens)
        return [
            list(map(int, row)) for row in rng.integers(FIRST_ORDINARY_ID, self.vocab_size, shape)
        ]


# Completes prompts greedily; returns the seconds to the first token and to the last.
TimedGenerate = Callable[[list[list[int]]], tuple[float, float]]


def firstwords(task: DecodeTask) -> TimedGenerate:
    """Return generation by our engine."""
    devices.configure_torch(task.n_threads)
    model = hf_format.load_model(task.checkpoint)
    engine = Engine(Decoder(model, MAX_BATCH_SIZE))
    sampling = GREEDY.replace(max_tokens=task.new_tokens)

    def generate(prompts: list[list[int]]) -> tuple[float, float]:
        started, first = time.perf_counter(), 0.0
        for prompt in prompts:
            engine.submit(prompt, sampling)
        while engine.busy:
            engine.step()
            first = first or time.perf_counter() - started
        return first, time.perf_counter() - started

    return generate


def transformers(task: DecodeTask) -> TimedGenerate:
    """Return generation by transformers."""
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(task.n_threads)
    model: Any = AutoModelForCausalLM.from_pretrained(task.checkpoint)

    def seconds(prompts: list[list[int]], tokens: int) -> float:
        started = time.perf_counter()
        ids = torch.tensor(prompts)
        model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            min_new_tokens=tokens,
            max_new_tokens=tokens,
        )
        return time.perf_counter() - started

    return lambda prompts: (seconds(prompts, 1), seconds(prompts, task.new_tokens))


def llama_cpp(task: DecodeTask) -> TimedGenerate:
    """Return generation by llama.cpp's low-level functions, which decode a batch of sequences."""
    import llama_cpp as lib

    lib.llama_backend_init()
    model = lib.llama_model_load_from_file(
        str(task.gguf).encode(), lib.llama_model_default_params()
    )
    settings = lib.llama_context_default_params()
    settings.n_ctx = MAX_BATCH_SIZE * (task.prompt_tokens + task.new_tokens)
    settings.n_batch = settings.n_ubatch = MAX_BATCH_SIZE * task.prompt_tokens
    settings.n_seq_max = MAX_BATCH_SIZE
    settings.n_threads = settings.n_threads_batch = task.n_threads
    context = lib.llama_init_from_model(model, settings)
    batch = lib.llama_batch_init(MAX_BATCH_SIZE * task.prompt_tokens, 0, 1)

    def decode(tokens: list[tuple[int, int, int, bool]]) -> None:
        """Decode (token, position, sequence, whether to compute its logits)."""
        batch.n_tokens = len(tokens)
        for index, (token, position, sequence, with_logits) in enumerate(tokens):
            batch.token[index], batch.pos[index] = token, position
            batch.n_seq_id[index], batch.seq_id[index][0] = 1, sequence
            batch.logits[index] = with_logits
        if lib.llama_decode(context, batch):
            raise RuntimeError("llama.cpp could not decode")

    def most_likely(index: int) -> int:
        pointer = lib.llama_get_logits_ith(context, index)
        return int(np.ctypeslib.as_array(pointer, (task.vocab_size,)).argmax())

    def generate(prompts: list[list[int]]) -> tuple[float, float]:
        lib.llama_memory_clear(lib.llama_get_memory(context), True)
        started, last = time.perf_counter(), task.prompt_tokens - 1
        decode(
            [
                (token, position, sequence, position == last)
                for sequence, prompt in enumerate(prompts)
                for position, token in enumerate(prompt)
            ]
        )
        rows = range(len(prompts))
        tokens = [most_likely((row + 1) * task.prompt_tokens - 1) for row in rows]
        first = time.perf_counter() - started
        for position in range(task.prompt_tokens, last + task.new_tokens):
            decode([(tokens[row], position, row, True) for row in rows])
            tokens = [most_likely(row) for row in rows]
        return first, time.perf_counter() - started

    return generate


CONTENDERS: dict[str, Callable[[DecodeTask], TimedGenerate]] = {
    "firstwords": firstwords,
    "transformers": transformers,
    "llama.cpp": llama_cpp,
}


def main() -> None:
    """Answer the requests on stdin."""
    task = DecodeTask.model_validate_json(sys.stdin.readline())
    generate = CONTENDERS[sys.argv[1]](task)
    for batch_size in (1, MAX_BATCH_SIZE):  # warm up
        generate(task.prompts(batch_size, 0))
    print("ready", flush=True)
    for seed, line in enumerate(sys.stdin, 1):
        first, total = generate(task.prompts(int(line), seed))
        print(json.dumps({"first": first, "seconds": total}), flush=True)


if __name__ == "__main__":
    main()
