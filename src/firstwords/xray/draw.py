"""Bars, maps and shares in characters."""

BLOCKS = " ▏▎▍▌▋▊▉█"
SHADES = " ░▒▓█"
LEAST = 0.05  # of attention, that is drawn


def bar(share: float, width: int) -> str:
    """Of eighths of a character."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    return ("█" * (eighths // 8) + BLOCKS[eighths % 8]).rstrip()


def percent(share: float) -> str:
    if 0 < share < 0.001:
        return "<.1%"
    return f"{share:.0%}" if share >= 0.0995 or share == 0 else f"{share:.1%}"


def heat_map(title: str, rows: list[list[float]], cell: int) -> list[str]:
    """A row for each token, `cell` characters for each that it may look at. Where little goes to
    itself a dot shows the diagonal."""
    width = max(cell * len(rows), len(title))
    lines = [title.ljust(width)]
    for row in rows:
        cells = [_shade(share) * cell for share in row]
        if row[-1] < LEAST:
            cells[-1] = "·".ljust(cell)
        lines.append("".join(cells).ljust(width))
    return lines


def _shade(share: float) -> str:
    return SHADES[0] if share < LEAST else SHADES[min(4, 1 + int(share * 4))]


def beside(labels: list[str], blocks: list[list[str]], width: int) -> str:
    """Blocks of equal size, as many beside each other as fit, after labels of their lines."""
    size = max(len(block[0]) for block in blocks)
    margin = max(map(len, labels))
    per_line = max(1, (width - margin) // (size + 3))
    groups = [blocks[first : first + per_line] for first in range(0, len(blocks), per_line)]
    return "\n\n".join(
        "\n".join(
            "   ".join([label.rjust(margin), *parts]).rstrip()
            for label, *parts in zip(labels, *group, strict=True)
        )
        for group in groups
    )
