"""The growth album: what a model makes of the same prompts as it grows up.

A page is written before the first step and after every fifth of a stage: `album/STAGE-STEP.json`,
with the bits per byte of a little held-out text. The same seed each time, so that two pages differ
by what was learned between them alone.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from firstwords import files, machine
from firstwords.conversation import encode_prompt
from firstwords.data.tokens import TokenStore
from firstwords.evaluation.bits_per_byte import bits_per_byte
from firstwords.inference.batch import answer_all
from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.sampling import Sampling
from firstwords.model import Transformer
from firstwords.recipe import STAGES, Stage
from firstwords.run import Copier, Run, Watcher
from firstwords.stages.common import text_store
from firstwords.tokenizer import END_OF_TEXT, Tokenizer
from firstwords.training import Step

BEGINNINGS = ("Once upon a time", "The sun is", "Water is")
QUESTIONS = (
    "Hello! Who are you?",
    "What is the capital of France?",
    "What is 12 times 34?",
    "Why is the sky blue?",
    "Tell me a short story about a dog.",
)
SAMPLING = Sampling(temperature=0.5, top_k=40, max_tokens=80, seed=0)
PAGES = 5  # of a stage
MEASURED_BYTES = 30_000  # of held-out text: a tenth of a second, and about 5 % off


def keeper(run: Run) -> Watcher:
    """Writes the pages while a stage of `run` is trained. A page that is there stays."""

    @contextmanager
    def watch(
        stage: Stage, copy: Copier, tokenizer: Tokenizer, step: int
    ) -> Iterator[Callable[[Step], None]]:
        steps = run.recipe.stage(stage).steps
        moments = {-(-steps * part // PAGES) for part in range(1, PAGES + 1)}

        def at(step: int) -> None:
            # A copy: training has compiled the model's blocks for batches of its own.
            grown, path = copy(), page_path(run, stage, step)
            if grown and not path.exists():
                grown.to(machine.at_hand(run.recipe.device)).eval()
                page = look_at(grown, tokenizer, text_store(run, tokenizer, "val"))
                files.write_json(path, {"stage": stage, "step": step} | page)

        if stage == STAGES[0] and step == 0:
            at(0)
        yield lambda taken: at(taken.step) if taken.step in moments else None

    return watch


def look_at(model: Transformer, tokenizer: Tokenizer, text: TokenStore) -> dict[str, Any]:
    """What a page says of a model."""
    bits = bits_per_byte(
        model, text, model.config.max_seq_len, tokenizer.special_ids, most_bytes=MEASURED_BYTES
    )
    return {
        "bits_per_byte": {"score": bits.score, "ci95": bits.ci95, "n": bits.n},
        "samples": write_samples(model, tokenizer),
    }


def page_path(run: Run, stage: Stage, step: int) -> Path:
    return run.directory / "album" / f"{stage}-{step:07d}.json"


def pages(run: Run) -> list[dict[str, Any]]:
    """All that have been written, the youngest model first."""
    found = [files.read_json(path) for path in (run.directory / "album").glob("*-*.json")]
    return sorted(found, key=lambda page: (STAGES.index(page["stage"]), page["step"]))


def write_samples(model: Transformer, tokenizer: Tokenizer) -> list[dict[str, str]]:
    """Continuations of a few beginnings, answers to a few questions."""
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
