"""The recipes that come with Firstwords, by name. Importing this does not import torch."""

from pathlib import Path


def named_recipes() -> dict[str, Path]:
    """Return the recipe files in this directory, by name."""
    return {path.stem: path for path in sorted(Path(__file__).parent.glob("*.toml"))}
