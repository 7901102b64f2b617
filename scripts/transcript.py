#!/usr/bin/env python3
"""Run commands and write their output into a document, so that no figure is copied manually.

    python scripts/transcript.py README.md          run all blocks again
    python scripts/transcript.py README.md --only chat

In a block, lines that start with "$ " are commands; the script replaces all other lines:

    <!-- transcript: NAME -->
    ```text
    $ firstwords chat -p "Hello"
    Hello!
    ```
    <!-- end -->

The commands run with bash in the repository root, with .venv/bin first in PATH. Their stdout and
stderr are kept. The script stops at the first command that fails.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(
    r"(<!-- transcript: (?P<name>\S+) -->\n```text\n)(?P<body>.*?)(```\n<!-- end -->)", re.DOTALL
)


def run_commands(body: str) -> str:
    environment = dict(os.environ)
    environment["PATH"] = f"{ROOT / '.venv' / 'bin'}:{environment['PATH']}"
    printed = []
    for line in body.splitlines():
        if not line.startswith("$ "):
            continue
        print(line, file=sys.stderr)
        done = subprocess.run(
            ["bash", "-c", line[2:]],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
        )
        printed += [line, tidy(done.stdout)]
    return "\n".join(printed)


def tidy(text: str) -> str:
    """Paths as a reader would have them, and no empty line at the start."""
    text = text.replace(str(ROOT), ".").replace(str(Path.home()), "~").lstrip("\n")
    home = os.environ.get("FIRSTWORDS_HOME")
    return text.replace(home, "~/.cache/firstwords") if home else text


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("document", type=Path)
    parser.add_argument("--only", help="the name of one block")
    options = parser.parse_args()
    text = options.document.read_text(encoding="utf-8")

    def renew(block: re.Match[str]) -> str:
        if options.only and block["name"] != options.only:
            return block[0]
        return f"{block[1]}{run_commands(block['body'])}{block[4]}"

    renewed = BLOCK.sub(renew, text)
    with tempfile.NamedTemporaryFile("w", dir=options.document.parent, delete=False) as file:
        file.write(renewed)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(options.document)


if __name__ == "__main__":
    main()
