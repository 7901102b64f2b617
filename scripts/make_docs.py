#!/usr/bin/env python3
"""Make what in docs/ is made from the code and from docs/results.json.

    python scripts/make_docs.py           write what has changed
    python scripts/make_docs.py --check   write nothing; name what is stale and exit with 1

PAGES are whole pages. In every other page three kinds of places are filled in, so that a page can
be read as it is and no figure in it is typed by hand:

    <!-- result: stages.sft.exam percent -->76 %<!-- end -->

is a value of docs/results.json (a path of keys, then a format of figures.py),

    <!-- code: plan.MOST_EPOCHS -->8<!-- end -->

a constant of the package, and

    <!-- table: budgets -->
    ...
    <!-- end -->

one of figures.py's tables. scripts/results.py writes docs/results.json from a finished run.
"""

import argparse
import importlib
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import figures
import reference
import reference_api

from firstwords import files

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES: dict[str, Callable[[], str]] = {
    "guides/glossary.md": reference.glossary,
    "reference/commands.md": reference.commands,
    "reference/recipe.md": reference.recipe_fields,
    "reference/run-files.md": reference.run_files,
    "reference/api.md": reference_api.api,
}
FIGURE = re.compile(r"(<!-- (result|code): (\S+?)(?: (\w+))? -->).*?<!-- end -->")
TABLE = re.compile(r"<!-- table: (\S+) -->\n.*?<!-- end -->", re.DOTALL)


def made() -> dict[Path, str]:
    """Every page that is made or filled in, as it should be."""
    results = json.loads((DOCS / "results.json").read_text(encoding="utf-8"))
    pages = {DOCS / name: make() for name, make in PAGES.items()}
    for path in sorted(DOCS.rglob("*.md")):
        if path not in pages:
            pages[path] = filled(path.read_text(encoding="utf-8"), results)
    return pages


def filled(text: str, results: dict[str, Any]) -> str:
    def figure(place: re.Match[str]) -> str:
        marker, source, path, form = place.groups()
        value = at(results, path) if source == "result" else constant(path)
        return f"{marker}{figures.FORMS[form or ''](value)}<!-- end -->"

    def table(place: re.Match[str]) -> str:
        return f"<!-- table: {place[1]} -->\n{figures.TABLES[place[1]](results)}\n<!-- end -->"

    return TABLE.sub(table, FIGURE.sub(figure, text))


def at(results: Any, path: str) -> Any:
    """What is at a path of keys such as stages.sft.exam."""
    for key in path.split("."):
        results = results[key]
    return results


def constant(path: str) -> Any:
    """A name of a module of the package, such as plan.MOST_EPOCHS."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(f"firstwords.{module}"), name)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="only name what is stale")
    options = parser.parse_args()
    stale = []
    for path, text in made().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(str(path.relative_to(DOCS.parent)))
            if not options.check:
                files.write_text(path, text)
                path.chmod(0o644)
    for name in stale:
        print(f"stale: {name}" if options.check else f"written: {name}")
    if options.check and stale:
        sys.exit("run python scripts/make_docs.py")


if __name__ == "__main__":
    main()
