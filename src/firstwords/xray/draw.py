"""Bars, maps and shares in characters."""

BLOCKS = " ▏▎▍▌▋▊▉█"
SHADES = " ░▒▓█"


def bar(share: float, width: int) -> str:
    """Of eighths of a character."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    return ("█" * (eighths // 8) + BLOCKS[eighths % 8]).rstrip()


def percent(share: float) -> str:
    if 0 < share < 0.001:
        return "<.1%"
    return f"{share:.0%}" if share >= 0.0995 or share == 0 else f"{share:.1%}"


def heat_map(title: str, rows: list[list[float]]) -> list[str]:
    """A row for each token, two characters for each that it may look at: a fifth of the attention
    or less a shade. Under a twentieth nothing is drawn, but the diagonal shows as a dot."""
    width = max(2 * len(rows), len(title))
    lines = [title.ljust(width)]
    for row in rows:
        cells = [SHADES[min(4, round(share * 4 + 0.3))] * 2 for share in row]
        if cells[-1] == "  ":
            cells[-1] = "· "
        lines.append("".join(cells).ljust(width))
    return lines


def beside(blocks: list[list[str]], width: int) -> str:
    """Blocks of equal size in lines, as many beside each other as fit."""
    size = max((len(block[0]) for block in blocks), default=0)
    per_line = max(1, (width + 3) // (size + 3))
    lines: list[str] = []
    for first in range(0, len(blocks), per_line):
        group = blocks[first : first + per_line]
        if lines:
            lines.append("")
        lines += ["   ".join(parts).rstrip() for parts in zip(*group, strict=True)]
    return "\n".join(lines)
