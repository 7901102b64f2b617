"""Bars, heat maps and percentages made of characters."""

BLOCKS = " ▏▎▍▌▋▊▉█"
SHADES = " ░▒▓█"
MIN_ATTENTION = 0.05  # less is left blank


def bar(share: float, width: int) -> str:
    """Return a bar of `share` of `width` characters, in eighths of a character."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    return ("█" * (eighths // 8) + BLOCKS[eighths % 8]).rstrip()


def percent(share: float) -> str:
    if 0 < share < 0.001:
        return "<.1%"
    return f"{share:.0%}" if share >= 0.0995 or share == 0 else f"{share:.1%}"


def heat_map(title: str, rows: list[list[float]], cell_width: int) -> list[str]:
    """Return the lines of a triangular map: a row for each token, a cell for each token up to it. A
    dot marks the diagonal where it would be blank."""
    width = max(cell_width * len(rows), len(title))
    lines = [title.ljust(width)]
    for row in rows:
        cells = [_shade(share) * cell_width for share in row]
        if row[-1] < MIN_ATTENTION:
            cells[-1] = "·".ljust(cell_width)
        lines.append("".join(cells).ljust(width))
    return lines


def _shade(share: float) -> str:
    return SHADES[0] if share < MIN_ATTENTION else SHADES[min(4, 1 + int(share * 4))]


def side_by_side(labels: list[str], blocks: list[list[str]], width: int) -> str:
    """Join blocks of equal size, as many per line as fit, each line after its label."""
    block_width = max(len(block[0]) for block in blocks)
    label_width = max(map(len, labels))
    per_line = max(1, (width - label_width) // (block_width + 3))
    groups = [blocks[first : first + per_line] for first in range(0, len(blocks), per_line)]
    return "\n\n".join(
        "\n".join(
            "   ".join([label.rjust(label_width), *parts]).rstrip()
            for label, *parts in zip(labels, *group, strict=True)
        )
        for group in groups
    )
