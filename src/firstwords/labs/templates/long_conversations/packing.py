"""Lab 3: pack conversations into rows, also those that are longer than a row.

This code works as long as every conversation fits into a row. Fix it. First read
docs/labs/03-long-conversations.md.
"""

from firstwords.data.dataloader import Segment


def cut(start: int, stop: int, seq_len: int) -> list[Segment]:
    """Return the segments of a conversation, which is tokens [start, stop) of a store.

    Segment(start, stop, first_target) is a range of tokens: its inputs are all but the last, its
    targets all but the first, and those before `first_target` are only context. A segment has at
    most `seq_len` inputs; every token of the conversation but the first is a target of exactly one
    segment.
    """
    return [Segment(start, stop, start + 1)]  # TODO: one segment is right only if it fits


def pack(segments: list[Segment], seq_len: int) -> list[list[Segment]]:
    """Return rows of segments. The inputs of a row's segments (segment.n_inputs) are at most
    `seq_len` together."""
    rows: list[list[Segment]] = []
    left = list(segments)
    while left:  # TODO: what if a segment never fits?
        row: list[Segment] = []
        room = seq_len
        for segment in list(left):
            if segment.n_inputs <= room:
                row.append(segment)
                left.remove(segment)
                room -= segment.n_inputs
        rows.append(row)
    return rows
