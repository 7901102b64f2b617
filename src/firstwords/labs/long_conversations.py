"""Lab 3: conversations that are longer than a row jam a packer, or turn batches into padding."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from firstwords.data import rows as real
from firstwords.data.rows import PackedRows, Piece
from firstwords.data.tokens import TokenStore
from firstwords.errors import Diverged
from firstwords.labs.folder import Folder, within
from firstwords.labs.lab import Finding, Outcome, Setting, right, told, wrong
from firstwords.labs.small import SEQ_LEN, recipe, trained, workshop
from firstwords.model import IGNORE
from firstwords.recipe import Recipe

FILE = "packing.py"
STEPS = 60
TRIALS = 60
MOST_LINES = 400_000  # of Python that a trial may run; a quadratic packer needs 20,000
Cut = Callable[[int, int, int], list[Piece]]
Pack = Callable[[list[Piece], int], list[list[Piece]]]


def exercise(folder: Folder) -> Iterator[Finding]:
    cut, pack = _functions(folder)
    for lengths, seq_len in trials(TRIALS):
        with within(MOST_LINES, "cut or pack"):
            fault = _fault(cut, pack, lengths, seq_len)
        if fault:
            yield fault
            return
    yield right(
        f"{TRIALS} random sets of conversations: every target once, no row too long or empty"
    )


def _functions(folder: Folder) -> tuple[Cut, Pack]:
    return folder.function(FILE, "cut"), folder.function(FILE, "pack")


def trials(count: int) -> Iterator[tuple[list[int], int]]:
    """Lengths of conversations in tokens, two at least, and of a row; harder from trial to trial.
    A conversation of `seq_len` + 1 tokens just fills a row: its last token is no input."""
    rng = random.Random(0)
    for trial in range(count):
        seq_len = rng.choice([4, 16, 64])
        longest = seq_len + 1 if trial < count // 6 else seq_len * rng.choice([2, 3, 5]) + 3
        edges = [seq_len, seq_len + 1] + [seq_len + 2, 2 * seq_len + 1] * (longest > seq_len + 1)
        lengths = [rng.randint(2, longest) for _ in range(rng.randint(1, 40))]
        yield lengths + rng.sample(edges, rng.randint(0, len(edges))), seq_len


def _fault(cut: Cut, pack: Pack, lengths: list[int], seq_len: int) -> Finding | None:
    pieces: list[Piece] = []
    start = 0
    for length in lengths:
        cuts = cut(start, start + length, seq_len)
        if fault := _fault_of_cut(cuts, start, start + length, seq_len):
            said = f"cut({start}, {start + length}, {seq_len}) {fault.text}"
            return fault._replace(text=said)
        pieces += cuts
        start += length
    fault = _fault_of_pack(pack(list(pieces), seq_len), pieces, seq_len)
    said = f"conversations of {lengths[:8]} tokens in rows of {seq_len}"
    return fault._replace(text=f"{fault.text} ({said})") if fault else None


def _fault_of_cut(cuts: Any, start: int, stop: int, seq_len: int) -> Finding | None:
    if not isinstance(cuts, list) or not all(isinstance(piece, Piece) for piece in cuts):
        return wrong("gives no list of Piece", "[Piece(start, stop, start + 1)] is one")
    seen: list[int] = []
    for piece in cuts:
        if not 1 <= piece.inputs <= seq_len:
            return wrong(
                f"gives a piece of {piece.inputs} inputs",
                "a row has room for seq_len inputs: cut what is longer, and lose nothing",
            )
        if not (start <= piece.start < piece.first_target and piece.stop <= stop):
            return wrong(
                f"gives {piece}, which reaches beyond the conversation or has a target first",
                "a target needs an input before it, and that belongs to the same conversation",
            )
        seen += range(piece.first_target, piece.stop)
    if lost := set(range(start + 1, stop)) - set(seen):
        return wrong(
            f"loses the target at {min(lost)}" + f" and {len(lost) - 1} more" * (len(lost) > 1),
            "neighbouring pieces share a token: the last target of one is the next one's first "
            "input",
        )
    if twice := [place for place in seen if seen.count(place) > 1]:
        return wrong(
            f"has the target at {twice[0]} in two pieces", "set first_target behind what was taken"
        )
    return None


def _fault_of_pack(rows: Any, pieces: list[Piece], seq_len: int) -> Finding | None:
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        return wrong("pack gives no list of rows, which are lists of pieces", "see its docstring")
    if not all(rows):
        return wrong("pack gives an empty row", "a batch of such rows has no target: NaN")
    longest = max(sum(piece.inputs for piece in row) for row in rows)
    if longest > seq_len:
        return wrong(f"pack gives a row of {longest} inputs", "start another row in time")
    if sorted(piece for row in rows for piece in row) != sorted(pieces):
        return wrong("pack loses pieces, or has some twice", "every piece stands in one row")
    return None


def experiment(folder: Folder, setting: Setting) -> Iterator[Finding | Outcome]:
    cut, pack = _functions(folder)
    made = recipe(setting, STEPS)
    with workshop() as shop:
        store = shop.chat("train", made.base.tokens)
        yield Outcome("lost", _what_long_ones_hold(store))
        yield Outcome("padding", _what_padding_does(made, shop.pad))
        ours = PackedRows(store, SEQ_LEN, shop.pad, masked=True)
        with packing_with(cut, pack):
            theirs = PackedRows(store, SEQ_LEN, shop.pad, masked=True)
        yield Outcome("full", f"{_filled(theirs):.1%}; those of firstwords are {_filled(ours):.1%}")
        lost = _targets(ours) - _targets(theirs)
        if lost:
            hint = "the set of conversations is the curriculum's; which of them is special?"
            yield wrong(f"your rows have {lost:,} targets less than those of firstwords", hint)
            return
        yield right(f"all {_targets(theirs):,} targets of {len(store.lengths):,} conversations")
        run = trained(made, theirs, "with your rows")
        yield told(f"training on your rows: loss {run.losses[0]:.3f} to {run.loss:.3f}")


@contextmanager
def packing_with(cut: Cut, pack: Pack) -> Iterator[None]:
    """Inside this block `PackedRows` uses these two functions."""
    before = real.cut_conversation, real.pack

    def cut_without_context(start: int, stop: int, seq_len: int, context: bool) -> list[Piece]:
        return cut(start, stop, seq_len)

    real.cut_conversation, real.pack = cut_without_context, pack  # type: ignore[assignment]
    try:
        yield
    finally:
        real.cut_conversation, real.pack = before


def _what_long_ones_hold(store: TokenStore) -> str:
    """How much stands in conversations longer than a row."""
    starts = np.cumsum(store.lengths, dtype=np.int64) - store.lengths
    targets = np.add.reduceat(store.mask(0, len(store)), starts, dtype=np.int64)
    long = store.lengths > SEQ_LEN + 1
    return f"{targets[long].sum() / targets.sum():.0%}, in {long.mean():.0%} of the conversations"


class Padding:
    """Rows without a target."""

    def __init__(self, pad: int) -> None:
        self.pad = pad

    def __len__(self) -> int:
        return 1

    def row(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return np.full(SEQ_LEN, self.pad), np.full(SEQ_LEN, IGNORE)


def _what_padding_does(made: Recipe, pad: int) -> str:
    try:
        trained(made, Padding(pad), "on padding")
    except (Diverged, ZeroDivisionError) as error:
        return f"training stops: {error}"
    return "nothing"


def _filled(rows: PackedRows) -> float:
    """The share of the places that are no padding."""
    return sum(piece.inputs for row in rows.rows for piece in row) / (len(rows) * SEQ_LEN)


def _targets(rows: PackedRows) -> int:
    return sum(int((rows.row(index)[1] != IGNORE).sum()) for index in range(len(rows)))
