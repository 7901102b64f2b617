"""The contenders of `firstwords bench decode`, each in a process of its own.

    python -m firstwords.bench.decoders NAME

A `Task` (JSON) comes as the first line of stdin. Every further line asks for so many answers at a
time and is answered with the seconds to the first token and to the last.
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

from firstwords import checkpoint, machine
from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.sampling import GREEDY

SLOTS = 16


class Task(BaseModel):
    """The same model in both forms, and how much is asked of it."""

    checkpoint: Path
    gguf: Path
    n_threads: int
    prompt_tokens: int
    new_tokens: int
    vocab_size: int

    def prompts(self, batch: int, number: int) -> list[list[int]]:
        """Others each time, so that nothing is known from before."""
        rng = np.random.default_rng(number)
        shape = (batch, self.prompt_tokens)
        return [list(map(int, row)) for row in rng.integers(10, self.vocab_size, shape)]


Answer = Callable[[list[list[int]]], tuple[float, float]]  # seconds to the first token, to the last


def ours(task: Task) -> Answer:
    machine.setup(task.n_threads)
    model = checkpoint.load_model(task.checkpoint)
    engine = Engine(Decoder(model, SLOTS))
    sampling = GREEDY.model_copy(update={"max_tokens": task.new_tokens})

    def answer(prompts: list[list[int]]) -> tuple[float, float]:
        started, first = time.perf_counter(), 0.0
        for prompt in prompts:
            engine.submit(prompt, sampling)
        while engine.busy:
            engine.step()
            first = first or time.perf_counter() - started
        return first, time.perf_counter() - started

    return answer


def transformers(task: Task) -> Answer:
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(task.n_threads)
    model: Any = AutoModelForCausalLM.from_pretrained(task.checkpoint)

    def generate(prompts: list[list[int]], tokens: int) -> float:
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

    return lambda prompts: (generate(prompts, 1), generate(prompts, task.new_tokens))


def llama_cpp(task: Task) -> Answer:
    """llama.cpp by its own functions: a batch of tokens of several sequences at a time."""
    import llama_cpp as lib

    lib.llama_backend_init()
    model = lib.llama_model_load_from_file(
        str(task.gguf).encode(), lib.llama_model_default_params()
    )
    settings = lib.llama_context_default_params()
    settings.n_ctx = SLOTS * (task.prompt_tokens + task.new_tokens)
    settings.n_batch = settings.n_ubatch = SLOTS * task.prompt_tokens
    settings.n_seq_max = SLOTS
    settings.n_threads = settings.n_threads_batch = task.n_threads
    context = lib.llama_init_from_model(model, settings)
    batch = lib.llama_batch_init(SLOTS * task.prompt_tokens, 0, 1)

    def decode(tokens: list[tuple[int, int, int, bool]]) -> None:
        """(token, position, sequence, whether its logits are wanted)"""
        batch.n_tokens = len(tokens)
        for place, (token, position, sequence, wanted) in enumerate(tokens):
            batch.token[place], batch.pos[place] = token, position
            batch.n_seq_id[place], batch.seq_id[place][0] = 1, sequence
            batch.logits[place] = wanted
        if lib.llama_decode(context, batch):
            raise RuntimeError("llama.cpp could not decode")

    def likeliest(place: int) -> int:
        pointer = lib.llama_get_logits_ith(context, place)
        return int(np.ctypeslib.as_array(pointer, (task.vocab_size,)).argmax())

    def answer(prompts: list[list[int]]) -> tuple[float, float]:
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
        drawn = [likeliest((row + 1) * task.prompt_tokens - 1) for row in rows]
        first = time.perf_counter() - started
        for position in range(task.prompt_tokens, last + task.new_tokens):
            decode([(drawn[row], position, row, True) for row in rows])
            drawn = [likeliest(row) for row in rows]
        return first, time.perf_counter() - started

    return answer


CONTENDERS: dict[str, Callable[[Task], Answer]] = {
    "firstwords": ours,
    "transformers": transformers,
    "llama.cpp": llama_cpp,
}


def main() -> None:
    task = Task.model_validate_json(sys.stdin.readline())
    answer = CONTENDERS[sys.argv[1]](task)
    for batch in (1, SLOTS):
        answer(task.prompts(batch, 0))
    print("ready", flush=True)
    for number, line in enumerate(sys.stdin, 1):
        batch = int(line)
        first, whole = answer(task.prompts(batch, number))
        result: dict[str, Any] = {"first": first, "seconds": whole}
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
