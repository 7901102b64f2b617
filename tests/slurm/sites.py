"""Site files for the tests, and small programs that stand in for Slurm's."""

import json
import sys
from pathlib import Path
from typing import Any

from end_to_end import Bench

Tables = dict[str, dict[str, Any]]


def tables(bench: Bench, **fields: Any) -> Tables:
    """A site of one process that takes a recipe; `job__nodes=2` replaces a field, None drops it."""
    made: Tables = {
        "run": {
            "name": "x",
            "time": "1m",
            "data": str(bench.text),
            "chat_data": str(bench.chat),
            "recipe": str(bench.recipe),
        },
        "job": {"cpus": 1, "limit": "2m", "warning": "1m"},
        "cluster": {"partition": "gpu"},
        "paths": {"python": sys.executable, "home": str(bench.home)},
    }
    for name, value in fields.items():
        table, field = name.split("__")
        if value is None:
            made[table].pop(field, None)
        else:
            made[table][field] = value
    return made


def toml(made: Tables, sweep: list[dict[str, Any]] | None = None) -> str:
    lines = []
    for name, table in made.items():
        lines += [f"[{name}]", *(f"{field} = {value(v)}" for field, v in table.items())]
    for variant in sweep or []:
        lines += ["[[sweep]]", *(f"{field} = {value(v)}" for field, v in variant.items())]
    return "\n".join(lines) + "\n"


def value(of: Any) -> str:
    if isinstance(of, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {value(v)}" for k, v in of.items()) + " }"
    return json.dumps(of)  # what JSON writes of text, numbers and lists, TOML reads


def write_site(bench: Bench, sweep: list[dict[str, Any]] | None = None, **fields: Any) -> Path:
    made = tables(bench, **fields)
    path = bench.root / f"{made['run']['name']}.toml"
    path.write_text(toml(made, sweep), encoding="utf-8")
    return path


def program(folder: Path, name: str, text: str) -> Path:
    """A bash script of that name in a folder that is to be on the PATH."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)
    return path
