from firstwords.data.dataloader import Segment


def cut(start: int, stop: int, seq_len: int) -> list[Segment]:
    firsts = range(start + 1, stop, seq_len)
    return [Segment(first - 1, min(first + seq_len, stop), first) for first in firsts]


def pack(segments: list[Segment], seq_len: int) -> list[list[Segment]]:
    rows: list[list[Segment]] = []
    for segment in sorted(segments, key=lambda segment: -segment.n_inputs):
        for row in rows:
            if sum(one.n_inputs for one in row) + segment.n_inputs <= seq_len:
                row.append(segment)
                break
        else:
            rows.append([segment])
    return rows
