#!/usr/bin/env python3
"""Generate the reference pages and fill figures into the other pages of docs/.

    python scripts/make_docs.py           write what has changed
    python scripts/make_docs.py --check   write nothing; list stale pages and exit with 1

PAGES are generated completely. Every other page is written by an author, with three kinds of
markers whose contents this script replaces, so that no figure is copied manually:

    <!-- result: stages.sft.exam percent -->76 %<!-- end -->

is a value of docs/results.json (a path of keys, then a format of figures.py),

    <!-- code: data.corpora.HOLD_OUT_EVERY -->50<!-- end -->

is a constant of the package, and

    <!-- table: budgets -->
    ...
    <!-- end -->

is a table of figures.py. scripts/results.py writes docs/results.json from a finished run.
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

from firstwords.common import files

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


def render_pages() -> dict[Path, str]:
    """Return the up-to-date text of every page."""
    results = json.loads((DOCS / "results.json").read_text(encoding="utf-8"))
    pages = {DOCS / name: render() for name, render in PAGES.items()}
    for path in sorted(DOCS.rglob("*.md")):
        if path not in pages:
            pages[path] = fill_figures(path.read_text(encoding="utf-8"), results)
    return pages


def fill_figures(text: str, results: dict[str, Any]) -> str:
    """Return the text with the contents of its markers replaced."""

    def figure(place: re.Match[str]) -> str:
        marker, source, path, form = place.groups()
        value = lookup(results, path) if source == "result" else constant(path)
        return f"{marker}{figures.FORMS[form or ''](value)}<!-- end -->"

    def table(place: re.Match[str]) -> str:
        return f"<!-- table: {place[1]} -->\n{figures.TABLES[place[1]](results)}\n<!-- end -->"

    return TABLE.sub(table, FIGURE.sub(figure, text))


def lookup(results: Any, path: str) -> Any:
    """Return the value at a path of keys such as stages.sft.exam."""
    for key in path.split("."):
        results = results[key]
    return results


def constant(path: str) -> Any:
    """Return a constant of the package, such as data.corpora.HOLD_OUT_EVERY."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(f"firstwords.{module}"), name)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="list stale pages; write nothing")
    options = parser.parse_args()
    stale = []
    for path, text in render_pages().items():
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
