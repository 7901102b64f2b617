"""Lab 3: pack conversations into rows, those too that are longer than a row.

What stands here works as long as every conversation fits into a row. Mend it: read
docs/labs/03-long-conversations.md first.
"""

from firstwords.data.rows import Piece


def cut(start: int, stop: int, seq_len: int) -> list[Piece]:
    """Pieces of the conversation that is tokens [start, stop) of a store.

    Piece(start, stop, first_target) is a stretch of tokens: its inputs are all but the last, its
    targets all but the first, and those before `first_target` are only context. A piece has
    `seq_len` inputs at most; every token of the conversation but the first is a target of exactly
    one piece.
    """
    return [Piece(start, stop, start + 1)]  # TODO: one piece is right where it fits


def pack(pieces: list[Piece], seq_len: int) -> list[list[Piece]]:
    """Rows of pieces: the inputs of a row's pieces (piece.inputs) are `seq_len` at most."""
    rows: list[list[Piece]] = []
    left = list(pieces)
    while left:  # TODO: what if one never fits?
        row: list[Piece] = []
        room = seq_len
        for piece in list(left):
            if piece.inputs <= room:
                row.append(piece)
                left.remove(piece)
                room -= piece.inputs
        rows.append(row)
    return rows
