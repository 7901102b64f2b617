"""Durations and sizes: read what a user writes, write what a person reads."""

import re

DURATION_HINT = "write it like 90s, 10m, 1h or 1h30m"


def format_duration(seconds: float) -> str:
    """Format seconds as `0:07`, `12:34` or `1:02:03`."""
    minutes, second = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{second:02d}" if hours else f"{minutes}:{second:02d}"


def format_size(n_bytes: float) -> str:
    """Format bytes as `12 bytes`, `1.5 kB`, `3.2 MB` or `4.0 GB`, in powers of 1000."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n_bytes < 1000 or unit == "GB":
            break
        n_bytes /= 1000
    return f"{n_bytes:.0f} {unit}" if unit == "bytes" else f"{n_bytes:.1f} {unit}"


def parse_duration(text: str) -> float | None:
    """Return the seconds of a duration such as `1h30m`; None if it is not one."""
    number = r"(\d{1,9})"
    parts = re.fullmatch(f"(?:{number}h)?(?:{number}m)?(?:{number}s?)?", text.strip())
    if not parts or not any(parts.groups()):
        return None
    hours, minutes, seconds = (int(part or 0) for part in parts.groups())
    return float(hours * 3600 + minutes * 60 + seconds)
