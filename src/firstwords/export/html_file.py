"""A model as one HTML file that chats in any browser, without a server or a network.

The file holds the weights, the tokenizer and an engine in JavaScript (`html/`), which computes what
`inference/` does. Its Content-Security-Policy allows the page's own script and style, by their
hashes, and a worker that runs the engine from a blob: nothing is fetched, and nothing can be sent.
"""

import hashlib
import html
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from firstwords.common import console, files
from firstwords.common.errors import UserError
from firstwords.common.single_file import csp_hash, embeddable_json, join_modules
from firstwords.common.units import format_duration, format_size
from firstwords.evaluation.table import format_score
from firstwords.export.model_card import introduce
from firstwords.export.page_weights import (
    BYTES_PER_WEIGHT,
    GROUP_SIZE,
    compress,
    encode_tensor,
    to_text,
)
from firstwords.inference.sampling import Sampling
from firstwords.model.size import n_parameters
from firstwords.model.transformer import Transformer
from firstwords.recipe import Stage
from firstwords.report.headline import make_headline
from firstwords.runs.checkpoints import Checkpoint
from firstwords.runs.datasets import open_conversations
from firstwords.runs.run import Run
from firstwords.tokenizer.bpe import SPECIAL_TOKENS, Tokenizer

# In an order in which each finds what it imports.
ENGINE = ("text", "weights", "engine", "tokenizer", "sampler", "tool", "chat_format", "answer")
PAGE = ("storage", "conversation", "settings", "page")
START_WORKER = "self.onmessage = onMessage;\n"
# Browsers refuse longer strings, at about 500 million characters.
MAX_WEIGHT_BYTES = 300_000_000
CHAT_EXAMPLES = (
    "Hello! Who are you?",
    "What is the capital of Japan?",
    "What is 127 times 46?",
    "How do you spell garden?",
    "Tell me a short story about a fox.",
    "Why is the sky blue?",
)
TEXT_EXAMPLES = ("Once upon a time", "The sun is", "Water is")
TEXT_PLACEHOLDER = "Write the beginning of a text"
OWN_DATA_EXAMPLES = CHAT_EXAMPLES[:1]


def write_html(
    path: Path,
    run: Run,
    stage: Stage,
    checkpoint: Checkpoint,
    model: Transformer,
    tokenizer: Tokenizer,
    dtype: str,
) -> None:
    """Write the page of a checkpoint's model, with matrices of the dtype "int9" or "f16".

    Raises UserError if the model is too large for a browser, or `path` cannot be written.
    """
    size = n_parameters(model.config) * BYTES_PER_WEIGHT[dtype]
    if size > MAX_WEIGHT_BYTES:
        raise UserError(
            f"the model has {format_size(size)} in {dtype}, more than a page can hold "
            f"({format_size(MAX_WEIGHT_BYTES)})",
            "use --dtype int9" if dtype != "int9" else "use --format gguf",
        )
    tensors = [(name, tensor.float().numpy()) for name, tensor in model.state_dict().items()]
    with console.progress(f"writing {path.name}", len(tensors), "tensors") as meter:
        layout, parts = [], []
        for name, values in tensors:
            entry, data = encode_tensor(name, np.atleast_2d(values), dtype)
            layout.append(entry)
            parts.append(data)
            meter.advance(1)
        weights = b"".join(parts)
        document = describe(run, stage, model, tokenizer) | {
            "layout": layout,
            "id": hashlib.sha256(weights).hexdigest()[:16],
        }
        card = render_card(run, stage, checkpoint, dtype)
        page = render_page(run.name, document, weights, card)
        files.write_output("--out", path, page)


def describe(run: Run, stage: Stage, model: Transformer, tokenizer: Tokenizer) -> dict[str, Any]:
    """Return what the page's scripts need besides the weights."""
    chats = stage != "pretrain"
    examples = CHAT_EXAMPLES if open_conversations(run).has_starter else OWN_DATA_EXAMPLES
    return {
        "config": model.config.model_dump(),
        "tokens": [
            tokenizer.token_bytes(token).decode("latin-1") for token in range(tokenizer.vocab_size)
        ],
        "special": {text: tokenizer.special(text) for text in SPECIAL_TOKENS},
        "sampling": Sampling().model_dump(exclude={"stop", "seed"}),
        "chats": chats,
        "name": run.assistant_name(stage),
        "examples": examples if chats else TEXT_EXAMPLES,
    }


def render_card(run: Run, stage: Stage, checkpoint: Checkpoint, dtype: str) -> str:
    """Return what the model is and where its limits are, as HTML."""
    rows = card_rows(run, stage, checkpoint, dtype)
    listed = "".join(
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in rows
    )
    headline = make_headline(run, stage, run.read_evaluation(stage))
    limits = "".join(f"<li>{html.escape(limit)}</li>" for limit in headline.limits)
    paragraphs = [headline.model]
    if own := run.personality_of(stage):
        about, quote = introduce(own)
        paragraphs.append(f"{about} It says of itself: “{quote}”")
    described = "".join(f"<p>{html.escape(paragraph)}</p>\n" for paragraph in paragraphs)
    return f"{described}<dl>{listed}</dl>\n<h3>What it cannot do</h3>\n<ul>{limits}</ul>"


def card_rows(run: Run, stage: Stage, checkpoint: Checkpoint, dtype: str) -> list[tuple[str, str]]:
    """Return the facts of the card as (name, value)."""
    sources = run.manifest.sources
    data = sources.text_line
    if stage != "pretrain":
        data += f", {sources.chat_line}"
    rows = [
        ("Run", run.name),
        ("Stage", f"{stage}, step {checkpoint.step:,}"),
        ("Data", "the starter curriculum" if data in ("starter", "starter, starter") else data),
        ("Trained", f"{run.manifest.created[:10]}, in {format_duration(run.total_seconds())}"),
        (
            "Weights",
            {
                "int9": f"9 or 10 bits, with a scale for each {GROUP_SIZE}",
                "f16": "16 bits",
            }[dtype],
        ),
    ]
    tasks = (run.read_evaluation(stage) or {}).get("tasks", {})
    for task, name in (("exam", "Exam"), ("bits_per_byte", "Bits per byte")):
        if "score" in (result := tasks.get(task, {})):
            rows.append((name, _score(task, result)))
    return rows


def _score(task: str, result: dict[str, Any]) -> str:
    score, low, high, chance = (
        format_score(task, result, value)
        for value in (result["score"], *result["ci95"], result["chance"])
    )
    if task != "exam":
        return f"{score} ({low} to {high})"
    return f"{score} of {result['n']:,} questions ({low} to {high}; chance {chance})"


def render_page(run_name: str, document: dict[str, Any], weights: bytes, card: str) -> str:
    """Return the page of a model, which has its own name or that of its run."""
    script = join_modules([_shared("dom.js"), *(_own(f"{name}.js") for name in PAGE)])
    worker = f'"use strict";\n{engine_script()}{join_modules([_own("worker.js")])}{START_WORKER}'
    style = _shared("base.css") + _own("page.css")
    words = page_words(document["chats"], document["name"], run_name)
    return _own("page.html").format(
        **words,
        script=script,
        style=style,
        script_hash=csp_hash(script),
        style_hash=csp_hash(style),
        worker=worker,
        model=embeddable_json(document),
        weights=to_text(compress(weights)),
        card=card,
    )


def page_words(chats: bool, name: str | None, run_name: str) -> dict[str, str]:
    """Return the page's title, headings and placeholder, as HTML."""
    escaped = html.escape(name or run_name)
    if not chats:
        heading, welcome, placeholder = "Continue a text:", "Continue a text", TEXT_PLACEHOLDER
    elif name:
        heading, welcome = "Chat with", f"Chat with <bdi>{escaped}</bdi>"
        placeholder = f"Write a message to {escaped}"
    else:
        heading, welcome, placeholder = "Chat:", "Chat", "Write a message"
    words = {"heading": heading, "welcome": welcome, "placeholder": placeholder}
    return {"title": f"{escaped} · Firstwords", "name": escaped, **words}


def engine_script() -> str:
    """Return the engine as one script, which the page's worker runs."""
    return join_modules(_own(f"{name}.js") for name in ENGINE)


def _own(name: str) -> str:
    return (resources.files("firstwords.export") / "html" / name).read_text(encoding="utf-8")


def _shared(name: str) -> str:
    """Return a file that all pages share."""
    path = resources.files("firstwords.serve") / "static" / "shared" / name
    return path.read_text(encoding="utf-8")
