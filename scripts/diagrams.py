"""Draw the pictures that open docs/guides/code-tour.md, from the code itself.

    python scripts/diagrams.py            write them
    python scripts/diagrams.py --check    exit with 1 if they are out of date

packages.svg has the packages in the order of the import contract, each with its purpose.
training-step.svg has the functions that one real training step calls, with the shapes that they
return: the step is run on a tiny model while Python reports every call.
"""

import argparse
import ast
import inspect
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any
from xml.sax.saxutils import escape

import torch

import firstwords
from firstwords.common.schema import parse_toml
from firstwords.data.dataloader import BatchSampler, TextRows
from firstwords.data.token_store import store_texts
from firstwords.recipe import ModelConfig, Recipe, StageConfig
from firstwords.tokenizer.bpe import Tokenizer
from firstwords.training.loop import train_step
from firstwords.training.setup import build

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path(firstwords.__file__).parent
GUIDES = ROOT / "docs" / "guides"
STYLE = """<style>
  text { font: 13px system-ui, sans-serif; fill: #1f2933; }
  .name { font: 600 13px ui-monospace, monospace; }
  .code { font: 12px ui-monospace, monospace; }
  .dim { fill: #52606d; }
  rect { fill: #f5f7fa; stroke: #9aa5b1; }
  path { stroke: #9aa5b1; fill: none; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e4e7eb; } .dim { fill: #9aa5b1; }
    rect { fill: #1f2933; stroke: #52606d; } path { stroke: #52606d; }
  }
</style>"""


# --- packages -------------------------------------------------------------------------------------


def packages() -> list[str]:
    """Return the packages in the order of the import contract in pyproject.toml."""
    document = parse_toml((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = document["tool"]["importlinter"]["contracts"][0]["layers"]
    return [layer.removeprefix("firstwords.") for layer in reversed(layers)]


def purpose(package: str) -> str:
    """Return the first sentence of a package's docstring."""
    path = PACKAGE / package
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    docstring = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    return docstring.split("\n\n")[0].replace("\n", " ").removesuffix(".")


def draw_packages() -> str:
    """Draw one row per package, from the first to the last of the contract."""
    height, width, top = 30, 760, 34
    names = packages()
    rows = []
    for number, name in enumerate(names):
        y = top + number * height
        rows.append(
            f'<rect x="8" y="{y}" width="{width - 16}" height="{height - 6}" rx="4"/>'
            f'<text class="name" x="20" y="{y + 17}">{name}</text>'
            f'<text x="140" y="{y + 17}">{escape(purpose(name))}</text>'
        )
    title = '<text class="dim" x="8" y="20">A package imports only from those above it.</text>'
    return _svg(width, top + len(names) * height + 4, [title, *rows])


# --- one training step ----------------------------------------------------------------------------


@dataclass
class Call:
    """A call of one of our functions: where it is defined, what it returns, what it calls."""

    file: str
    function: str
    shape: str = ""
    count: int = 1
    repeats: bool = True  # a generator is entered several times, but called once
    calls: "list[Call]" = field(default_factory=list)


class Recorder:
    """Records the calls of public functions in the files that a training step runs through."""

    FILES = ("tokenizer/", "data/encoding", "data/dataloader", "model/", "training/")
    SKIP = ("plus",)

    def __init__(self) -> None:
        self.root = Call("", "")
        self._stack: list[Call | None] = [self.root]

    def __call__(self, frame: FrameType, event: str, value: Any) -> None:
        if event == "call":
            call = self._call_of(frame)
            self._stack.append(call)
        elif event == "return" and len(self._stack) > 1:
            call = self._stack.pop()
            if call is not None:
                call.shape = shape_of(value)
                self._add(call)

    def _call_of(self, frame: FrameType) -> Call | None:
        path = Path(frame.f_code.co_filename)
        name = frame.f_code.co_name
        if PACKAGE not in path.parents or name.startswith(("_", "<")) or name in self.SKIP:
            return None
        file = path.relative_to(PACKAGE).as_posix()
        if not file.startswith(self.FILES):
            return None
        owner = frame.f_locals.get("self")
        if owner is not None and isinstance(getattr(type(owner), name, None), property):
            return None
        function = f"{type(owner).__name__}.{name}" if owner is not None else name
        is_generator = bool(frame.f_code.co_flags & inspect.CO_GENERATOR)
        return Call(file, function, repeats=not is_generator)

    def _add(self, call: Call) -> None:
        parent = next(c for c in reversed(self._stack) if c is not None)
        same = next((c for c in parent.calls if c.function == call.function), None)
        if same:
            same.count += call.repeats
        else:
            parent.calls.append(call)


def shape_of(value: Any) -> str:
    """Return the shape of a tensor or array, or of the first one in a tuple."""
    if isinstance(value, tuple) and value:
        value = value[0]
    return str(tuple(value.shape)) if hasattr(value, "shape") else ""


def record_step() -> Call:
    """Train a tiny model for one step and return the calls."""
    text = ["The fox saw the moon, and the moon saw the fox. " * 8] * 12
    stage = StageConfig(steps=4, batch_size=2, micro_batch_size=2, seq_len=16, warmup_steps=1)
    model = ModelConfig(
        vocab_size=300,
        n_layer=2,
        n_embd=32,
        n_head=2,
        n_kv_head=1,
        head_dim=16,
        n_hidden=64,
        max_seq_len=16,
    )
    recipe = Recipe(
        n_threads=1, tokenizer_bytes=1, model=model, pretrain=stage, midtrain=stage, sft=stage
    )
    tokenizer = Tokenizer.train(text, model.vocab_size)
    state = build(recipe)
    recorder = Recorder()
    with tempfile.TemporaryDirectory() as directory:
        sys.setprofile(recorder)
        try:
            store = store_texts(Path(directory), text, tokenizer, 10**6, lambda counts: None)
            rows = TextRows(store, stage.seq_len, tokenizer.pad_id)
            train_step(state, BatchSampler(rows, stage.batch_size, seed=0), stage)
        finally:
            sys.setprofile(None)
    return recorder.root


def draw_step() -> str:
    """Draw the calls of one step as a tree, in the order of execution."""
    height, width, top, indent = 24, 760, 34, 22
    rows = []
    for number, (depth, call) in enumerate(walk(record_step())):
        x, y = 12 + depth * indent, top + number * height
        times = f" ×{call.count}" if call.count > 1 else ""
        if depth:
            rows.append(f'<path d="M{x - 13},{y - 8} v14 h9"/>')
        rows.append(
            f'<text class="code" x="{x}" y="{y + 10}">{escape(call.function)}{times}</text>'
            f'<text class="code dim" x="430" y="{y + 10}">{escape(call.shape)}</text>'
            f'<text class="dim" x="{width - 12}" y="{y + 10}" text-anchor="end">{call.file}</text>'
        )
    title = (
        '<text class="dim" x="12" y="20">One training step of a tiny model: the functions it '
        "calls, the shapes they return, their files.</text>"
    )
    return _svg(width, top + (number + 1) * height + 4, [title, *rows])


def walk(call: Call, depth: int = 0) -> Iterator[tuple[int, Call]]:
    for inner in call.calls:
        yield depth, inner
        yield from walk(inner, depth + 1)


def _svg(width: int, height: int, parts: list[str]) -> str:
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}">\n{STYLE}\n{body}\n</svg>\n'
    )


def pictures() -> dict[Path, str]:
    """Return the pictures by their paths."""
    torch.manual_seed(0)
    return {
        GUIDES / "packages.svg": draw_packages(),
        GUIDES / "training-step.svg": draw_step(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="Only check that they are current.")
    check = parser.parse_args().check
    stale = [p for p, svg in pictures().items() if not p.exists() or p.read_text() != svg]
    if check and stale:
        sys.exit(f"out of date: {', '.join(p.name for p in stale)}; run scripts/diagrams.py")
    for path in stale:
        path.write_text(pictures()[path], encoding="utf-8")


if __name__ == "__main__":
    main()
