"""What needs the models of the runs: bits per byte of the same text, and answers."""

import math
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from firstwords.compare.paired import paired_ratio
from firstwords.data import corpora
from firstwords.data.corpora import take_bytes
from firstwords.data.token_store import store_texts
from firstwords.evaluation.bits_per_byte import nats_of_documents
from firstwords.evaluation.evaluate import UNLIMITED_TOKENS
from firstwords.evaluation.growth_samples import BEGINNINGS, QUESTIONS
from firstwords.inference.batch import answer_all, decode_batch_size
from firstwords.inference.chat import fit_prompt
from firstwords.inference.decoder import Decoder
from firstwords.inference.engine import Engine
from firstwords.inference.models import StageModel
from firstwords.inference.sampling import GREEDY
from firstwords.recipe import Stage
from firstwords.runs.datasets import open_text
from firstwords.runs.run import Run
from firstwords.tokenizer.bpe import END_OF_TEXT

MEASURED_BYTES = 100_000  # of held-out text
MAX_TOKENS = 96  # of an answer


class HeldOutText(NamedTuple):
    """Text that no run was trained on, and where it is from; or the reason why there is none."""

    documents: list[str]
    origin: str
    reason: str = ""


def held_out_text(runs: list[Run]) -> HeldOutText:
    """Return text that is held out from the training of all runs."""
    sources = list(dict.fromkeys(run.manifest.sources.text_line for run in runs))
    if len(sources) > 1:
        return HeldOutText(
            [], "", f"the runs were trained on different text ({', '.join(sources)})"
        )
    corpus, seeds = open_text(runs[0]), {run.recipe.seed for run in runs}
    seed, origin = min(seeds), f"held out from {sources[0]}"
    has_own = any(part.files and not part.validation_files for part, _ in corpus.as_parts())
    if len(seeds) > 1 and corpus.has_starter:
        seed = max(seeds) + 1
        origin = f"held out from {sources[0]} with seed {seed}, which no run has"
    if has_own and len({run.file_seed for run in runs}) > 1:
        return HeldOutText(
            [],
            "",
            "the runs have different seeds, so what one holds out the other was trained on; "
            f"put a file with validation in its name into {sources[0]}",
        )
    documents = take_bytes(corpora.texts(corpus, "val", seed), MEASURED_BYTES)
    return HeldOutText(list(documents), origin)


def compare_bits_per_byte(models: list[StageModel], text: HeldOutText) -> dict[str, Any]:
    """Return the bits per byte of every model, and the paired difference of every model to the
    first one."""
    if text.reason:
        return {"reason": text.reason}
    sizes = np.array([len(document.encode()) for document in text.documents], dtype=np.float64)
    bits = [document_bits(model, text.documents) for model in models]
    pairs = [paired_ratio(bits[0], other, sizes) for other in bits[1:]]
    return {
        "text": text.origin,
        "documents": len(sizes),
        "bytes": int(sizes.sum()),
        "scores": [float(of.sum() / sizes.sum()) for of in bits],
        "pairs": [
            {**pair._asdict(), "half_width": pair.half_width, "clear": pair.is_clear}
            for pair in pairs
        ],
    }


def document_bits(model: StageModel, documents: list[str]) -> np.ndarray:
    """Return the bits (n_documents,) that a model needs for each document."""
    tokenizer = model.tokenizer
    with tempfile.TemporaryDirectory() as directory:
        store = store_texts(
            Path(directory), iter(documents), tokenizer, UNLIMITED_TOKENS, lambda counts: None
        )
        nats = nats_of_documents(
            model.model,
            store,
            model.model.config.max_seq_len,
            tokenizer.special_ids,
            len(documents),
        )
    return nats / math.log(2)


def default_prompts(stage: Stage) -> tuple[str, ...]:
    """Return prompts for a stage: beginnings of text for the pretrained model, else questions."""
    return BEGINNINGS if stage == "pretrain" else QUESTIONS


def answer_prompts(
    models: list[StageModel], stage: Stage, prompts: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Return each prompt with the greedy answer of every model."""
    answers = [_answers(model, stage, prompts) for model in models]
    return [
        {"prompt": prompt, "answers": list(of_prompt)}
        for prompt, *of_prompt in zip(prompts, *answers, strict=True)
    ]


def _answers(model: StageModel, stage: Stage, prompts: tuple[str, ...]) -> list[str]:
    config, tokenizer = model.model.config, model.tokenizer
    engine = Engine(Decoder(model.model, min(len(prompts), decode_batch_size(config))))
    encoded = [_encode(model, stage, prompt) for prompt in prompts]
    sampling = GREEDY.replace(max_tokens=MAX_TOKENS)
    return [answer.content.strip() for answer in answer_all(engine, tokenizer, encoded, sampling)]


def _encode(model: StageModel, stage: Stage, prompt: str) -> list[int]:
    if stage == "pretrain":
        ids = model.tokenizer.encode(prompt)
        room = model.model.config.max_seq_len * 3 // 4
        return [model.tokenizer.special(END_OF_TEXT), *ids[-room:]]
    messages = [{"role": "user", "content": prompt}]
    return fit_prompt(model.tokenizer, messages, model.model.config.max_seq_len).ids
