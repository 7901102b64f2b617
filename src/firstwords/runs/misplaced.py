"""Move directories in the place of a run's files, and files in the place of its directories, aside.

Container tools make a directory for a file that they cannot find; synchronization tools leave a
file where a directory was. Neither can be replaced by renaming a new one onto it.
"""

from pathlib import Path

from firstwords.common import console

FILES = (
    "run.json",
    "timings.json",
    "lock",
    "report.*",
    "tokenizer/*.json",
    "tokens/*/*.source.json",
    "tokens/*/*/complete.json",
    "checkpoints/run.json",
    "metrics/*.jsonl",
    "samples/*.json",
    "evaluation/*.json*",
)
DIRECTORIES = (
    "tokenizer",
    "tokens",
    "tokens/text",
    "tokens/chat",
    "tokens/*/train",
    "tokens/*/val",
    "checkpoints",
    "checkpoints/pretrain",
    "checkpoints/midtrain",
    "checkpoints/sft",
    "checkpoints/rl",
    "metrics",
    "samples",
    "evaluation",
    "tensorboard",
    "tensorboard/*",
)
SUFFIX = ".aside"


def move_misplaced_aside(directory: Path) -> None:
    """Rename what has the wrong type in the directory of a run, and say so."""
    misplaced = [path for pattern in FILES for path in directory.glob(pattern) if path.is_dir()]
    misplaced += [
        path for pattern in DIRECTORIES for path in directory.glob(pattern) if not path.is_dir()
    ]
    for path in misplaced:
        if path.suffix != SUFFIX:
            console.warn(f"{path} has the wrong type; renaming it to {_rename(path).name}")


def _rename(path: Path) -> Path:
    aside, number = path.with_name(path.name + SUFFIX), 2
    while aside.exists():
        aside, number = path.with_name(f"{path.name}.{number}{SUFFIX}"), number + 1
    return path.rename(aside)
