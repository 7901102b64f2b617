from firstwords.data.rows import Piece


def cut(start: int, stop: int, seq_len: int) -> list[Piece]:
    firsts = range(start + 1, stop, seq_len)
    return [Piece(first - 1, min(first + seq_len, stop), first) for first in firsts]


def pack(pieces: list[Piece], seq_len: int) -> list[list[Piece]]:
    rows: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda piece: -piece.inputs):
        for row in rows:
            if sum(one.inputs for one in row) + piece.inputs <= seq_len:
                row.append(piece)
                break
        else:
            rows.append([piece])
    return rows
