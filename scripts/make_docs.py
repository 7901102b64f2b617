#!/usr/bin/env python3
"""Write the pages that are made from the code, or say which of them are out of date.

python scripts/make_docs.py            write them
python scripts/make_docs.py --check    change nothing; exit code 1 if one differs
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from firstwords import files
from firstwords.glossary import TERMS

ROOT = Path(__file__).resolve().parent.parent


def glossary() -> str:
    """docs/guides/glossary.md."""
    lines = [
        "# Glossary",
        "What the words in a plan, a report or a chat mean, and how to read their values.",
    ]
    for term in sorted(TERMS, key=lambda term: term.name.casefold()):
        lines.append(f"**{term.name}**: {term.words}")
    made = "Made from `src/firstwords/glossary.py` by `python scripts/make_docs.py`."
    return "\n\n".join([*lines, made]) + "\n"


PAGES: dict[str, Callable[[], str]] = {"docs/guides/glossary.md": glossary}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="change nothing")
    check = parser.parse_args().check
    stale = [name for name, make in PAGES.items() if not is_current(ROOT / name, make())]
    for name in stale:
        if not check:
            files.write_text(ROOT / name, PAGES[name]())
        print(f"{name} is out of date" if check else f"{name} written")
    return 1 if check and stale else 0


def is_current(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
