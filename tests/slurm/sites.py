"""Site files for the tests, and fake programs that replace Slurm's."""

import json
import sys
from pathlib import Path
from typing import Any

from end_to_end import Bench

Tables = dict[str, dict[str, Any]]


def site_tables(bench: Bench, **fields: Any) -> Tables:
    """Return a site with one process and a recipe.

    `job__nodes=2` replaces a field; None removes it.
    """
    tables: Tables = {
        "run": {
            "name": "x",
            "time": "1m",
            "data": str(bench.text),
            "chat_data": str(bench.chat),
            "recipe": str(bench.recipe),
        },
        "job": {"cpus_per_node": 1, "time_limit": "2m", "save_time": "1m"},
        "cluster": {"partition": "gpu"},
        "paths": {"python": sys.executable, "home": str(bench.home)},
    }
    for name, value in fields.items():
        table, field = name.split("__")
        if value is None:
            tables[table].pop(field, None)
        else:
            tables[table][field] = value
    return tables


def render_toml(tables: Tables, sweep: list[dict[str, Any]] | None = None) -> str:
    lines = []
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{field} = {render_value(v)}" for field, v in table.items())]
    for entry in sweep or []:
        lines += ["[[sweep]]", *(f"{field} = {render_value(v)}" for field, v in entry.items())]
    return "\n".join(lines) + "\n"


def render_value(value: Any) -> str:
    if isinstance(value, dict):
        pairs = (f"{json.dumps(key)} = {render_value(inner)}" for key, inner in value.items())
        return "{ " + ", ".join(pairs) + " }"
    return json.dumps(value)  # TOML writes strings, numbers and lists like JSON


def write_site(bench: Bench, sweep: list[dict[str, Any]] | None = None, **fields: Any) -> Path:
    tables = site_tables(bench, **fields)
    path = bench.root / f"{tables['run']['name']}.toml"
    path.write_text(render_toml(tables, sweep), encoding="utf-8")
    return path


def write_program(folder: Path, name: str, body: str) -> Path:
    """Write an executable bash script into a folder, which is created if needed."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/bash\n{body}\n")
    path.chmod(0o755)
    return path
