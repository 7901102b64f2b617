"""Lab 3: conversations longer than a row make a packer hang, or fill batches with padding."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from firstwords.common.errors import Diverged
from firstwords.data import dataloader
from firstwords.data.dataloader import IGNORE_INDEX, PackedRows, PaddingRows, Segment
from firstwords.data.token_store import TokenStore
from firstwords.labs.folder import LabFolder
from firstwords.labs.lab import ExperimentResult, LabFinding, LabSettings, failed, info, passed
from firstwords.labs.line_limit import limit_lines
from firstwords.labs.short_training import SEQ_LEN, open_lab_data, short_recipe, train_on_rows
from firstwords.recipe import Recipe

FILE = "packing.py"
STEPS = 60
N_TRIALS = 60
MAX_LINES = 400_000  # of Python executed in a trial; a quadratic packer needs 20,000
CutFunction = Callable[[int, int, int], list[Segment]]
PackFunction = Callable[[list[Segment], int], list[list[Segment]]]


def exercise(folder: LabFolder) -> Iterator[LabFinding]:
    """Check `cut` and `pack` on random sets of conversations."""
    cut, pack = _load_functions(folder)
    for lengths, seq_len in random_trials(N_TRIALS):
        with limit_lines(MAX_LINES, "cut or pack"):
            failure = _check_trial(cut, pack, lengths, seq_len)
        if failure:
            yield failure
            return
    yield passed(
        f"{N_TRIALS} random sets of conversations: every target once, no row too long or empty"
    )


def _load_functions(folder: LabFolder) -> tuple[CutFunction, PackFunction]:
    return folder.function(FILE, "cut"), folder.function(FILE, "pack")


def random_trials(count: int) -> Iterator[tuple[list[int], int]]:
    """Yield lengths of conversations in tokens, at least two, and of a row; harder from trial to
    trial. A conversation of `seq_len` + 1 tokens fills a row: its last token is no input."""
    rng = random.Random(0)
    for trial in range(count):
        seq_len = rng.choice([4, 16, 64])
        longest = seq_len + 1 if trial < count // 6 else seq_len * rng.choice([2, 3, 5]) + 3
        edges = [seq_len, seq_len + 1] + [seq_len + 2, 2 * seq_len + 1] * (longest > seq_len + 1)
        lengths = [rng.randint(2, longest) for _ in range(rng.randint(1, 40))]
        yield lengths + rng.sample(edges, rng.randint(0, len(edges))), seq_len


def _check_trial(
    cut: CutFunction, pack: PackFunction, lengths: list[int], seq_len: int
) -> LabFinding | None:
    segments: list[Segment] = []
    start = 0
    for length in lengths:
        parts = cut(start, start + length, seq_len)
        if failure := _check_cut(parts, start, start + length, seq_len):
            call = f"cut({start}, {start + length}, {seq_len})"
            return failure._replace(text=f"{call} {failure.text}")
        segments += parts
        start += length
    failure = _check_pack(pack(list(segments), seq_len), segments, seq_len)
    example = f"conversations of {lengths[:8]} tokens in rows of {seq_len}"
    return failure._replace(text=f"{failure.text} ({example})") if failure else None


def _check_cut(parts: Any, start: int, stop: int, seq_len: int) -> LabFinding | None:
    if not isinstance(parts, list) or not all(isinstance(part, Segment) for part in parts):
        return failed(
            "does not return a list of Segment", "return [Segment(start, stop, start + 1)], or more"
        )
    targets: list[int] = []
    for segment in parts:
        if not 1 <= segment.n_inputs <= seq_len:
            return failed(
                f"returns a segment of {segment.n_inputs} inputs",
                "a row holds seq_len inputs; split longer conversations without losing a token",
            )
        if not (start <= segment.start < segment.first_target and segment.stop <= stop):
            return failed(
                f"returns {segment}, which leaves the conversation or starts with a target",
                "a target needs an input before it, from the same conversation",
            )
        targets += range(segment.first_target, segment.stop)
    if lost := set(range(start + 1, stop)) - set(targets):
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        return failed(
            f"loses the target at {min(lost)}{more}",
            "adjacent segments share a token: the last target of one is the first input of the "
            "next",
        )
    if repeated := [position for position in targets if targets.count(position) > 1]:
        return failed(
            f"has the target at {repeated[0]} in two segments",
            "set first_target after the targets of earlier segments",
        )
    return None


def _check_pack(rows: Any, segments: list[Segment], seq_len: int) -> LabFinding | None:
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        return failed(
            "pack does not return a list of rows, which are lists of segments", "see its docstring"
        )
    if not all(rows):
        return failed(
            "pack returns an empty row", "a batch of empty rows has no target, and its loss is NaN"
        )
    longest = max(sum(segment.n_inputs for segment in row) for row in rows)
    if longest > seq_len:
        return failed(f"pack returns a row of {longest} inputs", "start a new row in time")
    if sorted(segment for row in rows for segment in row) != sorted(segments):
        return failed("pack loses or repeats segments", "put every segment into exactly one row")
    return None


def experiment(folder: LabFolder, settings: LabSettings) -> Iterator[LabFinding | ExperimentResult]:
    """Compare the learner's rows with those of Firstwords, and train on them."""
    cut, pack = _load_functions(folder)
    recipe = short_recipe(settings, STEPS)
    with open_lab_data() as data:
        store = data.chat("train", recipe.pretrain.tokens)
        yield ExperimentResult("lost", _share_in_long_conversations(store))
        yield ExperimentResult("padding", _train_on_padding(recipe))
        reference = PackedRows(store, SEQ_LEN, data.pad_id, assistant_only=True)
        with replace_packing(cut, pack):
            rows = PackedRows(store, SEQ_LEN, data.pad_id, assistant_only=True)
        yield ExperimentResult(
            "full", f"{_fill_share(rows):.1%}; Firstwords fills {_fill_share(reference):.1%}"
        )
        n_lost = _count_targets(reference) - _count_targets(rows)
        if n_lost:
            yield failed(
                f"your rows have {n_lost:,} fewer targets than those of Firstwords",
                "the conversations are the curriculum's; which of them is special?",
            )
            return
        yield passed(
            f"all {_count_targets(rows):,} targets of {len(store.lengths):,} conversations"
        )
        run = train_on_rows(recipe, rows, "with your rows")
        yield info(f"training on your rows: loss {run.losses[0]:.3f} to {run.final_loss:.3f}")


@contextmanager
def replace_packing(cut: CutFunction, pack: PackFunction) -> Iterator[None]:
    """Let `PackedRows` use these two functions inside this block."""
    before = dataloader.split_conversation, dataloader.pack_segments

    def cut_without_context(start: int, stop: int, seq_len: int, context: bool) -> list[Segment]:
        return cut(start, stop, seq_len)

    def pack_arrays(segments_N3: np.ndarray, seq_len: int) -> tuple[np.ndarray, np.ndarray]:
        rows = pack([Segment(*numbers) for numbers in segments_N3.tolist()], seq_len)
        packed = [segment for row in rows for segment in row]
        return np.array(packed, dtype=np.int64).reshape(-1, 3), np.cumsum([0, *map(len, rows)])

    dataloader.split_conversation = cut_without_context
    dataloader.pack_segments = pack_arrays
    try:
        yield
    finally:
        dataloader.split_conversation, dataloader.pack_segments = before


def _share_in_long_conversations(store: TokenStore) -> str:
    """Return the share of targets in conversations longer than a row."""
    starts = np.cumsum(store.lengths, dtype=np.int64) - store.lengths
    targets = np.add.reduceat(store.mask(0, len(store)), starts, dtype=np.int64)
    long = store.lengths > SEQ_LEN + 1
    return f"{targets[long].sum() / targets.sum():.0%}, in {long.mean():.0%} of the conversations"


def _train_on_padding(recipe: Recipe) -> str:
    try:
        train_on_rows(recipe, PaddingRows(SEQ_LEN), "on padding")
    except (Diverged, ZeroDivisionError) as error:
        return f"training stops: {error}"
    return "nothing"


def _fill_share(rows: PackedRows) -> float:
    """Return the share of positions that are not padding."""
    segments = [segment for i in range(len(rows)) for segment in rows.segments(i)]
    return sum(segment.n_inputs for segment in segments) / (len(rows) * SEQ_LEN)


def _count_targets(rows: PackedRows) -> int:
    return sum(int((rows.row(index).y_T != IGNORE_INDEX).sum()) for index in range(len(rows)))
