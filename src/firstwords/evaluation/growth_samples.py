"""Growth samples: the same prompts, answered again and again while the model trains.

They are written before the first step and five times per stage, to `samples/STAGE-STEP.json`, with
the bits per byte of a little held-out text. The sampling seed is fixed, so two files differ only by
what the model learned in between.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from firstwords.common import devices, files
from firstwords.data.token_store import TokenStore
from firstwords.evaluation.bits_per_byte import bits_per_byte
from firstwords.inference.batch import answer_all
from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.sampling import Sampling
from firstwords.model.transformer import Transformer
from firstwords.recipe import STAGES, Stage
from firstwords.runs.datasets import text_store
from firstwords.runs.documents import Sample, read_or_none
from firstwords.runs.run import Run
from firstwords.tokenizer.bpe import END_OF_TEXT, Tokenizer
from firstwords.tokenizer.chat_format import encode_prompt
from firstwords.training.loop import Step
from firstwords.training.session import CallbackFactory, Snapshot

BEGINNINGS = ("Once upon a time", "The sun is", "Water is")
QUESTIONS = (
    "Hello! Who are you?",
    "What is the capital of France?",
    "What is 12 times 34?",
    "Why is the sky blue?",
    "Tell me a short story about a dog.",
)
SAMPLING = Sampling(temperature=0.5, top_k=40, max_tokens=80, seed=0)
SAMPLES_PER_STAGE = 5
MEASURED_BYTES = 30_000  # of held-out text: takes a tenth of a second, accurate to about 5 %


def sample_callback(run: Run) -> CallbackFactory:
    """Return a training callback that writes the growth samples. Existing files are kept."""

    @contextmanager
    def watch(
        stage: Stage, snapshot: Snapshot, tokenizer: Tokenizer, step: int
    ) -> Iterator[Callable[[Step], None]]:
        n_steps = run.recipe.stage(stage).steps
        sample_steps = {
            -(-n_steps * part // SAMPLES_PER_STAGE) for part in range(1, SAMPLES_PER_STAGE + 1)
        }

        def write(step: int) -> None:
            # A copy, since training compiled the model's own blocks for its batches.
            model, path = snapshot(), run.samples_path(stage, step)
            if model and read_or_none(Sample, path) is None:
                model.to(devices.device_or_cpu(run.recipe.device)).eval()
                measured = measure_growth(model, tokenizer, text_store(run, tokenizer, "val"))
                files.write_json(path, {"stage": stage, "step": step} | measured)

        if stage == STAGES[0] and step == 0:
            write(0)
        yield lambda done: write(done.step) if done.step in sample_steps else None

    return watch


def measure_growth(model: Transformer, tokenizer: Tokenizer, text: TokenStore) -> dict[str, Any]:
    """Return the model's bits per byte on the beginning of `text`, and its samples."""
    bits = bits_per_byte(
        model, text, model.config.max_seq_len, tokenizer.special_ids, max_bytes=MEASURED_BYTES
    )
    return {
        "bits_per_byte": {"score": bits.score, "ci95": bits.ci95, "n": bits.n},
        "samples": generate_samples(model, tokenizer),
    }


def generate_samples(model: Transformer, tokenizer: Tokenizer) -> list[dict[str, str]]:
    """Return continuations of BEGINNINGS and answers to QUESTIONS."""
    end = tokenizer.special(END_OF_TEXT)
    prompts = [[end, *tokenizer.encode(text)] for text in BEGINNINGS]
    prompts += [encode_prompt(tokenizer, [{"role": "user", "content": q}]) for q in QUESTIONS]
    engine = Engine(Decoder(model, slots=len(prompts)))
    answers = answer_all(engine, tokenizer, prompts, SAMPLING)
    return [
        {
            "prompt": text,
            "kind": "question" if text in QUESTIONS else "beginning",
            "answer": answer.content.strip(),
        }
        for text, answer in zip(BEGINNINGS + QUESTIONS, answers, strict=True)
    ]
