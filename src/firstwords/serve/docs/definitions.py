"""Where a Python file defines what: links such as `loop.py#train` lead to the line."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path


@cache
def definition_lines(path: Path) -> dict[str, int]:
    """Return the line of each definition in a Python file, by dotted name."""
    return dict(_definitions(ast.parse(path.read_text(encoding="utf-8")).body, ""))


def _definitions(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, int]]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield prefix + node.name, node.lineno
            yield from _definitions(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Name):
                    yield prefix + target.id, node.lineno
